//! Which offers are fetched, in which order, and how often each is tried.
//!
//! Hosts take turns: of all that is due, the next is the earliest of the host whose last turn is longest ago, and a host
//! that is new comes after those that wait. So no host waits longer than for one turn of each other host, however many
//! drops they offer. No host has more than [`PER_HOST`] fetches at once, so that slow ones leave room for others.
//!
//! Its size is that of the browser's table of offers, whose every offer is announced as gone in the end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use deaddrop::{Instance, Known, Token};

/// Fetches at once.
pub(super) const PARALLEL: usize = 4;
/// Of them from one host.
pub(super) const PER_HOST: usize = 2;
/// How often a drop is tried that fails.
const ATTEMPTS: u32 = 6;
/// The pause after the first failure. Each further one is four times as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a drop is looked at again because nothing could be saved.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a fetch may take while others wait, beside the time that its bytes take at [`PACE`].
const SLICE: Duration = Duration::from_secs(60);
/// Bytes a second at which a fetch need not give way.
const PACE: u64 = 1 << 20;
/// Drops that have been received and are remembered, so that one for several receivers is not taken twice.
const RECEIVED_MAX: usize = 16_384;

/// Names an offer: a token can be copied by another sender.
pub(super) type Key = (Instance, Token);

/// The key of an offer.
pub(super) fn key(known: &Known) -> Key {
    (known.instance, known.offer.token)
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The drop is here.
    Received,
    /// It cannot be had any more.
    Over,
    /// It is not to be tried again.
    Refused,
    /// It failed.
    Failed,
    /// It gave way to others, and a part of the drop is kept.
    GaveWay,
    /// Nothing can be saved now. It was not claimed, and is looked at again as long as it is offered.
    NotSavable,
    /// There was no room for it, and it is looked at again after a while.
    PutOff(Duration),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting {
        due: Instant,
    },
    Running,
    /// Neither fetched nor tried again.
    Left,
}

struct Entry {
    known: Known,
    number: u64,
    state: State,
    failures: u32,
    /// How often it was due while nothing could be saved.
    not_savable: u32,
    /// It has been put off before.
    put_off: bool,
    /// The offer has ended while it was fetched.
    gone: bool,
}

impl Entry {
    fn host(&self) -> IpAddr {
        self.known.from.ip()
    }

    fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting { due } if due <= now)
    }
}

/// The offers that are to be fetched, and those that have been.
#[derive(Default)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    /// When each host that has entries had its last turn.
    turns: HashMap<IpAddr, u64>,
    /// What was received, until its TTL passes.
    received: HashMap<Key, Instant>,
    /// Numbers entries and turns.
    count: u64,
}

impl Queue {
    /// An offer has appeared, or has changed.
    pub(super) fn offered(&mut self, now: Instant, known: Known) {
        if self.received.contains_key(&key(&known)) {
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| key(&entry.known) == key(&known)) {
            (entry.known, entry.gone) = (known, false);
            self.take_turns();
            return;
        }
        let number = self.next_number();
        let state = State::Waiting { due: now };
        self.entries.push(Entry {
            known,
            number,
            state,
            failures: 0,
            not_savable: 0,
            put_off: false,
            gone: false,
        });
        self.take_turns();
    }

    /// An offer has ended. A fetch of it that is under way goes on.
    pub(super) fn gone(&mut self, gone: Key) {
        self.entries.retain_mut(|entry| {
            let this = key(&entry.known) == gone;
            entry.gone |= this;
            !this || entry.state == State::Running
        });
        self.take_turns();
    }

    /// All offers have ended. Fetches that are under way go on.
    pub(super) fn clear(&mut self) {
        self.entries.retain(|entry| entry.state == State::Running);
        self.entries.iter_mut().for_each(|entry| entry.gone = true);
        self.take_turns();
    }

    /// The offer to fetch now. Each is to be ended.
    pub(super) fn next(&mut self, now: Instant) -> Option<Known> {
        if self.running(|_| true) >= PARALLEL {
            return None;
        }
        let fits = |entry: &&Entry| entry.is_due(now) && self.running_at(entry.host()) < PER_HOST;
        let turn = |entry: &Entry| self.turns.get(&entry.host()).copied().unwrap_or_default();
        let next = self.entries.iter().filter(fits).min_by_key(|entry| (turn(entry), entry.number))?;
        let (number, host) = (next.number, next.host());
        let turn = self.next_number();
        self.turns.insert(host, turn);
        let next = self.entries.iter_mut().find(|entry| entry.number == number)?;
        next.state = State::Running;
        Some(next.known.clone())
    }

