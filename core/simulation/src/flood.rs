//! A flood of forged beacons against one listener: how long until it shows a new sender, and how often it
//! connects meanwhile.
//!
//! Time passes in steps of a millisecond, core's resolution. Advertiser and browser are core's; a handshake is
//! a delay. A machine at a forged address is dead (no packet comes back), refuses every connect, or accepts it
//! and says nothing. Every second newcomer has an address that is forged as well.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use deaddrop_core::discovery::{Advertiser, Browser, OfferEvent, Probe, ProbeError};
use deaddrop_core::exchange::ListEvent;
use deaddrop_core::limits::GREETING_TIMEOUT;
use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Beacon, BeaconKind};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::listener::{OFFERS, PEERS, SIGHTINGS, arrival};
use crate::sender::{ANSWERED, PORT};

/// The flood lasts this long before the first newcomer, in milliseconds.
const BEFORE: u64 = 20_000;
/// A newcomer that is not shown after this is counted with it, and the next one starts.
const PATIENCE: u64 = 30_000;
/// A listener derives the secret of its room for so long before it probes. Beacons wait meanwhile.
const DERIVING: u64 = 100;
/// Beacons that a socket holds.
const SOCKET: usize = 277;
/// The clock's reading when a run begins, in milliseconds.
const START: u64 = 1_000_000;
/// How long a sender has announced itself at least when its listener starts, in milliseconds: its gaps are 11 s then.
const SETTLED: u64 = 20_000;
/// Where the listener's solicits come from.
const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 78, 255, 254)), 50_000);
/// The next newcomer starts this long after the last one was shown.
const PAUSE: u64 = 1_000;
/// Newcomers of a run.
pub(crate) const NEWCOMERS: u32 = 10;
/// Connect, handshake and list of a sender.
const LISTED_IN: u64 = 6;
/// A refused connect, or a greeting.
const ROUND_TRIP: u64 = 1;

/// The machines at forged addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victims {
    /// No packet comes back.
    Dead,
    /// They refuse connections.
    Refuse,
    /// They accept connections and say nothing.
    Silent,
}

/// How beacons are forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Each with a random instance and port.
    Random,
    /// Each three times, 250 ms and 500 ms apart, with a default port, as a sender does.
    Repeated,
    /// Answers, each with a random instance and port.
    Answers,
    /// Each with a random instance, and with the port of the senders.
    Instances,
}

/// What starts while the flood lasts, ten times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    /// A sender; the listener runs.
    Sender,
    /// A listener; its sender has announced itself for a while.
    Listener,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// Forged beacons a second.
    pub(crate) rate: u64,
    /// Addresses that they come from.
    pub(crate) addresses: u32,
    pub(crate) victims: Victims,
    pub(crate) forgery: Forgery,
    pub(crate) starts: Starts,
    pub(crate) seed: u64,
}

/// What a run gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Milliseconds until each newcomer was shown, in order.
    pub(crate) shown: Vec<u64>,
    /// The most connects within a minute that reached no member.
    pub(crate) connects: u64,
    /// The same to one address.
    pub(crate) to_one: u64,
    /// The most at once.
    pub(crate) at_once: usize,
}

impl Outcome {
    /// The median.
    pub(crate) fn median(&self) -> u64 {
        self.shown.get(self.shown.len() / 2).copied().unwrap_or(PATIENCE)
    }

    /// The longest.
    pub(crate) fn worst(&self) -> u64 {
        self.shown.last().copied().unwrap_or(PATIENCE)
    }
}

/// A sender.
struct Newcomer {
    address: SocketAddr,
    instance: Instance,
    since: u64,
    advertiser: Advertiser<ANSWERED>,
}

/// How a probe ends.
type End = Result<u32, ProbeError>;

struct Run {
    flood: Flood,
    now: u64,
    rng: ChaCha8Rng,
    browser: Box<Browser<PEERS, OFFERS, SIGHTINGS>>,
    /// The forged beacons that are due to be repeated.
    repeats: HashMap<u64, Vec<(SocketAddr, Beacon)>>,
    newcomer: Option<Newcomer>,
    /// The listener derives until then.
    joins: u64,
    /// Beacons that wait for it.
    waiting: Vec<(SocketAddr, Beacon)>,
    started: u32,
    /// Probes under way, by the time of their end.
    ends: HashMap<u64, Vec<(Probe, End)>>,
    under_way: usize,
    connects: Vec<(u64, IpAddr)>,
    outcome: Outcome,
}

fn instant(ms: u64) -> Instant {
    Instant::from_millis(START + ms)
}

/// The tables of a listener, 582 KB. An unoptimised caller would keep a copy of them on its stack for each call.
#[inline(never)]
fn boxed_browser(now: u64, own: Instance) -> Box<Browser<PEERS, OFFERS, SIGHTINGS>> {
    Box::new(Browser::new(instant(now), own))
}

/// A forged address.
fn forged(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a4d_0101 + n).into()
}

