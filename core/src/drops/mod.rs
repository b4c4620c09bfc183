//! The table of drops: offers, claims, and how drops end (protocol.md, section 8).
//!
//! A drop allows N fetches. Each goes `available -> claimed -> final -> burned`, or from `claimed` back to
//! `available` when its lease runs out; the four always add up to N. A receiver gets the final record only
//! after its fetch is *final*, and *final* never goes back. So at most N receivers can ever hold the whole
//! drop, and a broken transfer does not lose it.
//!
//! A drop for [all](Fetches::All) receivers has as many places as the table has fetches for a drop. When none is available,
//! a burned one is used again, then a final one whose receiver is silent. So the fetch ids of the latest receivers alone are
//! remembered.
//!
//! # Use
//!
//! After every call, poll events until there are none. Then arm a timer for
//! [`poll_timeout`](Drops::poll_timeout) and call [`handle_timeout`](Drops::handle_timeout) when it fires. A
//! late timer only delays events: every call first applies all deadlines up to its `now`, in order and with
//! their own times.
//!
//! Events are flags in the entries, so there is no queue to overflow. If the caller does not poll after every
//! call, a claim that came and lapsed in between may go unreported, as a pair. Burned fetches and ended drops
//! are always reported.

mod claim;
mod entry;
mod types;

#[cfg(test)]
mod tests;

use core::array;

use rand_core::CryptoRng;

pub use types::{
    Claimed, Committed, DropEvent, DropSpec, FetchCounts, Fetches, Lapse, Listed, PutError, Refusal,
};

use crate::limits::{FETCHES_MAX, TTL_MAX, TTL_MIN};
use crate::offer::EndReason;
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};
use claim::Log;
use entry::Entry;

/// Tokens drawn before the generator counts as broken; a sound one never collides.
const TOKEN_DRAWS: usize = 4;

/// Up to `D` drops, live and recently ended, of up to `F` fetches each.
pub struct Drops<const D: usize, const F: usize> {
    /// Entries never move, so that wiping one leaves no copy behind.
    entries: [Option<Entry<F>>; D],
    log: Log,
    revision: u32,
    /// The latest time passed in. Time is monotonic here even if the caller's is not.
    latest: Instant,
    busy_told: Option<Instant>,
}

