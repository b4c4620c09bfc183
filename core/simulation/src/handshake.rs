//! A probe, step by step: connect, greeting, messages 2 to 5, list. Core's guards decide what each side may
//! do, its computation is charged to its processor, and its messages go over the network.

use deaddrop_core::token::ConnId;
use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::discovery::{Probe, ProbeError};
use deaddrop_core::drops::Listed;
use deaddrop_core::exchange::ListEvent;
use deaddrop_core::guard::{Admission, Guess};
use deaddrop_core::limits::{
    CONTROL_RECORD, GREETING_TIMEOUT, HANDSHAKE_TIMEOUT, LIST_RECORDS, MESSAGE2_TIMEOUT,
};
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::wire;

use crate::cost;
use crate::cpu::Task;
use crate::probes::{ProbeId, Stage};
use crate::queue::{Micros, instant, micros};
use crate::sender::{PORT, Sender};
use crate::world::{Event, World, address};

/// Bytes of the TCP handshake, one way.
const SYN: u64 = 20;
const GREETING: u64 = 34;
const HELLO: u64 = 49;
const SHARE: u64 = 32;
const REQUEST: u64 = CONTROL_RECORD as u64;
const ANSWER: u64 = REQUEST * LIST_RECORDS as u64;

/// A message has arrived, or a deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The SYN has arrived at the server.
    Syn(ProbeId),
    /// A job for the processor of the server.
    ToServer(ProbeId, Task),
    /// A job for the processor of the client.
    ToClient(ProbeId, Task),
    /// The client's close has arrived at the server.
    ClientClosed(ProbeId),
    /// The end of the connection has arrived at the client.
    Ends(ProbeId, Ending),
    /// The client's connect time-out.
    NotConnected(ProbeId),
    /// The client's greeting time-out.
    NotGreeted(ProbeId),
    /// The server's message 2 time-out.
    NoMessage2(ProbeId),
    /// The handshake time-out of either side.
    NoMessage4(ProbeId),
}

/// How a probe ends without a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No connection, or a reset.
    Reset,
    /// A clean close before message 3.
    Close,
    /// A clean close after message 4.
    NotMember,
}

/// The result of a busy greeting.
fn busy() -> ProbeError {
    let retry_after = deaddrop_core::limits::BUSY_RETRY_AFTER;
    ClientError::Handshake(HandshakeError::Busy { retry_after }).into()
}

fn span(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap()
}

impl World {
    /// A listener starts a probe.
    pub(crate) fn connect(&mut self, listener: usize, probe: Probe) {
        let sender = Sender::number(probe.instance);
        self.listeners[listener].counts.probes += 1;
        let known = SocketAddr::new(address(self.senders[sender].host), PORT);
        assert_eq!(probe.peer, known, "a probe goes where the beacon came from");
        if !self.listeners[listener].guard.has(instant(self.now), probe.peer.ip()) {
            let listener = &mut self.listeners[listener];
            listener.counts.no_budget += 1;
            return listener.browser.handle_probe(
                instant(self.now),
                &probe,
                Err(ProbeError::Session(ClientError::NoBudget)),
            );
        }
        let id = self.probes.open(listener, sender, probe);
        let at = self.up(id, self.now, SYN);
        self.queue.push(at, Event::Probe(Step::Syn(id)));
        self.queue.push(micros(probe.connect_by), Event::Probe(Step::NotConnected(id)));
    }

    /// Arrival time at the server of `bytes` that a client sends at `at`.
    fn up(&mut self, id: ProbeId, at: Micros, bytes: u64) -> Micros {
        let probing = self.probes.get(id).unwrap();
        let (from, to) = (self.listeners[probing.listener].host, self.senders[probing.sender].host);
        self.network.unicast(self.now, at, from, to, bytes)
    }

    /// Arrival time at the client of `bytes` that a server sends at `at`.
    fn down(&mut self, id: ProbeId, at: Micros, bytes: u64) -> Micros {
        let probing = self.probes.get(id).unwrap();
        let (from, to) = (self.senders[probing.sender].host, self.listeners[probing.listener].host);
        self.network.unicast(self.now, at, from, to, bytes)
    }

    fn give(&mut self, host: usize, task: Task) {
        if self.cpus[host].push(task) {
            self.queue.push(self.now, Event::Cpu { host });
        }
    }