impl Flood {
    /// Floods a listener until ten newcomers have been shown.
    pub(crate) fn run(self) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let own = Instance::random(&mut rng);
        let mut run = Run {
            flood: self,
            now: 0,
            browser: boxed_browser(0, own),
            rng,
            repeats: HashMap::new(),
            newcomer: None,
            joins: 0,
            waiting: Vec::new(),
            started: 0,
            ends: HashMap::new(),
            under_way: 0,
            connects: Vec::new(),
            outcome: Outcome::default(),
        };
        let mut next = BEFORE;
        while run.started < NEWCOMERS || run.newcomer.is_some() {
            if run.newcomer.is_none() && run.now >= next {
                run.start();
            }
            run.forge();
            run.announce();
            run.listen();
            if let Some(newcomer) = run.newcomer.as_ref().filter(|n| run.now >= n.since + PATIENCE) {
                run.outcome.shown.push(run.now - newcomer.since);
                run.newcomer = None;
            }
            if run.newcomer.is_some() {
                next = run.now + PAUSE;
            }
            run.now += 1;
        }
        run.finish()
    }
}

impl Run {
    fn start(&mut self) {
        self.started += 1;
        let free = Ipv4Addr::from_bits(0x0a4e_ff00 + self.started).into();
        let taken = forged(self.started * 17 % self.flood.addresses);
        let ip = if self.started.is_multiple_of(2) && self.flood.addresses > 1 { taken } else { free };
        let instance = Instance::random(&mut self.rng);
        let mut advertiser = Advertiser::new(instance);
        let address = SocketAddr::new(ip, PORT);
        if self.flood.starts == Starts::Listener {
            let settled = SETTLED + u64::from(self.rng.next_u32() % 15_000);
            for before in (1..=settled).rev() {
                let then = Instant::from_millis(START + self.now - before);
                advertiser.set(then, Some((PORT, 1)), &mut self.rng);
                while advertiser.poll_transmit(then, &mut self.rng).is_some() {}
            }
            let own = Instance::random(&mut self.rng);
            self.browser = boxed_browser(self.now, own);
            (self.ends, self.under_way) = (HashMap::new(), 0);
            self.joins = self.now + DERIVING;
        }
        self.newcomer = Some(Newcomer { address, instance, since: self.now, advertiser });
    }

    /// The forged beacons of this millisecond.
    fn forge(&mut self) {
        let total = |ms: u64| ms * self.flood.rate / 1_000;
        let mut due = self.repeats.remove(&self.now).unwrap_or_default();
        let count = total(self.now + 1) - total(self.now);
        let fresh = count.saturating_sub(due.len() as u64);
        for _ in 0..fresh {
            let ip = forged(self.rng.next_u32() % self.flood.addresses);
            let instance = Instance::random(&mut self.rng);
            let revision = self.rng.next_u32();
            let kind = match self.flood.forgery {
                Forgery::Answers => BeaconKind::Answer,
                _ => BeaconKind::Announce,
            };
            let port = match self.flood.forgery {
                Forgery::Random | Forgery::Answers => 1_024 + (self.rng.next_u32() % 64_512) as u16,
                Forgery::Repeated => PORT + (self.rng.next_u32() % 16) as u16,
                Forgery::Instances => PORT,
            };
            let from = SocketAddr::new(ip, 48_555);
            let beacon = Beacon { kind, port, instance, revision };
            if self.flood.forgery == Forgery::Repeated {
                for after in [250, 750] {
                    self.repeats.entry(self.now + after).or_default().push((from, beacon));
                }
            }
            due.push((from, beacon));
        }
        due.into_iter().for_each(|(from, beacon)| self.hear(from, beacon));
    }

    /// A beacon arrives.
    fn hear(&mut self, from: SocketAddr, beacon: Beacon) {
        if self.now >= self.joins {
            self.browser.handle_beacon(instant(self.now), &arrival(from), &beacon, &mut self.rng);
        } else if self.waiting.len() < SOCKET {
            self.waiting.push((from, beacon));
        }
    }

    /// The newcomer's beacons, each to two broadcast addresses.
    fn announce(&mut self) {
        let now = instant(self.now);
        let Some(newcomer) = &mut self.newcomer else { return };
        newcomer.advertiser.set(now, Some((PORT, 1)), &mut self.rng);
        let from = SocketAddr::new(newcomer.address.ip(), 48_555);
        let mut due = Vec::new();
        while let Some(beacon) = newcomer.advertiser.poll_transmit(now, &mut self.rng) {
            due.extend([beacon; 2]);
        }
        due.into_iter().for_each(|beacon| self.hear(from, beacon));
    }

