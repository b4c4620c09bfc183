//! The server's guard: connection slots, guess tokens and parking (protocol.md, sections 4.4 and 4.5).
//!
//! A connection is admitted, sends message 2, and then needs a guess token before Yb is computed. The token
//! returns when message 4 opens, so members spend none. A connection without a token is parked. After every
//! call, drain [`Guard::poll_granted`], then [`Guard::poll_warning`].
//!
//! A known-good source has a bucket of its own, which strangers cannot empty. All of those share a total,
//! since an attacker that relays members' handshakes becomes known-good itself (decision 0013). All other
//! sources share the main total. A new token of it goes to a random *source* among the parked, so that
//! opening many connections gains nothing, and a new connection never overtakes the parked. When all parking
//! slots are in use, eviction takes from a source that holds more of them than the new connection's.

use crate::token::ConnId;
use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;
use rand_core::CryptoRng;

use super::alarm::Alarm;
use super::sources::{Key, Origin, Source, Sources};
use crate::limits::{BUSY_RETRY_AFTER, Profile, WARN_TOTAL};
use crate::random::below;
use crate::time::Instant;

/// The decision on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admission {
    /// Greet it with ok.
    Open,
    /// Greet it with ok, and close this other one, which is evicted: the guard has forgotten it.
    Evict(ConnId),
    /// Greet it with busy, and close it.
    Busy {
        /// The retry-after of the greeting.
        retry_after: Duration,
    },
}

/// The decision on a connection whose message 2 has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Guess {
    /// It has a token: compute and send Yb.
    Granted,
    /// It is parked until [`Guard::poll_granted`] names it.
    Parked,
    /// It is parked, and evicts this other one: close that; the guard has forgotten it.
    ParkedFor(ConnId),
    /// There is no token and no parking slot, or the guard does not know it: close it.
    Refused,
}

/// The state of a connection that has not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The guard does not know it: it was never admitted, has authenticated, is closed, or was evicted.
    Unknown,
    /// It has not sent message 2, or is parked.
    Waiting,
    /// It has its guess token.
    Granted,
}

/// A warning for the user of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Warning {
    /// The passphrase seems to be under a guessing attack.
    Guessing {
        /// The source; `None` if there are many.
        source: Option<IpAddr>,
        /// Failed guesses since the last minute without any.
        failures: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before message 2.
    Open,
    /// Parked: waits for a token.
    Parked,
    /// Has its token, which [`Guard::poll_granted`] has not reported yet.
    Handed(Origin),
    /// Has its token.
    Guessing(Origin),
}

struct Conn {
    id: ConnId,
    source: Source,
    state: State,
    /// When it entered this state.
    since: Instant,
}

/// The guard of a server: token buckets of up to `S` sources, and slots for `C` unauthenticated connections,
/// the parked among them.
pub struct Guard<const S: usize, const C: usize> {
    profile: &'static Profile,
    /// In order of arrival.
    conns: Vec<Conn, C>,
    sources: Sources<S>,
    alarm: Alarm<{ WARN_TOTAL as usize }>,
    /// The latest time passed in.
    now: Instant,
}

impl<const S: usize, const C: usize> Guard<S, C> {
    /// Full buckets and no connections.
    pub fn new(profile: &'static Profile, now: Instant) -> Self {
        const { assert!(S > 0 && C > 0) };
        Self { profile, conns: Vec::new(), sources: Sources::new(profile, now), alarm: Alarm::new(), now }
    }

    /// Decides on a connection that was accepted.
    pub fn admit(&mut self, now: Instant, conn: ConnId, source: impl Into<Source>) -> Admission {
        let busy = Admission::Busy { retry_after: BUSY_RETRY_AFTER };
        self.closed(now, conn);
        let source = source.into();
        let key = source.key;
        if self.parking_full() && !self.served_at_once(now, key) && self.displaced_by(key).is_none() {
            return busy;
        }
        let mut evicted = None;
        if self.conns.is_full() || self.unauthenticated() >= self.profile.unauthenticated {
            let Some(other) = self.evictable() else { return busy };
            // If it was sent Yb, it may have tested a guess.
            self.failed(now, other);
            evicted = Some(other);
        }
        match (self.conns.push(Conn { id: conn, source, state: State::Open, since: now }), evicted) {
            (Ok(()), None) => Admission::Open,
            (Ok(()), Some(other)) => Admission::Evict(other),
            (Err(_), _) => busy,
        }
    }

