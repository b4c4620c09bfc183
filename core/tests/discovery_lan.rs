//! Senders and listeners on a LAN that loses, delays, reorders and duplicates datagrams, in virtual time.
//!
//! Probes are answered from the sender's own table of drops after a delay, or fail. Runs are deterministic in
//! the seed; no clock is read and nothing sleeps.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use deaddrop_core::discovery::{Advertiser, Arrival, Browser, OfferEvent, Probe, ProbeError};
use deaddrop_core::drops::{DropSpec, Drops, Fetches, Listed};
use deaddrop_core::exchange::ListEvent;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Beacon, BeaconKind, Ending};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const PORT: u16 = 48_556;

/// The quality of the network.
#[derive(Clone, Copy)]
struct Weather {
    /// Datagrams lost, in percent.
    loss: u32,
    /// Datagrams duplicated, in percent.
    doubled: u32,
    /// Longest delay; each datagram draws its own, so that they are reordered.
    delay: u32,
}

struct Sender {
    address: SocketAddr,
    instance: Instance,
    advertiser: Advertiser<64>,
    drops: Drops<8, 4>,
    /// Cut off: sends nothing and answers nothing.
    dead: bool,
}

struct Listener {
    address: SocketAddr,
    browser: Box<Browser<64, 64, 1024>>,
    shown: BTreeSet<Token>,
    probes: u32,
}

enum Due {
    Beacon { to: usize, from: SocketAddr, beacon: Beacon },
    Solicit { to: usize, from: SocketAddr, beacon: Beacon },
    Probed { by: usize, probe: Probe },
}

struct Lan {
    now: Instant,
    rng: ChaCha20Rng,
    weather: Weather,
    senders: Vec<Sender>,
    listeners: Vec<Listener>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    due: BTreeMap<u64, Due>,
    count: u64,
    datagrams: u64,
}

fn host(n: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, u8::try_from(n / 200).unwrap(), u8::try_from(n % 200 + 1).unwrap()).into()
}

