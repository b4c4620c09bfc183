//! A small network in virtual time: one server and its clients, deterministic in a seed.
//!
//! No sockets, no threads, no sleeps. At each time all possible turns are made; then time jumps to the next
//! deadline.
#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(unreachable_pub, reason = "one module of several tests")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed"
)]

pub mod harness;
pub mod pipe;
pub mod receiver;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::drops::{DropEvent, DropSpec};
use deaddrop_core::exchange::{Server, ServerEvent, ServerSession, SessionEvent};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{HOST, Profile};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Token};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use pipe::{Pipe, Weather};
use receiver::{Goal, Outcome, Receiver};

/// The server's tables.
pub type HostServer = Server<24, 4, 64, 136>;
/// The room of the server; clients of other rooms are strangers.
pub const ROOM: u8 = 1;
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

pub fn prs(room: u8) -> Prs {
    RoomSecret::new([room; 32]).prs()
}

pub fn client(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 1, n))
}

pub fn id(n: u8) -> FetchId {
    FetchId::from_bytes([n; 16])
}

/// A generator for values that tests do not check.
pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A connection with both ends.
pub struct Conn {
    pub from: IpAddr,
    pub server: ServerSession,
    pub receiver: Receiver,
    /// The client's guard: every client is a process of its own.
    pub guard: Box<ClientGuard<16>>,
    pub up: Pipe,
    pub down: Pipe,
    /// The server's side is closed: how, and when.
    pub closed: Option<(Close, Instant)>,
    pub events: Vec<SessionEvent>,
    /// The connection on which its receiver continues.
    pub followed_by: Option<usize>,
}

