//! One fetch of a drop, and the claim on it: available, claimed, final, burned.
//!
//! Until *final* the receiver lacks the last record, so the claim may lapse and another may have the
//! fetch. From *final* on it may hold the whole drop, so nobody else ever gets this fetch.

use core::num::NonZeroU64;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::types::{DropEvent, Lapse};
use crate::limits::{LEASE, READY_TIMEOUT, SLOW_BYTES, SLOW_WINDOW};
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};

/// The order in which things happen, and whether the revision still has to follow them.
pub(super) struct Log {
    next: NonZeroU64,
    /// The set of drops changed since the revision was drawn.
    pub(super) stale: bool,
}

impl Log {
    pub(super) const fn new() -> Self {
        Self { next: NonZeroU64::MIN, stale: false }
    }

    /// The place of the next event among all.
    pub(super) fn place(&mut self) -> NonZeroU64 {
        let place = self.next;
        self.next = place.saturating_add(1);
        place
    }
}

/// Where a fetch stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody holds it.
    Available,
    /// Held by a receiver that cannot have the whole drop.
    Claimed,
    /// Held by one that may.
    Final,
    /// Confirmed.
    Burned,
}

/// One of the fetches a drop allows.
pub(super) struct Fetch {
    state: State,
    /// Whose it is, unless it is available; then zeros.
    id: [u8; 16],
    /// The connection of the latest `begin`.
    conn: ConnId,
    /// The latest sign of the receiver.
    sign: Instant,
    /// When the last data record was handed over on this connection.
    all_sent: Option<Instant>,
    /// What the receiver says it has stored, on this connection.
    stored: u64,
    /// When the rate was judged last, and what was stored then.
    judged: (Instant, u64),
    /// Events that nobody has polled, each with its place. One of a kind is enough: see `claim` and `lapse`.
    claimed: Option<NonZeroU64>,
    lapsed: Option<(NonZeroU64, Lapse)>,
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

    /// Whether this fetch id holds or burned it.
    pub(super) fn is_of(&self, id: &FetchId) -> bool {
        bool::from(self.id.ct_eq(id.as_bytes())) && self.state != State::Available
    }

    /// Whether its receiver was begun on this connection, and not on a newer one since.
    pub(super) fn is_on(&self, conn: ConnId) -> bool {
        self.conn == conn
    }

    /// When the claim lapses if nothing more is heard, and why. Never, unless it is claimed.
    pub(super) fn lapses(&self, grace_end: Instant) -> Option<(Instant, Lapse)> {
        if self.state != State::Claimed {
            return None;
        }
        let silent = Some((self.sign + LEASE, Lapse::Silent));
        let not_ready = self.all_sent.map(|at| (at + READY_TIMEOUT, Lapse::NotReady));
        let grace = Some((grace_end, Lapse::Grace));
        [silent, not_ready, grace].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// available -> claimed.
    pub(super) fn claim(&mut self, now: Instant, id: &FetchId, conn: ConnId, log: &mut Log) {
        // A claim that came and lapsed before anyone polled is not worth a place of its own.
        if let (Some(claimed), Some((lapsed, _))) = (self.claimed, self.lapsed)
            && claimed < lapsed
        {
            self.lapsed = None;
        }
        self.claimed = Some(log.place());
        self.state = State::Claimed;
        self.id.copy_from_slice(id.as_bytes());
        self.begin(now, conn);
    }

    /// A stream begins, the first one or another. What it resumes from counts as stored in its first window.
    pub(super) fn begin(&mut self, now: Instant, conn: ConnId) {
        self.conn = conn;
        self.sign = now;
        self.all_sent = None;
        self.stored = 0;
        self.judged = (now, 0);
    }

    /// Takes in what the receiver has stored. False if that is less than it said before on this connection.
    pub(super) fn progress(&mut self, now: Instant, stored: u64) -> bool {
        if stored < self.stored {
            return false;
        }
        self.stored = stored;
        self.sign = now;
        true
    }

    /// Whether the receiver turns out too slow, judged over each [`SLOW_WINDOW`] or as soon after as it gives a
    /// sign: what it has stored is only known then, and silence has a deadline of its own.
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

    /// The last data record was handed to the transport.
    pub(super) fn all_sent(&mut self, now: Instant) {
        self.all_sent.get_or_insert(now);
    }

    /// claimed -> final; final stays so.
    pub(super) fn finalise(&mut self, now: Instant) {
        self.state = State::Final;
        self.sign = now;
    }

    /// final -> burned. The id stays, to know its receiver by when it asks again.
    pub(super) fn burn(&mut self, left: u8, log: &mut Log) {
        self.state = State::Burned;
        self.burned = Some((log.place(), left));
    }

    /// claimed -> available.
    pub(super) fn lapse(&mut self, why: Lapse, log: &mut Log) {
        // If an earlier lapse waits to be polled, the claim between the two needs no place either.
        if let (Some(claimed), Some((lapsed, _))) = (self.claimed, self.lapsed)
            && lapsed < claimed
        {
            self.claimed = None;
        }
        self.lapsed = Some((log.place(), why));
        self.clear();
    }

    /// Back to available, unless burned; the id is wiped.
    pub(super) fn clear(&mut self) {
        if self.state != State::Burned {
            self.state = State::Available;
            self.id.zeroize();
        }
    }

    /// The place of its first event that nobody has polled.
    pub(super) fn first_event(&self) -> Option<NonZeroU64> {
        [self.claimed, self.lapsed.map(|l| l.0), self.burned.map(|b| b.0)].into_iter().flatten().min()
    }

    /// The event at this place.
    pub(super) fn take_event(&mut self, place: NonZeroU64, token: Token) -> Option<DropEvent> {
        if self.claimed.take_if(|p| *p == place).is_some() {
            Some(DropEvent::Claimed { token })
        } else if let Some((_, why)) = self.lapsed.take_if(|(p, _)| *p == place) {
            Some(DropEvent::Lapsed { token, why })
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