impl<const D: usize, const F: usize> Drops<D, F> {
    /// No drops yet, and a random revision.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            entries: array::from_fn(|_| None),
            log: Log::new(),
            revision: rng.next_u32(),
            latest: Instant::default(),
            busy_told: None,
        }
    }

    /// Puts a drop on the table. If the table is full, evicts the drop that ended first.
    pub fn put(&mut self, now: Instant, spec: DropSpec, rng: &mut impl CryptoRng) -> Result<Token, PutError> {
        let now = self.advance(now);
        let most = u8::try_from(F.min(FETCHES_MAX)).unwrap_or(u8::MAX);
        if !(TTL_MIN..=TTL_MAX).contains(&spec.ttl) {
            return Err(PutError::Ttl);
        }
        match spec.fetches {
            Fetches::Counted(count) if (1..=most).contains(&count) => {}
            // With one place there would be nothing to tell a repeated `commit` by. It also spares boards the code.
            Fetches::All if F > 1 => {}
            _ => return Err(PutError::Fetches { most }),
        }
        let token = (0..TOKEN_DRAWS)
            .map(|_| Token::random(rng))
            .find(|token| !self.all().any(|entry| entry.token() == token))
            .ok_or(PutError::Randomness)?;
        let place = self.place().ok_or(PutError::Full)?;
        *place = Some(Entry::new(now, token, spec));
        self.log.stale = true;
        self.redraw(rng);
        Ok(token)
    }

    /// A free entry, else the one of the drop that ended first.
    fn place(&mut self) -> Option<&mut Option<Entry<F>>> {
        let ended = |place: &Option<Entry<F>>| match place {
            None => Some(None),
            Some(entry) => entry.forgettable().map(Some),
        };
        // `None`, an empty entry, sorts before any time.
        self.entries.iter_mut().filter(|place| ended(place).is_some()).min_by_key(|place| ended(place))
    }

    /// Withdraws the drop. False if there is none, or it has ended already.
    pub fn withdraw(&mut self, now: Instant, token: &Token, rng: &mut impl CryptoRng) -> bool {
        self.end(now, token, false, rng)
    }

    /// The drop's source has changed: withdraws it, and answers requests for it with `changed`.
    pub fn changed(&mut self, now: Instant, token: &Token, rng: &mut impl CryptoRng) {
        self.end(now, token, true, rng);
    }

    fn end(&mut self, now: Instant, token: &Token, changed: bool, rng: &mut impl CryptoRng) -> bool {
        let now = self.advance(now);
        let ended =
            self.find(token).is_ok_and(|(entry, log)| entry.end(now, EndReason::Withdrawn, changed, log));
        self.redraw(rng);
        ended
    }

    /// Redrawn whenever the set of drops changes.
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// Number of drops that still accept or hold claims.
    pub fn live(&self) -> usize {
        self.all().filter(|entry| entry.is_live()).count()
    }

    /// The states of a drop's fetches. After it ended: burned ones, and others that are lost.
    pub fn fetch_counts(&self, token: &Token) -> Option<FetchCounts> {
        self.all().find(|entry| entry.token() == token).map(Entry::fetch_counts)
    }

    /// The receivers of a drop's claimed and final fetches: the connection of the latest `begin`, and the bytes
    /// stored by the latest `progress` on it, 0 before the first.
    pub fn receivers(&self, token: &Token) -> impl Iterator<Item = (ConnId, u64)> {
        self.all().filter(move |entry| entry.token() == token).flat_map(Entry::receivers)
    }

    /// How often a claim of the drop ended because its receiver asked to resume after bytes that it does not
    /// hold: [`Lapse::WrongPrefix`].
    pub fn wrong_prefixes(&self, token: &Token) -> Option<u32> {
        self.all().find(|entry| entry.token() == token).map(Entry::wrong_prefixes)
    }

    /// The next line of a list after a token, in the order of tokens.
    ///
    /// Offers are drops that can be claimed, or could be if a claim lapsed. Endings are listed for
    /// [`ENDING_LISTED`](crate::limits::ENDING_LISTED).
    pub fn listed_after(&self, now: Instant, after: Option<Token>) -> Option<Listed> {
        let now = now.max(self.latest);
        let mut next: Option<Listed> = None;
        for entry in self.all() {
            let sooner = next.as_ref().is_none_or(|next| *entry.token() < next.token());
            if sooner && after.is_none_or(|after| *entry.token() > after) {
                next = entry.listed(now).or(next);
            }
        }
        next
    }

    /// Claims a fetch of the drop for `id`, or takes over the claim that it holds on another connection.
    pub fn claim(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<Claimed, Refusal> {
        let now = self.advance(now);
        let (entry, log) = self.find(token)?;
        let claimed = entry.claim(now, id, conn, log);
        if let Err(Refusal::Busy { .. }) = claimed {
            self.busy_told = Some(now);
        }
        claimed
    }

    /// Whether this id holds or has burned a fetch of the drop.
    pub fn knows(&self, token: &Token, id: &FetchId) -> bool {
        self.all().any(|entry| entry.token() == token && entry.knows(id))
    }

    /// Notes that a receiver is told that a drop is busy, for another reason than a claim.
    pub(crate) fn note_busy(&mut self, now: Instant) {
        self.busy_told = Some(self.latest.max(now));
    }

    /// When a receiver was last told that a drop is busy. It will ask again soon.
    pub const fn busy_told(&self) -> Option<Instant> {
        self.busy_told
    }

    /// Handles `progress`: renews the lease. An error ends the exchange.
    pub fn progress(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
        stored: u64,
    ) -> Result<(), Refusal> {
        let now = self.advance(now);
        let (entry, log) = self.find(token)?;
        entry.progress(now, id, conn, stored, log)
    }

    /// The last data record was passed to the transport: `ready` is due within
    /// [`READY_TIMEOUT`](crate::limits::READY_TIMEOUT).
    pub fn all_sent(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<(), Refusal> {
        let now = self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.all_sent(now, id, conn)
    }

    /// Whether `id` still holds the drop on this connection. Does not renew the lease.
    pub fn holds(&mut self, now: Instant, token: &Token, id: &FetchId, conn: ConnId) -> Result<(), Refusal> {
        self.give(now, token, id, conn, 0)
    }

    /// Hands out data records that end at the offset `end`: later fetches may resume up to there. Write none of
    /// their bytes before this succeeds.
    pub fn give(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
        end: u64,
    ) -> Result<(), Refusal> {
        self.hand_out(now, token, id, conn, Some(end))
    }

    /// As [`give`](Self::give), or as [`finalise`](Self::finalise) for the final record, which is `None`.
    pub(crate) fn hand_out(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
        data: Option<u64>,
    ) -> Result<(), Refusal> {
        let now = self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.hand_out(now, id, conn, data)
    }

    /// The holder does not hold the bytes after which it asked to resume: its claim lapses, and its fetch id takes
    /// no other. Once the claim is final, nothing changes.
    #[inline]
    pub fn refute(&mut self, now: Instant, token: &Token, id: &FetchId, conn: ConnId) -> Result<(), Refusal> {
        match self.end_claim(now, token, id, conn, true) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// The description of the drop that `id` holds on this connection. Does not renew the lease.
    pub(crate) fn claimed(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<Claimed, Refusal> {
        let now = self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.hand_out(now, id, conn, Some(0)).map(|()| entry.claimed())
    }

    /// Makes the claim final. Write no byte of the final record before this succeeds.
    ///
    /// Idempotent: succeeds again on the same connection, and on a newer one that has claimed with the same
    /// id.
    pub fn finalise(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<(), Refusal> {
        self.hand_out(now, token, id, conn, None)
    }

    /// Handles `commit`, on any connection: the receiver holds the whole drop.
    pub fn commit(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        rng: &mut impl CryptoRng,
    ) -> Result<Committed, Refusal> {
        let now = self.advance(now);
        let committed = self.find(token).and_then(|(entry, log)| entry.commit(now, id, log));
        self.redraw(rng);
        committed
    }

    /// Handles `release`. False, and nothing changes, once the claim is final.
    pub fn release(&mut self, now: Instant, token: &Token, id: &FetchId, conn: ConnId) -> bool {
        matches!(self.end_claim(now, token, id, conn, false), Ok(true))
    }

    fn end_claim(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
        refuted: bool,
    ) -> Result<bool, Refusal> {
        let now = self.advance(now);
        let (entry, log) = self.find(token)?;
        entry.release(now, id, conn, refuted, log)
    }

    /// Applies every lapse and expiry that is due. May be called at any time.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut impl CryptoRng) {
        self.advance(now);
        self.redraw(rng);
    }

    /// The earliest time at which [`handle_timeout`](Self::handle_timeout) would change something.
    ///
    /// In the past if a drop ended in a call without a generator, so that the revision still has to be
    /// redrawn.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.log.stale {
            return Some(self.latest);
        }
        self.all().filter_map(Entry::deadline).min()
    }

    /// The next event, in chronological order.
    pub fn poll_event(&mut self) -> Option<DropEvent> {
        let first = self.all().filter_map(Entry::first_event).min()?;
        self.entries.iter_mut().flatten().find_map(|entry| entry.take_event(first))
    }

    fn all(&self) -> impl Iterator<Item = &Entry<F>> {
        self.entries.iter().flatten()
    }

    fn find(&mut self, token: &Token) -> Result<(&mut Entry<F>, &mut Log), Refusal> {
        let entry = self.entries.iter_mut().flatten().find(|entry| entry.token() == token);
        entry.map(|entry| (entry, &mut self.log)).ok_or(Refusal::Unknown)
    }

    /// Applies all deadlines up to `now`, in order, and returns the monotonic time.
    fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        // Each round lapses a claim or ends a drop, which bounds the rounds.
        loop {
            let due = |entry: &Entry<F>| entry.deadline().filter(|at| *at <= self.latest);
            let next = self
                .entries
                .iter_mut()
                .flatten()
                .filter_map(|entry| due(entry).map(|at| (at, entry)))
                .min_by_key(|(at, _)| *at);
            let Some((at, entry)) = next else { return self.latest };
            entry.advance(at, &mut self.log);
        }
    }

    /// Redraws the revision if the set of drops has changed: random, and never the same twice in a row.
    fn redraw(&mut self, rng: &mut impl CryptoRng) {
        if self.log.stale {
            let drawn = rng.next_u32();
            self.revision = if drawn == self.revision { drawn.wrapping_add(1) } else { drawn };
            self.log.stale = false;
        }
    }
}