impl Lan {
    fn new(seed: u64, senders: usize, listeners: usize, weather: Weather) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = Instant::from_millis(rng.next_u64() >> 24);
        let senders = (0..senders)
            .map(|n| {
                let instance = Instance::random(&mut rng);
                Sender {
                    address: SocketAddr::new(host(n), PORT),
                    instance,
                    advertiser: Advertiser::new(instance),
                    drops: Drops::new(&mut rng),
                    dead: false,
                }
            })
            .collect();
        let listeners = (0..listeners)
            .map(|n| Listener {
                address: SocketAddr::new(host(400 + n), 50_000),
                browser: Box::new(Browser::new(now, Instance::random(&mut rng))),
                shown: BTreeSet::new(),
                probes: 0,
            })
            .collect();
        let (queue, due) = (BinaryHeap::new(), BTreeMap::new());
        Self { now, rng, weather, senders, listeners, queue, due, count: 0, datagrams: 0 }
    }

    fn put(&mut self, sender: usize, ttl: Duration) -> Token {
        let spec = DropSpec {
            kind: Kind::Message,
            name: Name::default(),
            size: 5,
            ttl,
            fetches: Fetches::Counted(1),
        };
        self.senders[sender].drops.put(self.now, spec, &mut self.rng).unwrap()
    }

    fn schedule(&mut self, after: u32, due: Due) {
        let at = (self.now + Duration::from_millis(after.into())).as_millis();
        self.count += 1;
        self.queue.push(Reverse((at, self.count)));
        self.due.insert(self.count, due);
    }

    /// Sends one datagram through the lossy network.
    fn datagram(&mut self, make: impl Fn() -> Due) {
        self.datagrams += 1;
        let copies = 1 + u32::from(self.rng.next_u32() % 100 < self.weather.doubled);
        for _ in 0..copies {
            if self.rng.next_u32() % 100 >= self.weather.loss {
                let after = self.rng.next_u32() % (self.weather.delay + 1);
                self.schedule(after, make());
            }
        }
    }

    /// Polls all processes until nothing is due.
    fn speak(&mut self) {
        for i in 0..self.senders.len() {
            let sender = &mut self.senders[i];
            if sender.dead {
                continue;
            }
            sender.drops.handle_timeout(self.now, &mut self.rng);
            while sender.drops.poll_event().is_some() {}
            let live = (sender.drops.live() > 0).then(|| (PORT, sender.drops.revision()));
            sender.advertiser.set(self.now, live, &mut self.rng);
            let from = sender.address;
            while let Some(beacon) = self.senders[i].advertiser.poll_transmit(self.now, &mut self.rng) {
                for to in 0..self.listeners.len() {
                    self.datagram(|| Due::Beacon { to, from, beacon });
                }
            }
        }
        for i in 0..self.listeners.len() {
            let from = self.listeners[i].address;
            while let Some(beacon) = self.listeners[i].browser.poll_transmit(self.now) {
                for to in 0..self.senders.len() {
                    self.datagram(|| Due::Solicit { to, from, beacon });
                }
            }
            while let Some(probe) = self.listeners[i].browser.poll_probe(self.now, &mut self.rng) {
                self.listeners[i].probes += 1;
                let after = 5 + self.rng.next_u32() % 30;
                self.schedule(after, Due::Probed { by: i, probe });
            }
            let listener = &mut self.listeners[i];
            listener.browser.handle_timeout(self.now);
            while let Some(event) = listener.browser.poll_event() {
                match event {
                    OfferEvent::Appeared { offer } => {
                        assert!(listener.shown.insert(offer.offer.token), "shown twice");
                    }
                    OfferEvent::Gone { token, .. } => {
                        assert!(listener.shown.remove(&token), "ended, but was not shown");
                    }
                }
            }
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let queued = self.queue.peek().map(|Reverse((at, _))| Instant::from_millis(*at));
        let senders = self.senders.iter().filter(|s| !s.dead);
        let senders = senders
            .flat_map(|s| [s.advertiser.poll_timeout(), s.drops.poll_timeout()])
            .fold(None, Instant::earliest);
        let listeners = self.listeners.iter();
        let listeners = listeners.map(|h| h.browser.poll_timeout()).fold(None, Instant::earliest);
        [queued, senders, listeners].into_iter().fold(None, Instant::earliest)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Beacon { to, from, beacon } => {
                let via = Arrival { from, attached: true, loopback: false };
                self.listeners[to].browser.handle_beacon(self.now, &via, &beacon, &mut self.rng);
            }
            Due::Solicit { to, from, beacon } => {
                assert_eq!(beacon.kind, BeaconKind::Solicit);
                let sender = &mut self.senders[to];
                let via = Arrival { from, attached: true, loopback: false };
                let answer =
                    sender.advertiser.handle_beacon(self.now, &via, &beacon).filter(|_| !sender.dead);
                let by = self.listeners.iter().position(|h| h.address == from).unwrap();
                let from = sender.address;
                if let Some(beacon) = answer {
                    self.datagram(|| Due::Beacon { to: by, from, beacon });
                }
            }
            Due::Probed { by, probe } => {
                let sender =
                    self.senders.iter().find(|s| s.address == probe.peer && s.instance == probe.instance);
                let listener = &mut self.listeners[by];
                let end = match sender.filter(|sender| !sender.dead) {
                    None => Err(ProbeError::Unreachable),
                    Some(sender) => {
                        let mut after = None;
                        while let Some(listed) = sender.drops.listed_after(self.now, after) {
                            after = Some(listed.token());
                            let line = match listed {
                                Listed::Offer(offer) => ListEvent::Offer(offer),
                                Listed::Ending { token, reason } => {
                                    ListEvent::Ending(Ending { token, reason })
                                }
                            };
                            listener.browser.handle_line(self.now, &probe, &line);
                        }
                        assert!(!listener.browser.is_crowded());
                        Ok(sender.drops.revision())
                    }
                };
                listener.browser.handle_probe(self.now, &probe, end);
            }
        }
    }

    /// Runs for `span`; time jumps from deadline to deadline.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let mut still = 0;
        loop {
            self.speak();
            let Some(next) = self.next_moment().filter(|next| *next <= end) else { break };
            still = if next <= self.now { still + 1 } else { 0 };
            assert!(still < 10_000, "time stands still: a timeout stays due");
            self.now = self.now.max(next);
            while let Some(Reverse((at, id))) = self.queue.peek().copied()
                && at <= self.now.as_millis()
            {
                self.queue.pop();
                let due = self.due.remove(&id).unwrap();
                self.happen(due);
            }
        }
        self.now = end;
        self.speak();
    }

    fn assert_shown(&self, tokens: &BTreeSet<Token>) {
        for (n, listener) in self.listeners.iter().enumerate() {
            assert_eq!(&listener.shown, tokens, "listener {n}");
        }
    }
}

