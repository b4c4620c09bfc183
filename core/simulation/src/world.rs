//! All hosts, their starts, and the delivery of beacons.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use deaddrop_core::discovery::{Arrival, OfferEvent};
use deaddrop_core::wire::{Beacon, BeaconKind};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::cpu::Cpu;
use crate::figures::Figures;
use crate::handshake::Step;
use crate::listener::{Listener, arrival};
use crate::network::{COPIES, Network};
use crate::plan::{FRESH, LATE, MESSAGE_LIVES, Plan, START_WITHIN};
use crate::probes::Probes;
use crate::queue::{MILLI, Micros, Queue, SECOND, instant, micros};
use crate::sender::{PORT, Part, Sender};

/// Announcements delivered individually: those that can be news. Later ones only repeat and are delivered in
/// batches; all that they change is when a peer was last heard.
const PROMPT: u32 = 3;
/// The length of such a batch.
const BATCH: Micros = 250 * MILLI;

/// An event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A listener starts on this host.
    Hear { host: usize, part: Part },
    /// A sender starts on this host, or on any that has none.
    Send { host: Option<usize>, part: Part },
    /// The drop of a short-lived sender was fetched.
    Fetched { sender: usize },
    /// A sender exits.
    Exit { sender: usize },
    /// A timer of a listener.
    WakeListener { listener: usize },
    /// A timer of a sender.
    WakeSender { sender: usize },
    /// A cell relays a beacon.
    PassOn { cell: usize, from: usize, beacon: Beacon, prompt: bool },
    /// The hosts of a cell receive it.
    Heard { cell: usize, from: usize, beacon: Beacon },
    /// The hosts of a cell receive a batch.
    Batch { cell: usize },
    /// The answer to a solicit has arrived.
    Answer { listener: usize, from: usize, beacon: Beacon },
    /// A processor has finished a job.
    Cpu { host: usize },
    /// A step of a probe.
    Probe(Step),
    /// A second has passed.
    Second,
}

/// The hosts.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Micros,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) queue: Queue<Event>,
    pub(crate) network: Network,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) senders: Vec<Sender>,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) probes: Probes,
    pub(crate) figures: Figures,
    /// The listeners and the senders that run in a cell.
    cells: Vec<(Vec<usize>, Vec<usize>)>,
    /// Batch of beacons of a cell.
    batches: Vec<Vec<(usize, Beacon)>>,
    /// Whether a host has a sender.
    sends: Vec<bool>,
}

/// The address of a host.
pub(crate) fn address(host: usize) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + u32::try_from(host).unwrap()).into()
}

impl World {
    /// Runs a plan, from the start of all hosts to the last late listener.
    pub(crate) fn run(plan: Plan) -> Self {
        let mut world = Self::new(plan);
        while let Some((at, event)) = world.queue.pop()
            && at <= plan.end()
        {
            world.now = at;
            world.happen(event);
        }
        world.now = plan.end();
        world
    }

