//! One fetch of a drop as a state machine: available, claimed, final, burned (protocol.md, section 8).
//!
//! Until *final* the receiver lacks the last record, so its claim is a lease that may lapse and pass to
//! another. From *final* on it may hold the whole drop, so this fetch never passes to another receiver.

use core::num::NonZeroU64;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::types::{DropEvent, Lapse};
use crate::limits::{LEASE, READY_TIMEOUT, SLOW_BYTES, SLOW_WINDOW};
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};

/// The sequence of events, and whether the revision has to be redrawn.
pub(super) struct Log {
    next: NonZeroU64,
    /// The set of drops has changed since the revision was drawn.
    pub(super) stale: bool,
}

impl Log {
    pub(super) const fn new() -> Self {
        Self { next: NonZeroU64::MIN, stale: false }
    }

    /// The sequence number of the next event.
    pub(super) fn place(&mut self) -> NonZeroU64 {
        let place = self.next;
        self.next = place.saturating_add(1);
        place
    }
}

/// The state of a fetch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Unclaimed.
    Available,
    /// Held by a receiver that cannot have the whole drop yet.
    Claimed,
    /// Held by a receiver that may have the whole drop.
    Final,
    /// Confirmed.
    Burned,
}

/// One of the fetches a drop allows.
pub(super) struct Fetch {
    state: State,
    /// The fetch id of its receiver; zeros while it is available.
    id: [u8; 16],
    /// The connection of the latest `begin`.
    conn: ConnId,
    /// The latest sign of life of the receiver, from which the lease runs.
    sign: Instant,
    /// When the last data record was written on this connection.
    all_sent: Option<Instant>,
    /// Bytes that the receiver has stored, by its `progress` on this connection.
    stored: u64,
    /// Start of the rate window, and the bytes stored then.
    judged: (Instant, u64),
    /// Events not polled yet, each with its sequence number. One of each kind is enough: see `claim` and
    /// `lapse`.
    claimed: Option<NonZeroU64>,
    lapsed: Option<(NonZeroU64, Lapse, ConnId)>,
    burned: Option<(NonZeroU64, u8)>,
}

impl Fetch {
    pub(super) fn new() -> Self {
        Self {
            state: State::Available,
            id: [0; 16],
            conn: ConnId(0),
            sign: Instant::default(),
            all_sent: None,
            stored: 0,
            judged: (Instant::default(), 0),
            claimed: None,
            lapsed: None,
            burned: None,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Whether it is claimed or final.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self.state, State::Claimed | State::Final)
    }

    /// The connection of its receiver, and the bytes that this receiver says are stored. `None` unless it is
    /// held.
    pub(super) fn receiver(&self) -> Option<(ConnId, u64)> {
        self.is_held().then_some((self.conn, self.stored))
    }

    /// Whether this fetch id holds or burned it.
    pub(super) fn is_of(&self, id: &FetchId) -> bool {
        bool::from(self.id.ct_eq(id.as_bytes())) && self.state != State::Available
    }

    /// Whether this is the connection of the latest `begin`.
    pub(super) fn is_on(&self, conn: ConnId) -> bool {
        self.conn == conn
    }