/// The network, the server, its sources, and all connections.
pub struct World {
    pub now: Instant,
    pub rng: ChaCha8Rng,
    pub weather: Weather,
    pub serving: Box<HostServer>,
    pub sources: BTreeMap<Token, Vec<u8>>,
    /// Sources that have changed when their last bytes are read.
    pub changed: BTreeSet<Token>,
    pub conns: Vec<Conn>,
    pub drop_events: Vec<DropEvent>,
    pub warnings: usize,
    /// Until then every connect fails.
    pub outage: Option<(Instant, Instant)>,
    /// Bytes after which the next reconnections break: up, down.
    pub cuts: VecDeque<(Option<usize>, Option<usize>)>,
    /// Fetch ids that got a final record.
    pub whole: BTreeMap<Token, BTreeSet<[u8; 16]>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, &HOST)
    }

    pub fn with(seed: u64, profile: &'static Profile) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Instant::from_millis(1_000_000);
        Self {
            now,
            weather: if seed.is_multiple_of(2) { Weather::ROUGH } else { Weather::CALM },
            serving: Box::new(Server::new(now, prs(ROOM), profile, &mut rng)),
            rng,
            sources: BTreeMap::new(),
            changed: BTreeSet::new(),
            conns: Vec::new(),
            drop_events: Vec::new(),
            warnings: 0,
            outage: None,
            cuts: VecDeque::new(),
            whole: BTreeMap::new(),
        }
    }

    /// Offers random bytes for an hour.
    pub fn put(&mut self, size: usize, fetches: u8) -> Token {
        self.put_for(size, fetches, seconds(3_600))
    }

    pub fn put_for(&mut self, size: usize, fetches: u8, ttl: Duration) -> Token {
        let mut bytes = vec![0; size];
        self.rng.fill_bytes(&mut bytes);
        let name = Name::new("plans.txt").unwrap();
        let spec = DropSpec { kind: Kind::File, name, size: size as u64, ttl, fetches: fetches.into() };
        let token = self.serving.drops.put(self.now, spec, &mut self.rng).unwrap();
        self.sources.insert(token, bytes);
        token
    }

    /// Connects a client at `from`; returns its number.
    pub fn connect(&mut self, from: IpAddr, room: u8, goals: &[Goal]) -> usize {
        let server = self.serving.open(self.now, from, &mut self.rng);
        assert_eq!(server.conn(), ConnId(self.conns.len() as u32));
        let sizes = self.sources.iter().map(|(token, bytes)| (*token, bytes.len() as u64)).collect();
        self.conns.push(Conn {
            from,
            server,
            receiver: Receiver::new(self.now, SERVER, self.serving.instance(), room, goals, sizes),
            guard: Box::new(ClientGuard::new(self.now)),
            up: Pipe::default(),
            down: Pipe::default(),
            closed: None,
            events: Vec::new(),
            followed_by: None,
        });
        self.settle();
        self.conns.len() - 1
    }

    /// Connects a member at an address of its own.
    pub fn member(&mut self, goals: &[Goal]) -> usize {
        let n = self.conns.len() as u8;
        self.connect(client(n), ROOM, goals)
    }

    /// The current connection of the receiver that started on this one.
    pub fn latest(&self, mut n: usize) -> usize {
        while let Some(next) = self.conns[n].followed_by {
            n = next;
        }
        n
    }

    pub fn receiver(&mut self, n: usize) -> &mut Receiver {
        let n = self.latest(n);
        &mut self.conns[n].receiver
    }

    pub fn outcome(&self, n: usize) -> Option<Outcome> {
        self.conns[self.latest(n)].receiver.outcome
    }

    /// A receiver reconnects; an ended one replaces it on the old connection.
    fn reconnect(&mut self, n: usize) {
        let now = self.now;
        if self.outage.is_some_and(|(from, to)| (from..to).contains(&now)) {
            return self.conns[n].receiver.unreachable(now, &mut self.rng);
        }
        let next = self.connect(self.conns[n].from, ROOM, &[]);
        self.conns[next].receiver.outcome = Some(Outcome::Done);
        let (old, new) = self.conns.split_at_mut(next);
        std::mem::swap(&mut old[n].receiver, &mut new[0].receiver);
        old[n].followed_by = Some(next);
        (new[0].up.cut_at, new[0].down.cut_at) = self.cuts.pop_front().unwrap_or_default();
        new[0].receiver.reconnect(now, SERVER, self.serving.instance());
    }

    /// Handles the server's events. True if a connection was woken.
    fn settle(&mut self) -> bool {
        let mut busy = false;
        while let Some(event) = self.serving.poll_event(self.now, &mut self.rng) {
            match event {
                ServerEvent::Wake(ConnId(n)) => {
                    let server = &mut self.conns[n as usize].server;
                    server.handle_wake(self.now, &mut self.serving, &mut self.rng);
                    busy = true;
                }
                ServerEvent::Warning(_) => self.warnings += 1,
                ServerEvent::Drop(event) => self.drop_events.push(event),
                other => panic!("{other:?}"),
            }
        }
        busy
    }

    /// Runs until all receivers are done, or for this long.
    pub fn run(&mut self, most: Duration) {
        let end = self.now + most;
        loop {
            let mut turns = 0;
            while self.turn() {
                turns += 1;
                assert!(turns < 1_000_000, "an endless turn at one time");
            }
            let next = self.next();
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
        }
        if self.conns.iter().any(|c| c.closed.is_none() || c.receiver.outcome.is_none()) {
            self.now = end;
            while self.turn() {}
        }
    }

    /// Advances time and handles all deadlines.
    pub fn wait(&mut self, by: Duration) {
        self.run(by);
        let fresh = self.now + by;
        self.now = fresh;
        while self.turn() {}
    }

    fn turn(&mut self) -> bool {
        let mut busy = false;
        for n in 0..self.conns.len() {
            busy |= self.turn_server(n);
            if self.conns[n].receiver.wants_connection() {
                self.reconnect(n);
                busy = true;
            }
            let conn = &mut self.conns[n];
            let guard = &mut *conn.guard;
            let pipes = (&mut conn.up, &mut conn.down);
            let before = conn.receiver.whole;
            let goal = conn.receiver.goals.first().copied();
            busy |= conn.receiver.turn(self.now, self.weather, &mut self.rng, guard, pipes);
            if let (true, false, Some(Goal::Fetch(token, id))) = (conn.receiver.whole, before, goal) {
                self.whole.entry(token).or_default().insert(*id.as_bytes());
            }
        }
        self.serving.handle_timeout(self.now, &mut self.rng);
        self.settle() || busy
    }

    /// One turn of a server's session, in the order that `session` documents.
    fn turn_server(&mut self, n: usize) -> bool {
        let Conn { server, up, down, closed, events, .. } = &mut self.conns[n];
        let (now, weather, rng, serving) = (self.now, self.weather, &mut self.rng, &mut *self.serving);
        if closed.is_some() {
            return false;
        }
        let mut busy = false;
        let mut broken = false;
        let mut buffer = vec![0; server.record_len()];
        while let Some(len) = server.poll_transmit(now, serving, &mut buffer).unwrap() {
            broken |= !down.write(now, weather, rng, &buffer[..len]);
            buffer.resize(server.record_len(), 0);
            busy = true;
        }
        if down.in_flight() < 200_000
            && let Some(read) = server.poll_read()
        {
            if read.last && self.changed.contains(&read.token) {
                server.handle_changed(now, serving, rng);
            } else {
                let start = usize::try_from(read.offset).unwrap();
                buffer.resize(server.record_len(), 0);
                buffer[..read.len].copy_from_slice(&self.sources[&read.token][start..start + read.len]);
                let len = server.handle_read(now, serving, &mut buffer).unwrap();
                broken |= len > 0 && !down.write(now, weather, rng, &buffer[..len]);
            }
            busy = true;
        }
        if broken {
            up.close(now, Close::Reset);
            down.close(now, Close::Reset);
        }
        if let Some(how) = server.closing() {
            down.close(now, how);
            up.close(now, how);
            server.closed(now, serving);
            *closed = Some((how, now));
            return true;
        }
        if let Some(mut message) = server.wants().and_then(|n| up.read(now, n)) {
            events.extend(server.handle_message(now, serving, rng, &mut message).unwrap());
            busy = true;
        } else if up.ended(now).is_some() && !busy {
            server.handle_close();
            busy = true;
        } else if server.poll_timeout(serving).is_some_and(|at| at <= now) {
            server.handle_timeout(now, serving);
            assert!(server.closing().is_some(), "a deadline without an effect");
            busy = true;
        }
        self.settle() || busy
    }

    fn next(&self) -> Option<Instant> {
        let mut next = self.serving.poll_timeout();
        let mut open = false;
        for conn in &self.conns {
            if conn.receiver.outcome.is_some() && conn.closed.is_some() {
                continue;
            }
            open = true;
            let pipes = Instant::earliest(conn.up.next(self.now), conn.down.next(self.now));
            let clocks = Instant::earliest(conn.receiver.next(), conn.server.poll_timeout(&self.serving));
            next = Instant::earliest(next, Instant::earliest(pipes, clocks));
        }
        next.filter(|_| open).map(|at| if at <= self.now { self.now + Duration::from_millis(1) } else { at })
    }
}