    /// Message 2 has arrived: takes a guess token, or parks the connection until there is one.
    pub fn message2(&mut self, now: Instant, conn: ConnId) -> Guess {
        self.now = self.now.max(now);
        let Some((at, &Conn { source, state, .. })) = self.find(conn) else { return Guess::Refused };
        let key = source.key;
        if state != State::Open || !self.sources.enter(now, source) {
            return Guess::Refused;
        }
        if self.served_at_once(now, key)
            && let Some(origin) = self.sources.offers(now, key)
            && self.sources.lend(now, key, origin)
        {
            self.set(at, State::Guessing(origin));
            return Guess::Granted;
        }
        if self.profile.parked == 0 {
            return Guess::Refused;
        }
        if !self.parking_full() {
            self.park(at, key);
            return Guess::Parked;
        }
        let Some(out) = self.displaced_by(key) else { return Guess::Refused };
        self.park(at, key);
        self.closed(now, out);
        Guess::ParkedFor(out)
    }

    /// A parked connection that now has its token: compute and send Yb. Call until `None`.
    pub fn poll_granted(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<ConnId> {
        self.now = self.now.max(now);
        for conn in &mut self.conns {
            if let State::Handed(origin) = conn.state {
                (conn.state, conn.since) = (State::Guessing(origin), self.now);
                return Some(conn.id);
            }
        }
        // A random one of the parked sources that can be served, uniformly.
        let mut chosen = None;
        let mut able = 0_u32;
        for at in 0..self.conns.len() {
            let Some(key) = self.first_of_parked(at) else { continue };
            if let Some(origin) = self.sources.offers(now, key) {
                able += 1;
                if below(rng, able) == 0 {
                    chosen = Some((at, key, origin));
                }
            }
        }
        let (at, key, origin) = chosen?;
        if !self.sources.lend(now, key, origin) {
            return None;
        }
        self.unpark(at, key, State::Guessing(origin));
        self.conns.get(at).map(|c| c.id)
    }

    /// The state of a connection.
    pub fn standing(&self, conn: ConnId) -> Standing {
        match self.find(conn) {
            None => Standing::Unknown,
            Some((_, Conn { state: State::Guessing(_), .. })) => Standing::Granted,
            Some(_) => Standing::Waiting,
        }
    }

    /// Message 4 has opened, so the peer is a member. Its token returns to the bucket or goes to a parked
    /// connection of the same source.
    pub fn confirmed(&mut self, now: Instant, conn: ConnId) {
        self.now = self.now.max(now);
        let Some((at, &Conn { source: Source { key, .. }, state, .. })) = self.find(conn) else { return };
        if let State::Guessing(origin) = state {
            self.conns.remove(at);
            self.sources.good(now, key);
            self.hand_over(now, key, origin);
        } else {
            self.closed(now, conn);
        }
    }

    /// Message 4 did not open, or did not come although Yb was sent: a failed guess.
    pub fn failed(&mut self, now: Instant, conn: ConnId) {
        self.now = self.now.max(now);
        let Some((at, &Conn { source, state, .. })) = self.find(conn) else { return };
        let State::Guessing(origin) = state else { return self.closed(now, conn) };
        let key = source.key;
        self.conns.remove(at);
        self.sources.spend(now, key, origin);
        self.alarm.failed(now);
        if let Some(entry) = self.sources.get_mut(key) {
            entry.address = source.address;
            entry.alarm.failed(now);
        }
    }

    /// The connection has ended before Yb was sent: returns its token, if it had one.
    pub fn closed(&mut self, now: Instant, conn: ConnId) {
        self.now = self.now.max(now);
        let Some((at, &Conn { source: Source { key, .. }, state, .. })) = self.find(conn) else { return };
        if state == State::Parked {
            self.unpark(at, key, State::Open);
        }
        self.conns.remove(at);
        if let State::Handed(origin) | State::Guessing(origin) = state {
            self.hand_over(now, key, origin);
        }
    }

    /// The warnings, each once. Call until `None`.
    pub fn poll_warning(&mut self, _now: Instant) -> Option<Warning> {
        if let Some(failures) = self.alarm.poll() {
            return Some(Warning::Guessing { source: None, failures });
        }
        self.sources.iter_mut().find_map(|s| {
            let failures = s.alarm.poll()?;
            Some(Warning::Guessing { source: Some(s.address), failures })
        })
    }

    /// When [`Self::poll_granted`] should next be called, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.conns.iter().any(|c| matches!(c.state, State::Handed(_))) {
            return Some(self.now);
        }
        self.sources.ready_at(self.now).map(|at| at.max(self.now))
    }

    fn find(&self, conn: ConnId) -> Option<(usize, &Conn)> {
        self.conns.iter().enumerate().find(|(_, c)| c.id == conn)
    }

    fn set(&mut self, at: usize, state: State) {
        if let Some(conn) = self.conns.get_mut(at) {
            (conn.state, conn.since) = (state, self.now);
        }
    }

    fn park(&mut self, at: usize, key: Key) {
        self.set(at, State::Parked);
        if let Some(source) = self.sources.get_mut(key) {
            source.parked += 1;
        }
    }

    fn unpark(&mut self, at: usize, key: Key, state: State) {
        self.set(at, state);
        if let Some(source) = self.sources.get_mut(key) {
            source.parked = source.parked.saturating_sub(1);
        }
    }

    fn parked(&self) -> usize {
        self.conns.iter().filter(|c| c.state == State::Parked).count()
    }

    fn parking_full(&self) -> bool {
        self.profile.parked > 0 && self.parked() >= self.profile.parked
    }

    fn unauthenticated(&self) -> usize {
        self.conns.len() - self.parked()
    }

    /// The source of the parked connection at index `at`, if that is the first of its source.
    fn first_of_parked(&self, at: usize) -> Option<Key> {
        let conn = self.conns.get(at).filter(|c| c.state == State::Parked)?;
        let before = self.conns.iter().take(at);
        (!before.into_iter().any(|c| c.state == State::Parked && c.source.key == conn.source.key))
            .then_some(conn.source.key)
    }

    /// Whether there is a token for this source that is not due to a parked connection.
    fn served_at_once(&self, now: Instant, key: Key) -> bool {
        if self.sources.parked(key) > 0 {
            return false;
        }
        match self.sources.offers(now, key) {
            None => false,
            Some(Origin::Known) => true,
            Some(Origin::Common) => !(0..self.conns.len()).any(|at| {
                self.first_of_parked(at)
                    .is_some_and(|other| self.sources.offers(now, other) == Some(Origin::Common))
            }),
        }
    }

    /// Picks a parked connection to evict: the youngest of the source with most of them, if that has at least
    /// two more than the new connection's source. Between equals the new connection gets busy.
    fn displaced_by(&self, key: Key) -> Option<ConnId> {
        let (greedy, most) = self.sources.most_parked()?;
        if most < self.sources.parked(key) + 2 {
            return None;
        }
        self.conns.iter().rev().find(|c| c.state == State::Parked && c.source.key == greedy).map(|c| c.id)
    }

    /// Picks an unauthenticated connection to evict: the oldest without message 2, of the source that holds
    /// most. If all have sent message 2, the oldest whose message 4 is overdue, likewise: otherwise a few
    /// handshakes a second that are never finished would hold all slots until their deadline.
    fn evictable(&self) -> Option<ConnId> {
        let held = |key: Key| self.conns.iter().filter(|c| c.source.key == key).count();
        let open = |c: &&Conn| c.state == State::Open;
        let late = |c: &&Conn| {
            matches!(c.state, State::Guessing(_)) && self.now.since(c.since) >= self.profile.proof_patience
        };
        // `max_by_key` takes the last of equals; in reverse order, that is the oldest.
        let first = self.conns.iter().rev().filter(open).max_by_key(|c| held(c.source.key));
        first
            .or_else(|| self.conns.iter().rev().filter(late).max_by_key(|c| held(c.source.key)))
            .map(|c| c.id)
    }

    fn hand_over(&mut self, now: Instant, key: Key, origin: Origin) {
        let waiting = self.conns.iter().position(|c| c.state == State::Parked && c.source.key == key);
        match waiting {
            Some(at) => self.unpark(at, key, State::Handed(origin)),
            None => self.sources.give_back(now, key, origin),
        }
    }
}

#[cfg(test)]
mod tests;