    fn new(plan: Plan) -> Self {
        let hosts = plan.all_hosts();
        let network = Network::new(plan.net, hosts);
        let cells = network.cells();
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let mut queue = Queue::new();
        let sometime = |within: Micros, rng: &mut ChaCha8Rng| rng.next_u64() % within;
        for host in 0..plan.hosts {
            queue.push(sometime(START_WITHIN, &mut rng), Event::Hear { host, part: Part::Start });
            if host < plan.first_senders() {
                queue.push(
                    sometime(START_WITHIN, &mut rng),
                    Event::Send { host: Some(host), part: Part::Start },
                );
            }
        }
        let messages =
            plan.messages as u64 * plan.hosts as u64 * (plan.end() - plan.settle) / (3_600 * SECOND);
        for _ in 0..messages {
            let at = plan.settle + sometime(plan.end() - plan.settle, &mut rng);
            queue.push(at, Event::Send { host: None, part: Part::Passing });
        }
        for n in 0..FRESH {
            queue.push(plan.fresh_at(n), Event::Send { host: None, part: Part::Watched });
        }
        for n in 0..LATE {
            queue.push(plan.late_at(n), Event::Hear { host: plan.hosts + n, part: Part::Watched });
        }
        queue.push(SECOND, Event::Second);
        Self {
            plan,
            now: 0,
            rng,
            queue,
            network,
            listeners: Vec::new(),
            senders: Vec::new(),
            cpus: (0..hosts).map(|_| Cpu::default()).collect(),
            probes: Probes::default(),
            figures: Figures::default(),
            cells: vec![(Vec::new(), Vec::new()); cells],
            batches: vec![Vec::new(); cells],
            sends: vec![false; hosts],
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Hear { host, part } => self.start_listener(host, part),
            Event::Send { host, part } => self.start_sender(host, part),
            Event::Fetched { sender } => self.fetched(sender),
            Event::Exit { sender } => self.exit(sender),
            Event::WakeListener { listener } => {
                if self.listeners[listener].wake == self.now {
                    self.tend_listener(listener);
                }
            }
            Event::WakeSender { sender } => {
                if self.senders[sender].wake == self.now {
                    self.tend_sender(sender);
                }
            }
            Event::PassOn { cell, from, beacon, prompt } => {
                let Some(at) = self.network.pass_on(self.now, cell) else { return };
                if prompt {
                    self.queue.push(at, Event::Heard { cell, from, beacon });
                } else {
                    if self.batches[cell].is_empty() {
                        self.queue.push(at + BATCH, Event::Batch { cell });
                    }
                    self.batches[cell].push((from, beacon));
                }
            }
            Event::Heard { cell, from, beacon } => self.heard(cell, &[(from, beacon)]),
            Event::Batch { cell } => {
                let batch = core::mem::take(&mut self.batches[cell]);
                self.heard(cell, &batch);
            }
            Event::Answer { listener, from, beacon } => self.hear(listener, &[(from, beacon)]),
            Event::Cpu { host } => self.work(host),
            Event::Probe(step) => self.step(step),
            Event::Second => {
                self.figures.second(self.network.airtime());
                self.queue.push(self.now + SECOND, Event::Second);
            }
        }
    }

    fn start_listener(&mut self, host: usize, part: Part) {
        let place = (host, self.plan.room(host));
        let listener = Listener::start(self.now, place, part, &mut self.rng);
        self.listeners.push(listener);
        let number = self.listeners.len() - 1;
        self.cells[self.network.cell(host)].0.push(number);
        self.tend_listener(number);
    }

    fn start_sender(&mut self, host: Option<usize>, part: Part) {
        let host = host.unwrap_or_else(|| {
            // A random host without a sender; if all have one, none is started.
            let from = (self.rng.next_u64() % self.plan.hosts as u64) as usize;
            (from..self.plan.hosts).chain(0..from).find(|h| !self.sends[*h]).unwrap_or(usize::MAX)
        });
        if host == usize::MAX {
            return;
        }
        self.sends[host] = true;
        let number = self.senders.len();
        let place = (host, self.plan.room(host));
        let sender = Sender::start(self.now, number, place, part, &mut self.rng);
        self.figures.sender_started(&sender, &self.listeners);
        self.senders.push(sender);
        self.cells[self.network.cell(host)].1.push(number);
        if part == Part::Passing {
            self.queue.push(self.now + MESSAGE_LIVES, Event::Fetched { sender: number });
        }
        self.tend_sender(number);
    }

    fn fetched(&mut self, number: usize) {
        let now = instant(self.now);
        if let Some(running) = &mut self.senders[number].running {
            running.drops.withdraw(now, &running.token, &mut self.rng);
        }
        self.tend_sender(number);
        let linger = Micros::try_from(deaddrop_core::limits::LINGER.as_micros()).unwrap();
        self.queue.push(self.now + linger, Event::Exit { sender: number });
    }

    fn exit(&mut self, number: usize) {
        self.stop_serving(number);
        let host = self.senders[number].host;
        self.senders[number].running = None;
        self.sends[host] = false;
        self.cells[self.network.cell(host)].1.retain(|s| *s != number);
    }

    /// Handles what is due at a sender.
    pub(crate) fn tend_sender(&mut self, number: usize) {
        let now = instant(self.now);
        let sender = &mut self.senders[number];
        let Some(running) = &mut sender.running else { return };
        running.drops.handle_timeout(now, &mut self.rng);
        while running.drops.poll_event().is_some() {}
        let live = (running.drops.live() > 0).then(|| (PORT, running.drops.revision()));
        running.advertiser.set(now, live, &mut self.rng);
        let host = sender.host;
        let mut said = Vec::new();
        while let Some(beacon) = running.advertiser.poll_transmit(now, &mut self.rng) {
            sender.said += 1;
            said.push((beacon, sender.said <= PROMPT || beacon.kind != BeaconKind::Announce));
        }
        for (beacon, prompt) in said {
            self.broadcast(host, number, beacon, prompt);
        }
        self.settle_guard(number);
        let sender = &mut self.senders[number];
        let Some(running) = &sender.running else { return };
        let due =
            [running.advertiser.poll_timeout(), running.drops.poll_timeout(), running.guard.poll_timeout()];
        if let Some(at) = due.into_iter().flatten().min() {
            let at = micros(at).max(self.now);
            if at != sender.wake || at == self.now {
                sender.wake = at;
                self.queue.push(at, Event::WakeSender { sender: number });
            }
        }
    }

