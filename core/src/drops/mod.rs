//! The table of drops: who may take one, and when it is gone.
//!
//! A drop allows N fetches. Each goes `available -> claimed -> final -> burned`, or from `claimed`
//! back to `available` when the claim lapses; the four always add up to N. A receiver gets the final
//! record only after its fetch is *final*, and *final* never goes back, so no more than N receivers
//! can ever hold the drop whole, and no broken transfer loses it.
//!
//! # Use
//!
//! After every call, poll events until there are none. Then arm a timer for
//! [`poll_timeout`](Drops::poll_timeout) and call [`handle_timeout`](Drops::handle_timeout) when it
//! fires. A late timer costs nothing but the news: every call first applies what was due at its `now`,
//! in the order and at the moments at which it was due.
//!
//! Events stand as flags in what they are about, so there is no queue to overflow. If the owner does
//! not poll after every call, a claim that came and lapsed meanwhile may go unreported, as a pair;
//! burned fetches and ended drops never do.

mod claim;
mod entry;
mod types;

#[cfg(test)]
mod tests;

use core::array;

use rand_core::CryptoRng;

pub use types::{Claimed, Committed, DropEvent, DropSpec, FetchCounts, Lapse, Listed, PutError, Refusal};

use crate::limits::{FETCHES_MAX, TTL_MAX, TTL_MIN};
use crate::offer::EndReason;
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};
use claim::Log;
use entry::Entry;

/// Tokens drawn before a random source counts as broken: with a sound one the first always does.
const TOKEN_DRAWS: usize = 4;

/// Up to `D` drops, live and lately ended together, of up to `F` fetches each.
pub struct Drops<const D: usize, const F: usize> {
    /// Entries never move, so that what one leaves behind is wiped where it stood.
    entries: [Option<Entry<F>>; D],
    log: Log,
    revision: u32,
    /// The latest moment heard of. Time does not run backwards here even if the caller's does.
    latest: Instant,
}

impl<const D: usize, const F: usize> Drops<D, F> {
    /// No drops yet, and a random revision.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            entries: array::from_fn(|_| None),
            log: Log::new(),
            revision: rng.next_u32(),
            latest: Instant::default(),
        }
    }

    /// Puts a drop on the table. If there is no place left, the drop that ended first is forgotten.
    pub fn put(&mut self, now: Instant, spec: DropSpec, rng: &mut impl CryptoRng) -> Result<Token, PutError> {
        let now = self.advance(now);
        let most = u8::try_from(F.min(FETCHES_MAX)).unwrap_or(u8::MAX);
        if !(TTL_MIN..=TTL_MAX).contains(&spec.ttl) {
            return Err(PutError::Ttl);
        }
        if !(1..=most).contains(&spec.fetches) {
            return Err(PutError::Fetches { most });
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

    /// A place for one more drop: an empty one, else that of the drop which ended first.
    fn place(&mut self) -> Option<&mut Option<Entry<F>>> {
        let ended = |place: &Option<Entry<F>>| match place {
            None => Some(None),
            Some(entry) => entry.forgettable().map(Some),
        };
        // `None`, an empty place, sorts before any moment.
        self.entries.iter_mut().filter(|place| ended(place).is_some()).min_by_key(|place| ended(place))
    }

    /// The owner takes the drop back. False if there is none, or it has ended already.
    pub fn withdraw(&mut self, now: Instant, token: &Token, rng: &mut impl CryptoRng) -> bool {
        self.end(now, token, false, rng)
    }

    /// The drop's source changed under us: it is withdrawn, and whoever asks for it hears `changed`.
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

    /// How many drops still accept or hold claims.
    pub fn live(&self) -> usize {
        self.all().filter(|entry| entry.is_live()).count()
    }

    /// Where the fetches of a drop stand. After it ended: burned ones, and others that nobody gets any more.
    pub fn fetch_counts(&self, token: &Token) -> Option<FetchCounts> {
        self.all().find(|entry| entry.token() == token).map(Entry::fetch_counts)
    }

    /// The next line of a list after a token, in the order of tokens.
    ///
    /// Offered is what may be claimed, or could be if a claim lapsed. Endings stand for
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

    /// Claims a fetch of the drop for `id`, or takes up the claim it holds on a new connection.
    pub fn claim(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<Claimed, Refusal> {
        let now = self.advance(now);
        let (entry, log) = self.find(token)?;
        entry.claim(now, id, conn, log)
    }

    /// A sign of the receiver, and what it has stored. An error ends the exchange.
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

    /// The last data record was handed to the transport: from now on the receiver must get ready.
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

    /// Whether `id` still holds the drop on this connection. Asking is no sign of the receiver.
    pub fn holds(&mut self, now: Instant, token: &Token, id: &FetchId, conn: ConnId) -> Result<(), Refusal> {
        self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.holds(id, conn)
    }

    /// What the drop is that `id` holds on this connection. Asking is no sign of the receiver.
    pub(crate) fn claimed(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<Claimed, Refusal> {
        self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.holds(id, conn).map(|()| entry.claimed())
    }

    /// Makes the claim final. Give no byte of the final record to any writer before this said yes.
    ///
    /// Says yes again on the same connection, and on a newer one after it has claimed with the same id.
    pub fn finalise(
        &mut self,
        now: Instant,
        token: &Token,
        id: &FetchId,
        conn: ConnId,
    ) -> Result<(), Refusal> {
        let now = self.advance(now);
        let (entry, _) = self.find(token)?;
        entry.finalise(now, id, conn)
    }

    /// The receiver confirms, on any connection, that it holds the whole drop.
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

    /// The receiver gives its claim up. False, and nothing changes, once it is final.
    pub fn release(&mut self, now: Instant, token: &Token, id: &FetchId, conn: ConnId) -> bool {
        let now = self.advance(now);
        self.find(token).is_ok_and(|(entry, log)| entry.release(now, id, conn, log))
    }

    /// Applies every lapse and expiry that is due. Safe to call at any time.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut impl CryptoRng) {
        self.advance(now);
        self.redraw(rng);
    }

    /// The earliest moment at which [`handle_timeout`](Self::handle_timeout) would change something.
    ///
    /// It has passed already when a drop ended during a call that had no randomness to redraw the revision.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.log.stale {
            return Some(self.latest);
        }
        self.all().filter_map(Entry::deadline).min()
    }

    /// The next event, in the order in which they happened.
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

    /// Applies what is due by `now`, one deadline after the other, and says what time it is.
    fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        // Each round lapses a claim or ends a drop, so the rounds are few.
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

    /// Another revision, if the set of drops changed: random, and never the same twice in a row.
    fn redraw(&mut self, rng: &mut impl CryptoRng) {
        if self.log.stale {
            let drawn = rng.next_u32();
            self.revision = if drawn == self.revision { drawn.wrapping_add(1) } else { drawn };
            self.log.stale = false;
        }
    }
}