const FINE: Weather = Weather { loss: 0, doubled: 0, delay: 2 };
const FOUL: Weather = Weather { loss: 40, doubled: 20, delay: 120 };
const LONG: Duration = Duration::from_secs(3_600);

#[test]
fn on_a_good_network_all_is_shown_within_a_second() {
    for seed in 0..20 {
        let mut lan = Lan::new(seed, 10, 4, FINE);
        let tokens = (0..10).map(|sender| lan.put(sender, LONG)).collect();
        lan.run(Duration::from_secs(1));
        lan.assert_shown(&tokens);
        // Also to a listener that starts later.
        lan.run(Duration::from_secs(30));
        let mut tokens: BTreeSet<Token> = tokens;
        tokens.insert(lan.put(3, LONG));
        lan.run(Duration::from_secs(3));
        lan.assert_shown(&tokens);
    }
}

#[test]
fn loss_delay_reordering_and_duplication_only_delay_discovery() {
    for seed in 0..40 {
        let mut lan = Lan::new(seed, 6, 3, FOUL);
        let mut tokens: BTreeSet<Token> = (0..6).map(|sender| lan.put(sender, LONG)).collect();
        lan.run(Duration::from_secs(20));
        lan.assert_shown(&tokens);
        let first = *tokens.first().unwrap();
        let owner = lan.senders.iter().position(|s| s.drops.fetch_counts(&first).is_some()).unwrap();
        let (now, mut rng) = (lan.now, ChaCha20Rng::seed_from_u64(seed));
        assert!(lan.senders[owner].drops.withdraw(now, &first, &mut rng));
        tokens.remove(&first);
        lan.run(Duration::from_secs(60));
        lan.assert_shown(&tokens);
    }
}

#[test]
fn a_sender_that_is_cut_off_is_lost_and_found_again() {
    for seed in 0..20 {
        let mut lan = Lan::new(seed, 3, 2, FOUL);
        let tokens: BTreeSet<Token> = (0..3).map(|sender| lan.put(sender, LONG)).collect();
        lan.run(Duration::from_secs(20));
        lan.assert_shown(&tokens);
        lan.senders[0].dead = true;
        // 45 s of silence, then three failed connects.
        lan.run(Duration::from_secs(60));
        let rest: BTreeSet<Token> =
            tokens.iter().copied().filter(|t| lan.senders[0].drops.fetch_counts(t).is_none()).collect();
        lan.assert_shown(&rest);
        lan.senders[0].dead = false;
        lan.run(Duration::from_secs(60));
        lan.assert_shown(&tokens);
    }
}

#[test]
fn a_ttl_ends_an_offer_without_a_datagram() {
    let mut lan = Lan::new(1, 1, 2, FINE);
    let token = lan.put(0, Duration::from_secs(5));
    lan.run(Duration::from_secs(1));
    lan.assert_shown(&BTreeSet::from([token]));
    lan.senders[0].dead = true;
    lan.run(Duration::from_secs(5));
    lan.assert_shown(&BTreeSet::new());
}

#[test]
fn a_quiet_hour_costs_little() {
    let mut lan = Lan::new(2, 10, 5, FINE);
    for sender in 0..10 {
        lan.put(sender, Duration::from_secs(2 * 3_600));
    }
    lan.run(Duration::from_secs(3_600));
    for listener in &lan.listeners {
        // One probe of each and no more: nothing changes, and every sender announces every 15 s.
        assert!(listener.probes <= 10, "{} probes", listener.probes);
    }
    // Each of ten senders announces at most every 11.25 s after its burst, to each of five listeners.
    assert!(lan.datagrams < 5 * (10 * 3_600 * 100 / 1_125 + 200), "{} datagrams", lan.datagrams);
}

#[test]
fn the_same_seed_is_the_same_hour() {
    let run = || {
        let mut lan = Lan::new(7, 4, 3, FOUL);
        for sender in 0..4 {
            lan.put(sender, LONG);
        }
        lan.run(Duration::from_secs(60));
        (lan.datagrams, lan.count, lan.now)
    };
    assert_eq!(run(), run());
}
