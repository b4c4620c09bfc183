//! One drop: its spec, its fetches, and how it ends (protocol.md, section 8).

use core::num::NonZeroU64;

use heapless::Vec;

use super::claim::{Fetch, Log, State};
use super::types::{Claimed, Committed, DropEvent, DropSpec, FetchCounts, Fetches, Lapse, Listed, Refusal};
use crate::limits::{ENDING_LISTED, FETCHES_MAX, GRACE_MAX};
use crate::offer::{EndReason, Kind, Name, Offer};
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};

/// The fetches left of a drop for all receivers, in lists and events: most that the wire has.
#[expect(clippy::cast_possible_truncation, reason = "64 fits")]
const FETCHES_SHOWN: u8 = FETCHES_MAX as u8;

/// How a drop ended.
struct Ending {
    reason: EndReason,
    /// Withdrawn because its source changed.
    changed: bool,
    at: Instant,
    unconfirmed: bool,
    /// The sequence number of its event, until that is polled.
    event: Option<NonZeroU64>,
}

/// One drop, live or ended.
pub(super) struct Entry<const F: usize> {
    token: Token,
    kind: Kind,
    name: Name,
    size: u64,
    /// End of the TTL: no new claims from then on.
    ttl_end: Instant,
    /// End of the grace: no claims at all from then on.
    grace_end: Instant,
    fetches: Vec<Fetch, F>,
    /// For all receivers: burned fetches are used again.
    all: bool,
    /// A final claim gave way to another receiver without a `commit`.
    unconfirmed: bool,
    /// The end of the data records handed out so far, to any receiver: no fetch resumes past it.
    given: u64,
    /// Claims that ended because their receiver did not hold the prefix from whose end it asked to resume.
    wrong_prefixes: u32,
    /// The fetch id of the latest of them.
    refuted: Option<FetchId>,
    ending: Option<Ending>,
}

impl<const F: usize> Entry<F> {
    /// A live drop. The caller has checked `spec`: at most `F` fetches.
    pub(super) fn new(now: Instant, token: Token, spec: DropSpec) -> Self {
        let ttl_end = now + spec.ttl;
        let mut fetches = Vec::new();
        let count = match spec.fetches {
            Fetches::Counted(count) => count.into(),
            Fetches::All => FETCHES_MAX,
        };
        while fetches.len() < count && fetches.push(Fetch::new()).is_ok() {}
        Self {
            token,
            kind: spec.kind,
            name: spec.name,
            size: spec.size,
            ttl_end,
            grace_end: ttl_end + spec.ttl.min(GRACE_MAX),
            fetches,
            all: F > 1 && spec.fetches == Fetches::All,
            unconfirmed: false,
            given: 0,
            wrong_prefixes: 0,
            refuted: None,
            ending: None,
        }
    }

    pub(super) const fn token(&self) -> &Token {
        &self.token
    }

    pub(super) const fn is_live(&self) -> bool {
        self.ending.is_none()
    }

    /// When it ended, if all its events have been polled: then the entry can be reused.
    pub(super) fn forgettable(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        self.first_event().is_none().then_some(ending.at)
    }

    /// The number of claims that ended because their receiver did not hold the prefix.
    pub(super) const fn wrong_prefixes(&self) -> u32 {
        self.wrong_prefixes
    }

    /// Whether it is for all receivers. A table with one fetch a drop has none of these, and no code for them.
    const fn is_for_all(&self) -> bool {
        F > 1 && self.all
    }

    /// Whether a final claim gave way to another receiver.
    const fn gave_way(&self) -> bool {
        F > 1 && self.unconfirmed
    }

    /// The number of fetches in some states.
    fn count(&self, of: impl Fn(State) -> bool) -> u8 {
        self.fetches.iter().fold(0, |n, fetch| n.wrapping_add(u8::from(of(fetch.state()))))
    }

    pub(super) fn fetch_counts(&self) -> FetchCounts {
        let mut tally = FetchCounts::default();
        for fetch in &self.fetches {
            let count = match fetch.state() {
                State::Available => &mut tally.available,
                State::Claimed => &mut tally.claimed,
                State::Final => &mut tally.r#final,
                State::Burned => &mut tally.burned,
            };
            *count = count.saturating_add(1);
        }
        tally
    }

    /// The receivers of its held fetches, each with the bytes that it says are stored.
    pub(super) fn receivers(&self) -> impl Iterator<Item = (ConnId, u64)> {
        self.fetches.iter().filter_map(Fetch::receiver)
    }

    /// Its line in a list at `now`, also if due deadlines have not been applied.
    pub(super) fn listed(&self, now: Instant) -> Option<Listed> {
        let expires = self.expires();
        let ended = match &self.ending {
            Some(ending) => Some((ending.at, ending.reason)),
            None => (now >= expires).then_some((expires, EndReason::Expired)),
        };
        if let Some((at, reason)) = ended {
            return (now < at + ENDING_LISTED).then_some(Listed::Ending { token: self.token, reason });
        }
        let fetches_left = if self.is_for_all() {
            FETCHES_SHOWN
        } else {
            self.count(|state| matches!(state, State::Available | State::Claimed))
        };
        (now < self.ttl_end && fetches_left > 0).then(|| {
            Listed::Offer(Offer {
                token: self.token,
                kind: self.kind,
                name: self.name.clone(),
                size: self.size,
                ttl_left: now.until(self.ttl_end),
                fetches_left,
            })
        })
    }