    /// A fetch has ended. True if that is to be said: the drop is given up, or is put off for the first time.
    pub(super) fn ended(&mut self, now: Instant, ended: Key, outcome: Outcome) -> bool {
        let Some(at) = self.entries.iter().position(|entry| key(&entry.known) == ended) else { return false };
        let Some(entry) = self.entries.get_mut(at) else { return false };
        let (told, state) = match outcome {
            Outcome::Received => {
                let until = now + entry.known.offer.ttl_left;
                self.remember(now, ended, until);
                (false, None)
            }
            Outcome::Over => (false, None),
            Outcome::Refused => (true, Some(State::Left)),
            Outcome::GaveWay => {
                let host = entry.host();
                self.count += 1;
                self.turns.insert(host, self.count);
                (false, Some(State::Waiting { due: now }))
            }
            Outcome::PutOff(span) => {
                (!std::mem::replace(&mut entry.put_off, true), Some(State::Waiting { due: now + span }))
            }
            Outcome::NotSavable => {
                let pause = pause_after(entry.not_savable).min(PAUSE_MAX);
                entry.not_savable = entry.not_savable.saturating_add(1);
                (false, Some(State::Waiting { due: now + pause }))
            }
            Outcome::Failed => {
                let pause = pause_after(entry.failures);
                entry.failures += 1;
                match entry.failures < ATTEMPTS {
                    true => (false, Some(State::Waiting { due: now + pause })),
                    false => (true, Some(State::Left)),
                }
            }
        };
        match (state, self.entries.get_mut(at)) {
            (Some(state), Some(entry)) if !entry.gone => {
                // Behind the others of its host.
                self.count += 1;
                (entry.state, entry.number) = (state, self.count);
            }
            _ => drop(self.entries.remove(at)),
        }
        self.take_turns();
        told
    }

    /// Whether a fetch that began at `since` and has received this much is to give way: others wait for its place, and it
    /// is slow.
    pub(super) fn is_to_give_way(&self, now: Instant, key: Key, since: Instant, received: u64) -> bool {
        let slow = now >= since + SLICE + Duration::from_millis(received.saturating_mul(1_000) / PACE);
        slow && self.is_waited_for(now, key)
    }

    fn is_waited_for(&self, now: Instant, running: Key) -> bool {
        let Some(running) = self.entries.iter().find(|entry| key(&entry.known) == running) else {
            return false;
        };
        let (host, full) = (running.host(), self.running(|_| true) >= PARALLEL);
        self.entries.iter().filter(|entry| entry.is_due(now)).any(|other| {
            let there = self.running_at(other.host());
            if other.host() == host { full || there >= PER_HOST } else { full && there < PER_HOST }
        })
    }

    /// When the next offer becomes due that is not yet.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.entries.iter().filter_map(|entry| match entry.state {
            State::Waiting { due } if due > now => Some(due),
            _ => None,
        });
        due.min()
    }

    fn running(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| entry.state == State::Running && which(entry)).count()
    }

    fn running_at(&self, host: IpAddr) -> usize {
        self.running(|entry| entry.host() == host)
    }

    /// Gives each new host the turn after those that are there, and forgets those that have nothing.
    fn take_turns(&mut self) {
        let Self { entries, turns, count, .. } = self;
        turns.retain(|host, _| entries.iter().any(|entry| entry.host() == *host));
        for entry in entries {
            turns.entry(entry.host()).or_insert_with(|| {
                *count += 1;
                *count
            });
        }
    }

    fn remember(&mut self, now: Instant, key: Key, until: Instant) {
        if self.received.len() >= RECEIVED_MAX {
            self.received.retain(|_, until| *until > now);
        }
        if self.received.len() >= RECEIVED_MAX
            && let Some(first) =
                self.received.iter().min_by_key(|(_, until)| **until).map(|(first, _)| *first)
        {
            self.received.remove(&first);
        }
        self.received.insert(key, until);
    }

    fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// The pause after one more failure than these.
fn pause_after(failures: u32) -> Duration {
    PAUSE.saturating_mul(4_u32.saturating_pow(failures))
}

#[cfg(test)]
mod tests;
