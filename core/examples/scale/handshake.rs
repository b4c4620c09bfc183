//! A probe, step by step: connect, greeting, messages 2 to 5, list. What each side may do is asked of core's
//! guards; what it computes is charged to its processor; what it says goes over the network.

use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::discovery::{Probe, ProbeResult};
use deaddrop_core::drops::{ConnId, Listed};
use deaddrop_core::guard::{Admission, Guess};
use deaddrop_core::limits::{
    CONNECT_TIMEOUT, CONTROL_RECORD, GREETING_TIMEOUT, HANDSHAKE_TIMEOUT, LIST_RECORDS, MESSAGE2_TIMEOUT,
};

use crate::cost;
use crate::cpu::Task;
use crate::probes::{LookId, Stage};
use crate::queue::{Micros, instant};
use crate::sender::{PORT, Sender};
use crate::world::{Event, World, address};

/// What a client waits after a clean close before message 3, which names no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// Bytes of TCP's opening, one way.
const SYN: u64 = 20;
const GREETING: u64 = 34;
const HELLO: u64 = 49;
const SHARE: u64 = 32;
const REQUEST: u64 = CONTROL_RECORD as u64;
const ANSWER: u64 = REQUEST * LIST_RECORDS as u64;

/// A message has arrived, or a deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The first segment is at the server.
    Syn(LookId),
    /// Something for the processor of the server.
    ToServer(LookId, Task),
    /// Something for the processor of the client.
    ToClient(LookId, Task),
    /// The server hears that the client has closed.
    ClientClosed(LookId),
    /// The client hears how it ended.
    Ends(LookId, Ending),
    /// The client has waited for a connection as long as it does.
    NotConnected(LookId),
    /// The client has waited for a greeting as long as it does.
    NotGreeted(LookId),
    /// The server has waited for message 2 as long as it does.
    NoMessage2(LookId),
    /// Either side has waited for the whole handshake as long as it does.
    NoMessage4(LookId),
}

/// How a probe ends before there is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No connection, or a reset.
    Reset,
    /// A clean close before message 3.
    Close,
    /// A clean close after message 4.
    NotMember,
}

fn span(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap()
}

impl World {
    /// A listener takes a probe.
    pub(crate) fn connect(&mut self, hearer: usize, probe: Probe) {
        let sender = Sender::number(probe.instance);
        self.hearers[hearer].counts.probes += 1;
        let known = SocketAddr::new(address(self.senders[sender].host), PORT);
        assert_eq!(probe.peer, known, "a probe goes where the beacon came from");
        if !self.hearers[hearer].guard.has(instant(self.now), probe.peer.ip()) {
            let hearer = &mut self.hearers[hearer];
            hearer.counts.no_budget += 1;
            return hearer.listener.handle_probe(instant(self.now), &probe, ProbeResult::NoBudget);
        }
        let id = self.probes.open(hearer, sender, probe);
        let at = self.up(id, self.now, SYN);
        self.queue.push(at, Event::Probe(Step::Syn(id)));
        self.queue.push(self.now + span(CONNECT_TIMEOUT), Event::Probe(Step::NotConnected(id)));
    }

    /// When `bytes` that a client sends at `at` are at the server.
    fn up(&mut self, id: LookId, at: Micros, bytes: u64) -> Micros {
        let looking = self.probes.get(id).unwrap();
        let (from, to) = (self.hearers[looking.hearer].host, self.senders[looking.sender].host);
        self.network.unicast(self.now, at, from, to, bytes)
    }

    /// When `bytes` that a server sends at `at` are at the client.
    fn down(&mut self, id: LookId, at: Micros, bytes: u64) -> Micros {
        let looking = self.probes.get(id).unwrap();
        let (from, to) = (self.senders[looking.sender].host, self.hearers[looking.hearer].host);
        self.network.unicast(self.now, at, from, to, bytes)
    }

    fn give(&mut self, host: usize, task: Task) {
        if self.cpus[host].push(task) {
            self.queue.push(self.now, Event::Cpu { host });
        }
    }