    /// When and why the claim lapses without a further sign of life. `None` unless it is claimed.
    pub(super) fn lapses(&self, grace_end: Instant) -> Option<(Instant, Lapse)> {
        if self.state != State::Claimed {
            return None;
        }
        let silent = Some((self.sign + LEASE, Lapse::Silent));
        let not_ready = self.all_sent.map(|at| (at + READY_TIMEOUT, Lapse::NotReady));
        let grace = Some((grace_end, Lapse::Grace));
        [silent, not_ready, grace].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// From when on it gives way to another receiver, if the drop is for all of them: at once when burned, and after a
    /// [`LEASE`] of silence when final. `None` otherwise, and while its `burned` event is not polled.
    pub(super) fn gives_way_at(&self) -> Option<Instant> {
        match self.state {
            State::Burned if self.burned.is_none() => Some(self.sign),
            State::Final => Some(self.sign + LEASE),
            _ => None,
        }
    }

    /// available -> claimed.
    pub(super) fn claim(&mut self, now: Instant, id: &FetchId, conn: ConnId, log: &mut Log) {
        // A claim that came and lapsed between two polls gets no event of its own.
        if let (Some(claimed), Some((lapsed, ..))) = (self.claimed, self.lapsed)
            && claimed < lapsed
        {
            self.lapsed = None;
        }
        self.claimed = Some(log.place());
        self.state = State::Claimed;
        self.id.copy_from_slice(id.as_bytes());
        self.begin(now, conn);
    }

    /// A stream begins, the first or a further one. Its offset counts as stored in its first window.
    pub(super) fn begin(&mut self, now: Instant, conn: ConnId) {
        self.conn = conn;
        self.sign = now;
        self.all_sent = None;
        self.stored = 0;
        self.judged = (now, 0);
    }

    /// Handles a `progress`. False if it goes down on this connection.
    pub(super) fn progress(&mut self, now: Instant, stored: u64) -> bool {
        if stored < self.stored {
            return false;
        }
        self.stored = stored;
        self.sign = now;
        true
    }

    /// Whether the receiver is too slow, measured over each [`SLOW_WINDOW`] at the first `progress` after its
    /// end: only `progress` tells what is stored, and silence has its own deadline.
    pub(super) fn is_slow(&mut self, now: Instant) -> bool {
        let (at, before) = self.judged;
        let span = now.since(at);
        if self.state != State::Claimed || self.all_sent.is_some() || span < SLOW_WINDOW {
            return false;
        }
        self.judged = (now, self.stored);
        let gained = u128::from(self.stored.saturating_sub(before));
        gained * SLOW_WINDOW.as_millis() < u128::from(SLOW_BYTES) * span.as_millis()
    }

    /// The last data record was passed to the transport.
    pub(super) fn all_sent(&mut self, now: Instant) {
        self.all_sent.get_or_insert(now);
    }

    /// claimed -> final; final stays so.
    pub(super) fn finalise(&mut self, now: Instant) {
        self.state = State::Final;
        self.sign = now;
    }

    /// Its receiver has confirmed now: the order in which burned fetches give way.
    pub(super) const fn confirmed_at(&mut self, now: Instant) {
        self.sign = now;
    }

    /// final -> burned. The id stays, so that a repeated `commit` is recognised.
    pub(super) fn burn(&mut self, left: u8, log: &mut Log) {
        self.state = State::Burned;
        self.burned = Some((log.place(), left));
    }

    /// claimed -> available.
    pub(super) fn lapse(&mut self, why: Lapse, log: &mut Log) {
        // If an earlier lapse is not polled yet, the claim between the two gets no event either.
        if let (Some(claimed), Some((lapsed, ..))) = (self.claimed, self.lapsed)
            && lapsed < claimed
        {
            self.claimed = None;
        }
        self.lapsed = Some((log.place(), why, self.conn));
        self.clear();
    }

    /// Back to available, unless burned; the id is wiped.
    pub(super) fn clear(&mut self) {
        if self.state != State::Burned {
            self.state = State::Available;
            self.id.zeroize();
        }
    }

    /// The sequence number of its first event not polled yet.
    pub(super) fn first_event(&self) -> Option<NonZeroU64> {
        [self.claimed, self.lapsed.map(|l| l.0), self.burned.map(|b| b.0)].into_iter().flatten().min()
    }

    /// Takes the event with this sequence number.
    pub(super) fn take_event(&mut self, place: NonZeroU64, token: Token) -> Option<DropEvent> {
        if self.claimed.take_if(|p| *p == place).is_some() {
            Some(DropEvent::Claimed { token, conn: self.conn })
        } else if let Some((_, why, conn)) = self.lapsed.take_if(|(p, ..)| *p == place) {
            Some(DropEvent::Lapsed { token, conn, why })
        } else {
            self.burned.take_if(|(p, _)| *p == place).map(|(_, left)| DropEvent::Burned { token, left })
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.id.zeroize();
    }
}