    /// When it expires without further requests: at the end of its TTL, or when the last claim held then is
    /// over.
    fn expires(&self) -> Instant {
        self.fetches
            .iter()
            .filter_map(|fetch| self.over(fetch))
            .max()
            .unwrap_or(self.ttl_end)
            .max(self.ttl_end)
    }

    /// When a held fetch is over without a further sign of life.
    fn over(&self, fetch: &Fetch) -> Option<Instant> {
        match fetch.state() {
            State::Final => Some(self.grace_end),
            _ => fetch.lapses(self.grace_end).map(|(at, _)| at),
        }
    }

    /// The next time at which [`advance`](Self::advance) changes something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.is_live() {
            return None;
        }
        self.fetches.iter().filter_map(|fetch| self.over(fetch)).min().or(Some(self.ttl_end))
    }

    /// Applies the deadline that is due at `at`.
    pub(super) fn advance(&mut self, at: Instant, log: &mut Log) {
        for fetch in &mut self.fetches {
            if let Some((due, why)) = fetch.lapses(self.grace_end)
                && due <= at
            {
                fetch.lapse(why, log);
            }
        }
        self.settle(at, log);
    }

    /// Ends the drop if its TTL has passed and no claim is in its grace.
    fn settle(&mut self, now: Instant, log: &mut Log) {
        let held = self.fetches.iter().any(Fetch::is_held);
        if now >= self.ttl_end && (!held || now >= self.grace_end) {
            self.end(now, EndReason::Expired, false, log);
        }
    }

    /// Ends the drop, once. Only burned fetch ids are kept, so that a repeated `commit` is recognised.
    pub(super) fn end(&mut self, now: Instant, reason: EndReason, changed: bool, log: &mut Log) -> bool {
        if !self.is_live() {
            return false;
        }
        let unconfirmed = self.gave_way() || self.fetches.iter().any(|fetch| fetch.state() == State::Final);
        self.fetches.iter_mut().for_each(Fetch::clear);
        self.name = Name::default();
        self.ending = Some(Ending { reason, changed, at: now, unconfirmed, event: Some(log.place()) });
        log.stale = true;
        true
    }

    /// The error for a fetch id that holds nothing here and burned nothing.
    fn stranger(&self) -> Refusal {
        match &self.ending {
            None => Refusal::Unknown,
            Some(ending) if ending.changed => Refusal::Changed,
            Some(ending) if ending.reason == EndReason::Expired => Refusal::Expired,
            Some(_) => Refusal::Gone,
        }
    }

    /// The fetch that `id` holds on this connection.
    fn held_by(&mut self, id: &FetchId, conn: ConnId) -> Result<&mut Fetch, Refusal> {
        let stranger = self.stranger();
        let fetch = self.fetches.iter_mut().find(|fetch| fetch.is_of(id)).ok_or(stranger)?;
        if fetch.state() == State::Burned {
            return Err(Refusal::Gone);
        }
        // A newer connection has taken the claim over, so it is unknown on this one.
        if fetch.is_on(conn) { Ok(fetch) } else { Err(Refusal::Unknown) }
    }

    pub(super) fn claim(
        &mut self,
        now: Instant,
        id: &FetchId,
        conn: ConnId,
        log: &mut Log,
    ) -> Result<Claimed, Refusal> {
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.is_of(id)) {
            if fetch.state() == State::Burned {
                return Err(Refusal::Gone);
            }
            // The receiver has reconnected: the newest connection wins, also after the TTL.
            fetch.begin(now, conn);
        } else if !self.is_live() {
            return Err(self.stranger());
        } else if self.refuted.as_ref() == Some(id) {
            return Err(Refusal::Gone);
        } else if now >= self.ttl_end {
            return Err(Refusal::Expired);
        } else if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.state() == State::Available) {
            fetch.claim(now, id, conn, log);
        } else if let Some(fetch) = self.used_again(now, log) {
            fetch.claim(now, id, conn, log);
        } else {
            return Err(self.taken(now));
        }
        Ok(self.claimed())
    }

    /// A place of a drop for all receivers, when none is available: that of the receiver that confirmed first, else that
    /// of a final claim that has been silent longest.
    fn used_again(&mut self, now: Instant, log: &mut Log) -> Option<&mut Fetch> {
        if !self.is_for_all() {
            return None;
        }
        let fetch = self
            .fetches
            .iter_mut()
            .filter(|fetch| fetch.gives_way_at().is_some_and(|at| at <= now))
            .min_by_key(|fetch| (fetch.state() == State::Final, fetch.gives_way_at()))?;
        if fetch.state() == State::Final {
            self.unconfirmed = true;
            fetch.lapse(Lapse::Silent, log);
        }
        Some(fetch)
    }

    /// Whether this id holds or has burned a fetch.
    pub(super) fn knows(&self, id: &FetchId) -> bool {
        self.fetches.iter().any(|fetch| fetch.is_of(id))
    }

    /// The description of the drop for its holder.
    pub(super) fn claimed(&self) -> Claimed {
        Claimed { kind: self.kind, name: self.name.clone(), size: self.size, given: self.given }
    }

    /// The error when no fetch is available.
    fn taken(&self, now: Instant) -> Refusal {
        let free = |fetch: &Fetch| {
            let lapse = fetch.lapses(self.grace_end).map(|(at, _)| at);
            lapse.or_else(|| fetch.gives_way_at().filter(|_| self.is_for_all()))
        };
        match self.fetches.iter().filter_map(free).min() {
            Some(at) => Refusal::Busy { retry_after: now.until(at.min(self.ttl_end)) },
            // Final fetches of a drop whose receivers are counted never become available.
            None => Refusal::Gone,
        }
    }

    pub(super) fn progress(
        &mut self,
        now: Instant,
        id: &FetchId,
        conn: ConnId,
        stored: u64,
        log: &mut Log,
    ) -> Result<(), Refusal> {
        let size = self.size;
        let fetch = self.held_by(id, conn)?;
        if stored > size || !fetch.progress(now, stored) {
            return Err(Refusal::Malformed);
        }
        if fetch.is_slow(now) {
            fetch.lapse(Lapse::Slow, log);
            self.settle(now, log);
            return Err(self.stranger());
        }
        Ok(())
    }

    /// Hands out data records that end at this offset; `None`: the final record, which makes the claim final.
    pub(super) fn hand_out(
        &mut self,
        now: Instant,
        id: &FetchId,
        conn: ConnId,
        data: Option<u64>,
    ) -> Result<(), Refusal> {
        let fetch = self.held_by(id, conn)?;
        match data {
            Some(end) => self.given = self.given.max(end),
            None => fetch.finalise(now),
        }
        Ok(())
    }

    pub(super) fn all_sent(&mut self, now: Instant, id: &FetchId, conn: ConnId) -> Result<(), Refusal> {
        self.held_by(id, conn).map(|fetch| fetch.all_sent(now))
    }

    pub(super) fn commit(&mut self, now: Instant, id: &FetchId, log: &mut Log) -> Result<Committed, Refusal> {
        let all = self.is_for_all();
        // Fetches not burned, less this one.
        let left =
            if all { FETCHES_SHOWN } else { self.count(|state| state != State::Burned).saturating_sub(1) };
        let stranger = self.stranger();
        let fetch = self.fetches.iter_mut().find(|fetch| fetch.is_of(id)).ok_or(stranger)?;
        match fetch.state() {
            State::Burned => return Ok(Committed::Already),
            State::Final => {
                if all {
                    fetch.confirmed_at(now);
                }
                fetch.burn(left, log);
            }
            // The final record was not sent, so the receiver cannot hold the whole drop.
            State::Claimed | State::Available => return Err(Refusal::Malformed),
        }
        // The offer of a drop for all receivers is the same as before, so that nobody need list it again.
        log.stale |= !all;
        if left == 0 {
            self.end(now, EndReason::Fetched, false, log);
        } else {
            self.settle(now, log);
        }
        Ok(Committed::Burned { ended: !self.is_live() })
    }

    /// Takes the claim from its holder. False, and nothing changes, once it is final.
    ///
    /// `refuted`: the holder does not hold the prefix after which it asked to resume, which ends its fetch id.
    pub(super) fn release(
        &mut self,
        now: Instant,
        id: &FetchId,
        conn: ConnId,
        refuted: bool,
        log: &mut Log,
    ) -> Result<bool, Refusal> {
        let fetch = self.held_by(id, conn)?;
        if fetch.state() != State::Claimed {
            return Ok(false);
        }
        fetch.lapse(if refuted { Lapse::WrongPrefix } else { Lapse::Released }, log);
        if refuted {
            self.wrong_prefixes = self.wrong_prefixes.wrapping_add(1);
            self.refuted = Some(*id);
        }
        self.settle(now, log);
        Ok(true)
    }

    /// The sequence number of its first event not polled yet.
    pub(super) fn first_event(&self) -> Option<NonZeroU64> {
        let ended = self.ending.as_ref().and_then(|ending| ending.event);
        self.fetches.iter().filter_map(Fetch::first_event).chain(ended).min()
    }

    /// Takes the event with this sequence number.
    pub(super) fn take_event(&mut self, place: NonZeroU64) -> Option<DropEvent> {
        let token = self.token;
        if let Some(event) = self.fetches.iter_mut().find_map(|fetch| fetch.take_event(place, token)) {
            return Some(event);
        }
        let ending = self.ending.as_mut()?;
        ending.event.take_if(|p| *p == place)?;
        Some(DropEvent::Ended { token, reason: ending.reason, unconfirmed: ending.unconfirmed })
    }
}