    fn broadcast(&mut self, host: usize, from: usize, beacon: Beacon, prompt: bool) {
        self.figures.datagrams(COPIES);
        let at = self.network.broadcast(self.now, host);
        for cell in 0..self.network.cells() {
            self.queue.push(at, Event::PassOn { cell, from, beacon, prompt });
        }
    }

    /// The hosts of a cell receive beacons, with losses.
    fn heard(&mut self, cell: usize, beacons: &[(usize, Beacon)]) {
        if let [(from, beacon)] = beacons
            && beacon.kind == BeaconKind::Solicit
        {
            let senders = core::mem::take(&mut self.cells[cell].1);
            for sender in &senders {
                if !self.missed() {
                    self.asked(*sender, *from, beacon);
                }
            }
            self.cells[cell].1 = senders;
            return;
        }
        let listeners = core::mem::take(&mut self.cells[cell].0);
        let mut heard = Vec::with_capacity(beacons.len());
        for listener in &listeners {
            heard.clear();
            for beacon in beacons {
                if !self.missed() {
                    heard.push(*beacon);
                }
            }
            self.hear(*listener, &heard);
        }
        self.cells[cell].0 = listeners;
    }

    fn missed(&mut self) -> bool {
        self.network.missed_one_in().is_some_and(|n| self.rng.next_u32().is_multiple_of(n))
    }

    /// A sender receives a solicit of a listener.
    fn asked(&mut self, number: usize, by: usize, beacon: &Beacon) {
        let (sender, listener) = (&mut self.senders[number], &self.listeners[by]);
        let from = SocketAddr::new(address(listener.host), 50_000);
        let Some(running) = &mut sender.running else { return };
        let via = Arrival { from, attached: true, loopback: false };
        if let Some(beacon) = running.advertiser.handle_beacon(instant(self.now), &via, beacon) {
            self.figures.datagrams(1);
            let at = self.network.answer(self.now, sender.host, listener.host);
            self.queue.push(at, Event::Answer { listener: by, from: number, beacon });
        } else {
            self.figures.unanswered += 1;
        }
    }

    /// A listener receives beacons.
    fn hear(&mut self, number: usize, beacons: &[(usize, Beacon)]) {
        let now = instant(self.now);
        let listener = &mut self.listeners[number];
        for (from, beacon) in beacons {
            let from = SocketAddr::new(address(self.senders[*from].host), 50_001);
            listener.browser.handle_beacon(now, &arrival(from), beacon, &mut self.rng);
        }
        match listener.due() {
            Some(at) if at <= self.now => self.tend_listener(number),
            due => self.wake_listener(number, due),
        }
    }

    /// Handles what is due at a listener.
    pub(crate) fn tend_listener(&mut self, number: usize) {
        let now = instant(self.now);
        let host = self.listeners[number].host;
        while let Some(beacon) = self.listeners[number].browser.poll_transmit(now) {
            self.broadcast(host, number, beacon, true);
        }
        while let Some(probe) = self.listeners[number].browser.poll_probe(now, &mut self.rng) {
            self.connect(number, probe);
        }
        let listener = &mut self.listeners[number];
        while let Some(event) = listener.browser.poll_event() {
            if let OfferEvent::Appeared { offer } = event {
                let number = Sender::number(offer.instance);
                self.figures.shown(self.now, listener, &self.senders[number], number);
            }
        }
        let due = listener.due();
        self.wake_listener(number, due);
    }

    fn wake_listener(&mut self, number: usize, due: Option<Micros>) {
        let listener = &mut self.listeners[number];
        if let Some(at) = due {
            let at = at.max(self.now);
            if at != listener.wake || at == self.now {
                listener.wake = at;
                self.queue.push(at, Event::WakeListener { listener: number });
            }
        } else {
            listener.wake = Micros::MAX;
        }
    }
}