    /// Handles an arrival or a deadline.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Syn(id) => self.syn(id),
            Step::ToServer(id, task) => {
                let Some(probing) = self.probes.get(id) else { return };
                if probing.stage == Stage::Over {
                    return;
                }
                if matches!(task, Task::Message2(_)) {
                    probing.stage = Stage::Asked;
                }
                let host = self.senders[probing.sender].host;
                self.give(host, task);
            }
            Step::ToClient(id, task) => {
                let Some(probing) = self.probes.get(id) else { return };
                if !probing.reported {
                    probing.greeted = true;
                    let host = self.listeners[probing.listener].host;
                    self.give(host, task);
                }
            }
            Step::ClientClosed(id) => self.client_closed(id),
            Step::Ends(id, ending) => {
                let end = match ending {
                    Ending::Reset => Err(ProbeError::Session(ClientError::Reset)),
                    Ending::Close => Err(ProbeError::Session(ClientError::Busy)),
                    Ending::NotMember => Err(ProbeError::Session(ClientError::NotMember)),
                };
                self.report(id, end);
            }
            Step::NotConnected(id) => {
                if let Some(probing) = self.probes.get(id)
                    && probing.stage == Stage::Waiting
                    && !probing.connected
                {
                    self.give_up(id, Err(ProbeError::Session(ClientError::Reset)));
                }
            }
            Step::NotGreeted(id) => {
                if self.probes.get(id).is_some_and(|l| !l.greeted) {
                    self.give_up(id, Err(ProbeError::Session(ClientError::Reset)));
                }
            }
            Step::NoMessage2(id) => {
                if self.probes.get(id).is_some_and(|l| l.stage == Stage::Greeted) {
                    self.count_late(id);
                    self.server_ends(id, Some(Ending::Close));
                }
            }
            Step::NoMessage4(id) => self.no_message4(id),
        }
    }

    fn syn(&mut self, id: ProbeId) {
        let Some(probing) = self.probes.get(id) else { return };
        let number = probing.sender;
        probing.tries += 1;
        let tries = probing.tries;
        if probing.reported {
            return self.over(id);
        }
        let sender = &mut self.senders[number];
        if sender.running.is_none() {
            let at = self.down(id, self.now, SYN);
            self.over(id);
            return self.queue.push(at, Event::Probe(Step::Ends(id, Ending::Reset)));
        }
        if sender.backlog >= cost::BACKLOG {
            sender.counts.overflowed += 1;
            if tries < 2 {
                self.queue.push(self.now + cost::SYN_AGAIN, Event::Probe(Step::Syn(id)));
            }
            return;
        }
        sender.backlog += 1;
        self.probes.get(id).unwrap().connected = true;
        let opened = self.down(id, self.now, SYN);
        let at = self.up(id, opened, SYN);
        self.queue.push(at, Event::Probe(Step::ToServer(id, Task::Accept(id))));
        self.queue.push(opened + span(GREETING_TIMEOUT), Event::Probe(Step::NotGreeted(id)));
    }

    /// A processor has finished a job and starts the next.
    pub(crate) fn work(&mut self, host: usize) {
        if let Some(task) = self.cpus[host].next() {
            let took = match task {
                Task::Accept(id) => self.accept(id),
                Task::Greeting(id) => self.greeting(id),
                Task::Message2(id) => self.message2(id),
                Task::Granted(id) => self.granted(id),
                Task::Message3(id) => self.message3(id),
                Task::Message4(id) => self.message4(id),
                Task::List(id) => self.list(id),
            };
            self.queue.push(self.now + took, Event::Cpu { host });
        }
    }

    fn accept(&mut self, id: ProbeId) -> Micros {
        let Some(probing) = self.probes.get(id) else { return cost::GLANCE };
        let (number, listener) = (probing.sender, probing.listener);
        let sender = &mut self.senders[number];
        sender.backlog = sender.backlog.saturating_sub(1);
        if probing.reported || probing.stage == Stage::Over {
            self.over(id);
            return cost::ACCEPT;
        }
        let Some(running) = &mut sender.running else { return cost::GLANCE };
        let source = address(self.listeners[listener].host);
        let admission = running.guard.admit(instant(self.now), ConnId(id.place), source);
        let done = self.now + cost::ACCEPT;
        probing.stage = Stage::Greeted;
        match admission {
            Admission::Busy { .. } => {
                sender.counts.busy += 1;
                probing.busy = true;
            }
            Admission::Open => {}
            Admission::Evict(ConnId(other)) => {
                sender.counts.evicted += 1;
                let other = self.probes.at(other);
                self.gone(other, Ending::Reset);
            }
        }
        let busy = self.probes.get(id).is_some_and(|l| l.busy);
        let at = self.down(id, done, GREETING);
        self.queue.push(at, Event::Probe(Step::ToClient(id, Task::Greeting(id))));
        if busy {
            self.over(id);
        } else {
            self.queue.push(done + span(MESSAGE2_TIMEOUT), Event::Probe(Step::NoMessage2(id)));
        }
        self.settle_guard(number);
        cost::ACCEPT
    }

    fn greeting(&mut self, id: ProbeId) -> Micros {
        let Some(probing) = self.probes.get(id) else { return cost::GLANCE };
        if probing.reported {
            return cost::GLANCE;
        }
        if probing.busy {
            self.report(id, Err(busy()));
            return cost::GLANCE;
        }
        let at = self.up(id, self.now + cost::MESSAGE_2, HELLO);
        self.queue.push(at, Event::Probe(Step::ToServer(id, Task::Message2(id))));
        cost::MESSAGE_2
    }

    fn message2(&mut self, id: ProbeId) -> Micros {
        let now = instant(self.now);
        let Some(probing) = self.probes.get(id) else { return cost::GLANCE };
        let sender = &mut self.senders[probing.sender];
        let Some(running) = &mut sender.running else { return cost::GLANCE };
        if probing.stage != Stage::Asked {
            return cost::GLANCE;
        }
        match running.guard.message2(now, ConnId(id.place)) {
            Guess::Granted => return self.share(id),
            Guess::Refused => {
                sender.counts.refused += 1;
                self.server_ends(id, Some(Ending::Close));
                return cost::GLANCE;
            }
            guess @ (Guess::Parked | Guess::ParkedFor(_)) => {
                sender.counts.parked += 1;
                probing.stage = Stage::Parked;
                probing.since = self.now;
                let number = probing.sender;
                self.queue.push(self.now + span(HANDSHAKE_TIMEOUT), Event::Probe(Step::NoMessage4(id)));
                if let Guess::ParkedFor(ConnId(other)) = guess {
                    sender.counts.refused += 1;
                    let other = self.probes.at(other);
                    self.gone(other, Ending::Close);
                }
                // Only the guard knows when its token comes, so a timer is set for it.
                self.tend_sender(number);
            }
        }
        cost::GLANCE
    }

    fn granted(&mut self, id: ProbeId) -> Micros {
        let Some(probing) = self.probes.get(id).filter(|l| l.stage == Stage::Parked) else {
            return cost::GLANCE;
        };
        let waited = self.now - probing.since;
        let sender = &mut self.senders[probing.sender];
        if self.listeners[probing.listener].is_member_of(sender) {
            sender.counts.longest = sender.counts.longest.max(waited);
        }
        self.share(id)
    }

    fn share(&mut self, id: ProbeId) -> Micros {
        let probing = self.probes.get(id).unwrap();
        probing.stage = Stage::Owed;
        self.senders[probing.sender].counts.taken += 1;
        let at = self.down(id, self.now + cost::MESSAGE_3, SHARE);
        self.queue.push(at, Event::Probe(Step::ToClient(id, Task::Message3(id))));
        self.queue.push(self.now + span(HANDSHAKE_TIMEOUT), Event::Probe(Step::NoMessage4(id)));
        cost::MESSAGE_3
    }

    fn message3(&mut self, id: ProbeId) -> Micros {
        let Some(probing) = self.probes.get(id) else { return cost::GLANCE };
        if probing.reported {
            return cost::GLANCE;
        }
        let peer = probing.probe.peer.ip();
        if !self.listeners[probing.listener].guard.take(instant(self.now), peer) {
            self.give_up(id, Err(ProbeError::Session(ClientError::NoBudget)));
            return cost::MESSAGE_4;
        }
        let at = self.up(id, self.now + cost::MESSAGE_4, REQUEST);
        self.queue.push(at, Event::Probe(Step::ToServer(id, Task::Message4(id))));
        cost::MESSAGE_4
    }

    fn message4(&mut self, id: ProbeId) -> Micros {
        let now = instant(self.now);
        let Some(probing) = self.probes.get(id).filter(|l| l.stage == Stage::Owed) else {
            return cost::GLANCE;
        };
        let number = probing.sender;
        let sender = &mut self.senders[number];
        let member = self.listeners[probing.listener].is_member_of(sender);
        let Some(running) = &mut sender.running else { return cost::GLANCE };
        if !member {
            self.server_ends(id, Some(Ending::NotMember));
            return cost::GLANCE;
        }
        running.guard.confirmed(now, ConnId(id.place));
        sender.counts.confirmed += 1;
        let at = self.down(id, self.now + cost::LIST, ANSWER);
        self.queue.push(at, Event::Probe(Step::ToClient(id, Task::List(id))));
        self.over(id);
        self.settle_guard(number);
        cost::LIST
    }

    fn list(&mut self, id: ProbeId) -> Micros {
        let now = instant(self.now);
        let Some(probing) = self.probes.get(id).filter(|l| !l.reported) else { return cost::GLANCE };
        let probe = probing.probe;
        let (listener, sender) = (&mut self.listeners[probing.listener], &self.senders[probing.sender]);
        let Some(running) = &sender.running else {
            self.report(id, Err(ProbeError::Session(ClientError::Reset)));
            return cost::GLANCE;
        };
        listener.guard.confirmed(now, probe.peer.ip());
        let mut after = None;
        while let Some(listed) = running.drops.listed_after(now, after) {
            after = Some(listed.token());
            let line = match listed {
                Listed::Offer(offer) => ListEvent::Offer(offer),
                Listed::Ending { token, reason } => ListEvent::Ending(wire::Ending { token, reason }),
            };
            listener.browser.handle_line(now, &probe, &line);
            self.figures.no_room += u64::from(listener.browser.is_crowded());
        }
        let revision = running.drops.revision();
        self.report(id, Ok(revision));
        cost::SHOW
    }

    /// Reports the end of a probe to its listener.
    fn report(&mut self, id: ProbeId, end: Result<u32, ProbeError>) {
        let Some(probing) = self.probes.get(id).filter(|l| !l.reported) else { return };
        probing.reported = true;
        let (number, probe) = (probing.listener, probing.probe);
        let listener = &mut self.listeners[number];
        let counts = &mut listener.counts;
        *match end {
            Ok(_) => &mut counts.listed,
            Err(ProbeError::Session(ClientError::NotMember)) => &mut counts.strangers,
            Err(ProbeError::Session(ClientError::Busy | ClientError::Handshake(_))) => &mut counts.busy,
            Err(ProbeError::Session(ClientError::NoBudget)) => &mut counts.no_budget,
            Err(_) => &mut counts.failed,
        } += 1;
        listener.browser.handle_probe(instant(self.now), &probe, end);
        self.probes.sweep(id);
        self.tend_listener(number);
    }

    /// The client ends the connection, which the server learns later.
    fn give_up(&mut self, id: ProbeId, end: Result<u32, ProbeError>) {
        if self.probes.get(id).is_some_and(|l| !l.reported) {
            let at = self.up(id, self.now, SYN);
            self.queue.push(at, Event::Probe(Step::ClientClosed(id)));
            self.report(id, end);
        }
    }

    fn client_closed(&mut self, id: ProbeId) {
        match self.probes.get(id).map(|l| (l.stage, l.connected)) {
            // If it is in the backlog, it is closed when it is accepted.
            None | Some((Stage::Waiting, true)) => {}
            Some((Stage::Waiting, false)) => self.over(id),
            Some(_) => self.server_ends(id, None),
        }
    }

    fn no_message4(&mut self, id: ProbeId) {
        let Some(probing) = self.probes.get(id) else { return };
        if !matches!(probing.stage, Stage::Owed | Stage::Parked) {
            return;
        }
        // Silence before message 3 means busy; after it, a reset.
        let ending = if probing.stage == Stage::Parked { Ending::Close } else { Ending::Reset };
        self.count_late(id);
        self.server_ends(id, Some(ending));
    }

    fn count_late(&mut self, id: ProbeId) {
        if let Some(probing) = self.probes.get(id) {
            self.senders[probing.sender].counts.late += 1;
        }
    }

    /// The server ends a connection that its guard knows.
    fn server_ends(&mut self, id: ProbeId, how: Option<Ending>) {
        let Some(probing) = self.probes.get(id).filter(|l| l.stage != Stage::Over) else { return };
        let sender = &mut self.senders[probing.sender];
        if let Some(running) = &mut sender.running {
            if probing.stage == Stage::Owed {
                sender.counts.failed += 1;
                running.guard.failed(instant(self.now), ConnId(id.place));
            } else {
                running.guard.closed(instant(self.now), ConnId(id.place));
            }
        }
        let number = probing.sender;
        match how {
            Some(ending) => self.gone(id, ending),
            None => self.over(id),
        }
        self.settle_guard(number);
    }

    /// The server ends a connection that its guard has forgotten, which the client learns later.
    fn gone(&mut self, id: ProbeId, ending: Ending) {
        if self.probes.get(id).is_some_and(|l| !l.reported) {
            let at = self.down(id, self.now, SYN);
            self.queue.push(at, Event::Probe(Step::Ends(id, ending)));
        }
        self.over(id);
    }

    fn over(&mut self, id: ProbeId) {
        if let Some(probing) = self.probes.get(id) {
            probing.stage = Stage::Over;
            self.probes.sweep(id);
        }
    }

    /// Parked connections that have a token continue.
    pub(crate) fn settle_guard(&mut self, number: usize) {
        let sender = &mut self.senders[number];
        let Some(running) = &mut sender.running else { return };
        let mut granted = Vec::new();
        while let Some(ConnId(place)) = running.guard.poll_granted(instant(self.now), &mut self.rng) {
            granted.push(place);
        }
        let host = sender.host;
        for place in granted {
            let id = self.probes.at(place);
            self.give(host, Task::Granted(id));
        }
    }

    /// A sender exits and resets connections with an unanswered request.
    pub(crate) fn stop_serving(&mut self, number: usize) {
        for id in self.probes.of_sender(number) {
            self.gone(id, Ending::Reset);
        }
    }
}