    /// Something has arrived, or a deadline has passed.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Syn(id) => self.syn(id),
            Step::ToServer(id, task) => {
                let Some(looking) = self.probes.get(id) else { return };
                if looking.stage == Stage::Over {
                    return;
                }
                if matches!(task, Task::Message2(_)) {
                    looking.stage = Stage::Asked;
                }
                let host = self.senders[looking.sender].host;
                self.give(host, task);
            }
            Step::ToClient(id, task) => {
                let Some(looking) = self.probes.get(id) else { return };
                if !looking.reported {
                    looking.greeted = true;
                    let host = self.hearers[looking.hearer].host;
                    self.give(host, task);
                }
            }
            Step::ClientClosed(id) => self.client_closed(id),
            Step::Ends(id, ending) => {
                let outcome = match ending {
                    Ending::Reset => ProbeResult::Failed,
                    Ending::Close => ProbeResult::Busy { retry_after: BUSY_RETRY },
                    Ending::NotMember => ProbeResult::NotMember,
                };
                self.report(id, outcome);
            }
            Step::NotConnected(id) => {
                if let Some(looking) = self.probes.get(id)
                    && looking.tries > 0
                    && looking.stage == Stage::Waiting
                    && !looking.connected
                {
                    self.give_up(id, ProbeResult::Failed);
                }
            }
            Step::NotGreeted(id) => {
                if self.probes.get(id).is_some_and(|l| !l.greeted) {
                    self.give_up(id, ProbeResult::Failed);
                }
            }
            Step::NoMessage2(id) => {
                if self.probes.get(id).is_some_and(|l| l.stage == Stage::ServerHandshake) {
                    self.count_late(id);
                    self.server_ends(id, Some(Ending::Close));
                }
            }
            Step::NoMessage4(id) => self.no_message4(id),
        }
    }

    fn syn(&mut self, id: LookId) {
        let Some(looking) = self.probes.get(id) else { return };
        let number = looking.sender;
        looking.tries += 1;
        let tries = looking.tries;
        if looking.reported {
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

    /// A processor is through with what it did, and takes up the next thing.
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

    fn accept(&mut self, id: LookId) -> Micros {
        let Some(looking) = self.probes.get(id) else { return cost::GLANCE };
        let (number, hearer) = (looking.sender, looking.hearer);
        let sender = &mut self.senders[number];
        sender.backlog = sender.backlog.saturating_sub(1);
        if looking.reported || looking.stage == Stage::Over {
            self.over(id);
            return cost::ACCEPT;
        }
        let Some(running) = &mut sender.running else { return cost::GLANCE };
        let source = address(self.hearers[hearer].host);
        let admission = running.guard.admit(instant(self.now), ConnId(id.place), source);
        let done = self.now + cost::ACCEPT;
        looking.stage = Stage::ServerHandshake;
        match admission {
            Admission::Busy { .. } => {
                sender.counts.busy += 1;
                looking.busy = true;
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

    fn greeting(&mut self, id: LookId) -> Micros {
        let Some(looking) = self.probes.get(id) else { return cost::GLANCE };
        if looking.reported {
            return cost::GLANCE;
        }
        if looking.busy {
            self.report(id, ProbeResult::Busy { retry_after: deaddrop_core::guard::server::RETRY_AFTER });
            return cost::GLANCE;
        }
        let at = self.up(id, self.now + cost::MESSAGE_2, HELLO);
        self.queue.push(at, Event::Probe(Step::ToServer(id, Task::Message2(id))));
        cost::MESSAGE_2
    }

    fn message2(&mut self, id: LookId) -> Micros {
        let now = instant(self.now);
        let Some(looking) = self.probes.get(id) else { return cost::GLANCE };
        let sender = &mut self.senders[looking.sender];
        let Some(running) = &mut sender.running else { return cost::GLANCE };
        if looking.stage != Stage::Asked {
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
                looking.stage = Stage::Parked;
                looking.since = self.now;
                let number = looking.sender;
                self.queue.push(self.now + span(HANDSHAKE_TIMEOUT), Event::Probe(Step::NoMessage4(id)));
                if let Guess::ParkedFor(ConnId(other)) = guess {
                    sender.counts.refused += 1;
                    let other = self.probes.at(other);
                    self.gone(other, Ending::Close);
                }
                // Its time to wait is known to the guard; nobody else would look at the clock for it.
                self.tend_sender(number);
            }
        }
        cost::GLANCE
    }

    fn granted(&mut self, id: LookId) -> Micros {
        let Some(looking) = self.probes.get(id).filter(|l| l.stage == Stage::Parked) else {
            return cost::GLANCE;
        };
        let waited = self.now - looking.since;
        let sender = &mut self.senders[looking.sender];
        if self.hearers[looking.hearer].is_member_of(sender) {
            sender.counts.longest = sender.counts.longest.max(waited);
        }
        self.share(id)
    }

    fn share(&mut self, id: LookId) -> Micros {
        let looking = self.probes.get(id).unwrap();
        looking.stage = Stage::Owed;
        self.senders[looking.sender].counts.taken += 1;
        let at = self.down(id, self.now + cost::MESSAGE_3, SHARE);
        self.queue.push(at, Event::Probe(Step::ToClient(id, Task::Message3(id))));
        self.queue.push(self.now + span(HANDSHAKE_TIMEOUT), Event::Probe(Step::NoMessage4(id)));
        cost::MESSAGE_3
    }

    fn message3(&mut self, id: LookId) -> Micros {
        let Some(looking) = self.probes.get(id) else { return cost::GLANCE };
        if looking.reported {
            return cost::GLANCE;
        }
        let peer = looking.probe.peer.ip();
        if !self.hearers[looking.hearer].guard.take(instant(self.now), peer) {
            self.give_up(id, ProbeResult::NoBudget);
            return cost::MESSAGE_4;
        }
        let at = self.up(id, self.now + cost::MESSAGE_4, REQUEST);
        self.queue.push(at, Event::Probe(Step::ToServer(id, Task::Message4(id))));
        cost::MESSAGE_4
    }

    fn message4(&mut self, id: LookId) -> Micros {
        let now = instant(self.now);
        let Some(looking) = self.probes.get(id).filter(|l| l.stage == Stage::Owed) else {
            return cost::GLANCE;
        };
        let number = looking.sender;
        let sender = &mut self.senders[number];
        let member = self.hearers[looking.hearer].is_member_of(sender);
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

    fn list(&mut self, id: LookId) -> Micros {
        let now = instant(self.now);
        let Some(looking) = self.probes.get(id).filter(|l| !l.reported) else { return cost::GLANCE };
        let probe = looking.probe;
        let (hearer, sender) = (&mut self.hearers[looking.hearer], &self.senders[looking.sender]);
        let Some(running) = &sender.running else {
            self.report(id, ProbeResult::Failed);
            return cost::GLANCE;
        };
        hearer.guard.confirmed(now, probe.peer.ip());
        hearer.offers.begin_list(probe.instance);
        let mut after = None;
        while let Some(listed) = running.drops.listed_after(now, after) {
            after = Some(listed.token());
            match listed {
                Listed::Offer(offer) => {
                    if hearer.offers.offer(now, probe.instance, probe.peer, &offer).is_err() {
                        self.figures.no_room += 1;
                    }
                }
                Listed::Ending { token, reason } => hearer.offers.ending(now, probe.instance, token, reason),
            }
        }
        hearer.offers.complete(now, probe.instance);
        let revision = running.drops.revision();
        self.report(id, ProbeResult::Listed { revision });
        cost::SHOW
    }

    /// The listener hears how its probe has ended.
    fn report(&mut self, id: LookId, outcome: ProbeResult) {
        let Some(looking) = self.probes.get(id).filter(|l| !l.reported) else { return };
        looking.reported = true;
        let (number, probe) = (looking.hearer, looking.probe);
        let hearer = &mut self.hearers[number];
        let counts = &mut hearer.counts;
        *match outcome {
            ProbeResult::Listed { .. } => &mut counts.listed,
            ProbeResult::NotMember => &mut counts.strangers,
            ProbeResult::Busy { .. } => &mut counts.busy,
            ProbeResult::Failed => &mut counts.failed,
            ProbeResult::NoBudget => &mut counts.no_budget,
        } += 1;
        hearer.listener.handle_probe(instant(self.now), &probe, outcome);
        self.probes.sweep(id);
        self.tend_hearer(number);
    }

    /// The client ends it, and the server will hear of that.
    fn give_up(&mut self, id: LookId, outcome: ProbeResult) {
        if self.probes.get(id).is_some_and(|l| !l.reported) {
            let at = self.up(id, self.now, SYN);
            self.queue.push(at, Event::Probe(Step::ClientClosed(id)));
            self.report(id, outcome);
        }
    }

    fn client_closed(&mut self, id: LookId) {
        match self.probes.get(id).map(|l| (l.stage, l.connected)) {
            // If it is in the backlog, it will be found closed when it is accepted.
            None | Some((Stage::Waiting, true)) => {}
            Some((Stage::Waiting, false)) => self.over(id),
            Some(_) => self.server_ends(id, None),
        }
    }

    fn no_message4(&mut self, id: LookId) {
        let Some(looking) = self.probes.get(id) else { return };
        if !matches!(looking.stage, Stage::Owed | Stage::Parked) {
            return;
        }
        // What a client takes silence before message 3 for; after it, a reset.
        let ending = if looking.stage == Stage::Parked { Ending::Close } else { Ending::Reset };
        self.count_late(id);
        self.server_ends(id, Some(ending));
    }

    fn count_late(&mut self, id: LookId) {
        if let Some(looking) = self.probes.get(id) {
            self.senders[looking.sender].counts.late += 1;
        }
    }

    /// The server ends a connection that its guard knows of.
    fn server_ends(&mut self, id: LookId, how: Option<Ending>) {
        let Some(looking) = self.probes.get(id).filter(|l| l.stage != Stage::Over) else { return };
        let sender = &mut self.senders[looking.sender];
        if let Some(running) = &mut sender.running {
            if looking.stage == Stage::Owed {
                sender.counts.failed += 1;
                running.guard.failed(instant(self.now), ConnId(id.place));
            } else {
                running.guard.closed(instant(self.now), ConnId(id.place));
            }
        }
        let number = looking.sender;
        match how {
            Some(ending) => self.gone(id, ending),
            None => self.over(id),
        }
        self.settle_guard(number);
    }

    /// The server is done with a connection of which its guard knows no more, and the client will hear of it.
    fn gone(&mut self, id: LookId, ending: Ending) {
        if self.probes.get(id).is_some_and(|l| !l.reported) {
            let at = self.down(id, self.now, SYN);
            self.queue.push(at, Event::Probe(Step::Ends(id, ending)));
        }
        self.over(id);
    }

    fn over(&mut self, id: LookId) {
        if let Some(looking) = self.probes.get(id) {
            looking.stage = Stage::Over;
            self.probes.sweep(id);
        }
    }

    /// Parked connections that have their token by now go on.
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

    /// A sender exits: what it has not answered is reset.
    pub(crate) fn stop_serving(&mut self, number: usize) {
        for id in self.probes.of_sender(number) {
            self.gone(id, Ending::Reset);
        }
    }
}