    /// Ends probes, starts those that are due, and notes what is shown.
    fn listen(&mut self) {
        let now = instant(self.now);
        while let Some(solicit) = self.browser.poll_transmit(now) {
            let Some(sender) = &mut self.newcomer else { continue };
            if let Some(answer) = sender.advertiser.handle_beacon(now, &arrival(LISTENER), &solicit) {
                let from = SocketAddr::new(sender.address.ip(), 40_000);
                self.hear(from, answer);
            }
        }
        if self.now < self.joins {
            return;
        }
        for (from, beacon) in std::mem::take(&mut self.waiting) {
            self.hear(from, beacon);
        }
        for (probe, end) in self.ends.remove(&self.now).unwrap_or_default() {
            self.under_way -= 1;
            if end.is_ok() {
                let mut token = [0; 16];
                self.rng.fill_bytes(&mut token);
                let offer = Offer {
                    token: Token::from_bytes(token),
                    kind: Kind::Message,
                    name: Name::default(),
                    size: 5,
                    ttl_left: deaddrop_core::limits::TTL_MAX,
                    fetches_left: 1,
                };
                self.browser.handle_line(now, &probe, &ListEvent::Offer(offer));
            }
            self.browser.handle_probe(now, &probe, end);
        }
        self.browser.handle_timeout(now);
        while let Some(event) = self.browser.poll_event() {
            if let OfferEvent::Appeared { offer } = event
                && let Some(newcomer) = self.newcomer.take_if(|n| n.instance == offer.instance)
            {
                self.outcome.shown.push(self.now - newcomer.since);
            }
        }
        if self.browser.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        while let Some(probe) = self.browser.poll_probe(now, &mut self.rng) {
            let (after, end) = self.connect(&probe);
            self.ends.entry(self.now + after.max(1)).or_default().push((probe, end));
            self.under_way += 1;
            self.outcome.at_once = self.outcome.at_once.max(self.under_way);
            if end.is_err() {
                self.connects.push((self.now, probe.peer.ip()));
            }
        }
    }

    /// How long a probe takes, and how it ends.
    fn connect(&self, probe: &Probe) -> (u64, End) {
        let ms = |span: std::time::Duration| span.as_millis() as u64;
        let timeout = ms(instant(self.now).until(probe.connect_by));
        let unreachable = Err(ProbeError::Unreachable);
        match &self.newcomer {
            Some(there) if there.address == probe.peer && there.instance == probe.instance => {
                (LISTED_IN, Ok(1))
            }
            Some(there) if there.address == probe.peer => {
                (ROUND_TRIP, Err(ClientError::Handshake(HandshakeError::OtherInstance).into()))
            }
            Some(there) if there.address.ip() == probe.peer.ip() => (ROUND_TRIP, unreachable),
            _ => match self.flood.victims {
                Victims::Dead => (timeout, unreachable),
                Victims::Refuse => (ROUND_TRIP, unreachable),
                Victims::Silent => (ms(GREETING_TIMEOUT), Err(ClientError::Silent.into())),
            },
        }
    }

    fn finish(self) -> Outcome {
        let Self { mut outcome, connects, .. } = self;
        outcome.shown.sort_unstable();
        let mut from = 0;
        let mut within: HashMap<IpAddr, u64> = HashMap::new();
        for (to, (at, ip)) in connects.iter().enumerate() {
            *within.entry(*ip).or_default() += 1;
            while connects[from].0 + 60_000 <= *at {
                *within.get_mut(&connects[from].1).unwrap() -= 1;
                from += 1;
            }
            outcome.connects = outcome.connects.max((to - from + 1) as u64);
            outcome.to_one = outcome.to_one.max(within[ip]);
        }
        outcome
    }
}

/// The rates, numbers of addresses and kinds of victims of the tables.
pub(crate) fn table(starts: Starts, seed: u64) -> impl Iterator<Item = Flood> {
    let forgeries: &[Forgery] = match starts {
        Starts::Sender => &[Forgery::Random, Forgery::Instances, Forgery::Repeated],
        Starts::Listener => &[Forgery::Random, Forgery::Answers],
    };
    let victims = [Victims::Dead, Victims::Refuse, Victims::Silent];
    forgeries.iter().flat_map(move |&forgery| {
        victims.into_iter().flat_map(move |victims| {
            [1, 200, 55_000].into_iter().flat_map(move |addresses| {
                [10, 100, 2_000, 30_000].into_iter().map(move |rate| Flood {
                    rate,
                    addresses,
                    victims,
                    forgery,
                    starts,
                    seed,
                })
            })
        })
    })
}

/// The head of the table.
pub(crate) const HEAD: &str = "\
| forged | machines there | addresses | packets/s | shown: median | worst of 10 | connects a minute | to one address | at once |
|---|---|--:|--:|--:|--:|--:|--:|--:|";

/// A row of it.
pub(crate) fn row(flood: &Flood, outcome: &Outcome) -> String {
    let forgery = match flood.forgery {
        Forgery::Random => "once each",
        Forgery::Repeated => "as a sender does",
        Forgery::Answers => "answers, once each",
        Forgery::Instances => "instances, once each",
    };
    let victims = match flood.victims {
        Victims::Dead => "none",
        Victims::Refuse => "refuse",
        Victims::Silent => "silent",
    };
    let ms = |ms: u64| if ms >= PATIENCE { "never".to_owned() } else { format!("{ms} ms") };
    format!(
        "| {forgery} | {victims} | {} | {} | {} | {} | {} | {} | {} |",
        flood.addresses,
        flood.rate,
        ms(outcome.median()),
        ms(outcome.worst()),
        outcome.connects,
        outcome.to_one,
        outcome.at_once
    )
}
