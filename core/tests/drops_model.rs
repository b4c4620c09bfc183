//! Model-based test of the table of drops: random commands run against the table and against a model that is
//! obviously correct. The model keeps holders in a map by fetch id, and recomputes all deadlines at every
//! step.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use deaddrop_core::drops::{
    Claimed, Committed, DropEvent, DropSpec, Drops, FetchCounts, Fetches, Lapse, Listed, PutError, Refusal,
};
use deaddrop_core::limits::{ENDING_LISTED, GRACE_MAX, LEASE, READY_TIMEOUT, SLOW_BYTES, SLOW_WINDOW};
use deaddrop_core::offer::{EndReason, Kind, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Token};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const PLACES: usize = 3;
/// Fetches of one drop.
const FETCHES: usize = 4;
/// The number of fetches that stands for all receivers here.
const ALL: u8 = 9;
const SIZE: u64 = 10 * SLOW_BYTES;

/// Index of a drop, counted back from the youngest; of a fetch id; of a connection.
#[derive(Clone, Copy, Debug)]
struct Who {
    drop: usize,
    id: u8,
    conn: u32,
}

#[derive(Clone, Debug)]
enum Op {
    /// Time passes, with a timer that fires when due, or without one.
    Wait(u64, bool),
    Put(u64, u8),
    Claim(Who),
    Progress(Who, u64),
    AllSent(Who),
    Finalise(Who),
    Commit(Who),
    Release(Who),
    Give(Who, u64),
    Refute(Who),
    /// A new receiver claims and releases.
    Probe(usize),
    Withdraw(usize),
    Changed(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let who = || (0..3_usize, 1..5_u8, 0..2_u32).prop_map(|(drop, id, conn)| Who { drop, id, conn });
    let ms = prop_oneof![
        5 => 0..5_000_u64,
        3 => prop::sample::select(vec![1, 9_999, 10_000, 14_999, 15_000, 15_001, 29_999, 30_000, 60_000]),
        1 => 0..200_000_u64,
    ];
    let record = || (0..8_u64).prop_map(|records| records * 512);
    let ttl = prop::sample::select(vec![999, 1_000, 20_000, 90_000, 700_000]);
    prop_oneof![
        7 => (ms, any::<bool>()).prop_map(|(ms, punctual)| Op::Wait(ms, punctual)),
        1 => (ttl, prop::sample::select(vec![0, 1, 2, 3, 4, 5, ALL])).prop_map(|(ttl, fetches)| Op::Put(ttl, fetches)),
        6 => who().prop_map(Op::Claim),
        5 => (who(), prop_oneof![0..SIZE + 9, Just(0), Just(SLOW_BYTES)]).prop_map(|(who, n)| Op::Progress(who, n)),
        2 => who().prop_map(Op::AllSent),
        3 => who().prop_map(Op::Finalise),
        2 => who().prop_map(Op::Commit),
        1 => who().prop_map(Op::Release),
        2 => (who(), record()).prop_map(|(who, end)| Op::Give(who, end)),
        1 => who().prop_map(Op::Refute),
        1 => (0..3_usize).prop_map(Op::Probe),
        1 => (0..20_usize).prop_map(Op::Withdraw),
        1 => (0..20_usize).prop_map(Op::Changed),
    ]
}

struct Holder {
    conn: u32,
    sign: u64,
    sent: Option<u64>,
    stored: u64,
    judged: (u64, u64),
    done: bool,
    /// Which of the fetches it has.
    place: usize,
}

impl Holder {
    fn begin(conn: u32, now: u64, done: bool, place: usize) -> Self {
        Self { conn, sign: now, sent: None, stored: 0, judged: (now, 0), done, place }
    }
}

struct Ended {
    at: u64,
    reason: EndReason,
    changed: bool,
}

/// A line of a list: TTL and fetches left, or the end reason.
type Line = (Token, Result<(u64, u8), EndReason>);

/// One drop of the model.
struct Model {
    token: Token,
    fetches: usize,
    all: bool,
    ttl_end: u64,
    grace_end: u64,
    holders: BTreeMap<u8, Holder>,
    /// When each was burned, and which of the fetches it was.
    burned: BTreeMap<u8, (u64, usize)>,
    /// How many were burned, the forgotten ones too.
    confirmed: usize,
    /// A final claim gave way.
    unconfirmed: bool,
    /// Every fetch id whose receiver may have had the whole drop.
    whole: BTreeSet<u8>,
    given: u64,
    wrong_prefixes: u32,
    refuted: Option<u8>,
    ended: Option<Ended>,
    news: Vec<DropEvent>,
}

fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap()
}

impl Model {
    fn over(&self, holder: &Holder) -> (u64, Lapse) {
        let not_ready = holder.sent.map_or(u64::MAX, |at| at + ms(READY_TIMEOUT));
        let mut over = (holder.sign + ms(LEASE), Lapse::Silent);
        for (at, why) in [(not_ready, Lapse::NotReady), (self.grace_end, Lapse::Grace)] {
            if at < over.0 {
                over = (at, why);
            }
        }
        over
    }

    fn end(&mut self, at: u64, reason: EndReason, changed: bool) {
        let unconfirmed = self.unconfirmed || self.holders.values().any(|h| h.done);
        self.holders.clear();
        self.ended = Some(Ended { at, reason, changed });
        self.news.push(DropEvent::Ended { token: self.token, reason, unconfirmed });
    }

    /// Applies all deadlines up to `now`.
    fn pass(&mut self, now: u64) {
        if self.ended.is_some() {
            return;
        }
        let open = self.holders.iter().filter(|(_, h)| !h.done);
        let over: Vec<_> = open.map(|(id, h)| (*id, self.over(h))).collect();
        let mut end = self.ttl_end;
        for (id, (at, why)) in over {
            end = end.max(at);
            if at <= now {
                self.lapsed(id, why);
            }
        }
        if self.holders.values().any(|h| h.done) {
            end = self.grace_end;
        }
        if now >= end {
            self.end(end, EndReason::Expired, false);
        }
    }

    /// A claim has just been released or has lapsed.
    fn lapse(&mut self, now: u64, id: u8, why: Lapse) {
        self.lapsed(id, why);
        self.leave(now);
    }

    fn lapsed(&mut self, id: u8, why: Lapse) {
        let holder = self.holders.remove(&id).expect("a holder");
        self.news.push(DropEvent::Lapsed { token: self.token, conn: ConnId(holder.conn), why });
    }

    /// A holder has just left: after the TTL the drop ends with the last one.
    fn leave(&mut self, now: u64) {
        if self.ended.is_none() && self.holders.is_empty() && now >= self.ttl_end {
            self.end(now, EndReason::Expired, false);
        }
    }

    fn no(&self) -> Refusal {
        match &self.ended {
            None => Refusal::Unknown,
            Some(e) if e.changed => Refusal::Changed,
            Some(e) if e.reason == EndReason::Expired => Refusal::Expired,
            Some(_) => Refusal::Gone,
        }
    }

    fn claim(&mut self, now: u64, id: u8, conn: u32) -> Result<(), Refusal> {
        if self.burned.contains_key(&id) {
            return Err(Refusal::Gone);
        }
        if self.ended.is_some() {
            return Err(self.no());
        }
        if let Some(holder) = self.holders.get_mut(&id) {
            *holder = Holder::begin(conn, now, holder.done, holder.place);
            return Ok(());
        }
        if self.refuted == Some(id) {
            return Err(Refusal::Gone);
        }
        if now >= self.ttl_end {
            return Err(Refusal::Expired);
        }
        let full = self.holders.len() + self.burned.len() == self.fetches;
        if full && (!self.all || !self.give_way(now)) {
            let silent = |h: &Holder| h.sign + ms(LEASE);
            let free = |h: &Holder| if h.done { self.all.then(|| silent(h)) } else { Some(self.over(h).0) };
            let next = self.holders.values().filter_map(free).min();
            let retry = next.map(|at| Duration::from_millis(at.min(self.ttl_end) - now));
            return Err(retry.map_or(Refusal::Gone, |retry_after| Refusal::Busy { retry_after }));
        }
        let taken: BTreeSet<usize> =
            self.holders.values().map(|h| h.place).chain(self.burned.values().map(|b| b.1)).collect();
        let place = (0..self.fetches).find(|place| !taken.contains(place)).expect("a place");
        self.holders.insert(id, Holder::begin(conn, now, false, place));
        self.news.push(DropEvent::Claimed { token: self.token, conn: ConnId(conn) });
        Ok(())
    }

    /// Frees a place of a drop for all receivers.
    fn give_way(&mut self, now: u64) -> bool {
        if let Some(id) = self.burned.iter().min_by_key(|(_, burned)| **burned).map(|(id, _)| *id) {
            self.burned.remove(&id);
            return true;
        }
        let silent = self.holders.iter().filter(|(_, h)| h.done && h.sign + ms(LEASE) <= now);
        let Some(id) = silent.min_by_key(|(_, h)| (h.sign, h.place)).map(|(id, _)| *id) else { return false };
        self.unconfirmed = true;
        self.lapsed(id, Lapse::Silent);
        true
    }

    fn holder(&mut self, id: u8, conn: u32) -> Result<&mut Holder, Refusal> {
        if self.burned.contains_key(&id) {
            return Err(Refusal::Gone);
        }
        let no = self.no();
        let holder = self.holders.get_mut(&id).ok_or(no)?;
        if holder.conn == conn { Ok(holder) } else { Err(Refusal::Unknown) }
    }

    fn progress(&mut self, now: u64, id: u8, conn: u32, stored: u64) -> Result<(), Refusal> {
        let h = self.holder(id, conn)?;
        if stored > SIZE || stored < h.stored {
            return Err(Refusal::Malformed);
        }
        (h.stored, h.sign) = (stored, now);
        let span = now - h.judged.0;
        if !h.done && h.sent.is_none() && span >= ms(SLOW_WINDOW) {
            let enough = (stored - h.judged.1) * ms(SLOW_WINDOW) >= SLOW_BYTES * span;
            h.judged = (now, stored);
            if !enough {
                self.lapse(now, id, Lapse::Slow);
                return Err(self.no());
            }
        }
        Ok(())
    }

    fn finalise(&mut self, now: u64, id: u8, conn: u32) -> Result<(), Refusal> {
        let h = self.holder(id, conn)?;
        (h.done, h.sign) = (true, now);
        self.whole.insert(id);
        Ok(())
    }

    fn commit(&mut self, now: u64, id: u8) -> Result<Committed, Refusal> {
        if self.burned.contains_key(&id) {
            return Ok(Committed::Already);
        }
        if !self.holders.get(&id).ok_or(self.no())?.done {
            return Err(Refusal::Malformed);
        }
        let holder = self.holders.remove(&id).expect("a holder");
        self.burned.insert(id, (now, holder.place));
        self.confirmed += 1;
        let left = if self.all { 64 } else { u8::try_from(self.fetches - self.burned.len()).unwrap() };
        self.news.push(DropEvent::Burned { token: self.token, left });
        if left == 0 {
            self.end(now, EndReason::Fetched, false);
        }
        self.leave(now);
        Ok(Committed::Burned { ended: self.ended.is_some() })
    }

    fn release(&mut self, now: u64, id: u8, conn: u32) -> bool {
        let open = self.holder(id, conn).is_ok_and(|h| !h.done);
        if open {
            self.lapse(now, id, Lapse::Released);
        }
        open
    }

    fn give(&mut self, id: u8, conn: u32, end: u64) -> Result<(), Refusal> {
        self.holder(id, conn)?;
        self.given = self.given.max(end);
        Ok(())
    }

    fn refute(&mut self, now: u64, id: u8, conn: u32) -> Result<(), Refusal> {
        if !self.holder(id, conn)?.done {
            self.wrong_prefixes += 1;
            self.refuted = Some(id);
            self.lapse(now, id, Lapse::WrongPrefix);
        }
        Ok(())
    }

    fn fetch_counts(&self) -> FetchCounts {
        let n = |n: usize| u8::try_from(n).unwrap();
        let done = self.holders.values().filter(|h| h.done).count();
        FetchCounts {
            available: n(self.fetches - self.holders.len() - self.burned.len()),
            claimed: n(self.holders.len() - done),
            r#final: n(done),
            burned: n(self.burned.len()),
        }
    }

    /// Its line in a list.
    fn listed(&self, now: u64) -> Option<Line> {
        let counted = self.fetch_counts().available + self.fetch_counts().claimed;
        let left = if self.all { 64 } else { counted };
        match &self.ended {
            Some(e) => (now < e.at + ms(ENDING_LISTED)).then_some((self.token, Err(e.reason))),
            None => (now < self.ttl_end && left > 0).then(|| (self.token, Ok((self.ttl_end - now, left)))),
        }
    }
}

/// Table and model together.
struct Pair {
    drops: Drops<PLACES, FETCHES>,
    rng: ChaCha8Rng,
    now: u64,
    models: Vec<Model>,
    /// All drops ever, the youngest last.
    tokens: Vec<Token>,
    probes: u8,
    /// Per drop, according to its events: open claims, burned fetches, whether it ended.
    seen: BTreeMap<Token, (i32, usize, bool)>,
}

fn id(n: u8) -> FetchId {
    FetchId::from_bytes([n; 16])
}

impl Pair {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (drops, now) = (Drops::new(&mut rng), 1_000);
        let (models, tokens, seen) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { drops, rng, now, models, tokens, probes: 100, seen }
    }

    fn at(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn token(&self, back: usize) -> Token {
        let n = self.tokens.len().checked_sub(1 + back);
        n.map_or(Token::from_bytes([0; 16]), |n| self.tokens[n])
    }

    fn model(&mut self, token: Token) -> Result<&mut Model, Refusal> {
        self.models.iter_mut().find(|m| m.token == token).ok_or(Refusal::Unknown)
    }

    fn pass(&mut self) {
        self.models.iter_mut().for_each(|m| m.pass(self.now));
    }

    fn put(&mut self, ttl: u64, fetches: u8) {
        let (at, name, all) = (self.at(), Name::default(), fetches == ALL);
        let ttl_of = Duration::from_millis(ttl);
        let fetches = if all { Fetches::All } else { Fetches::Counted(fetches) };
        let spec = DropSpec { kind: Kind::File, name, size: SIZE, ttl: ttl_of, fetches };
        let put = self.drops.put(at, spec, &mut self.rng);
        // A drop that ended in this call still has an unpolled event.
        let told = self.models.iter().enumerate().filter(|(_, m)| m.news.is_empty());
        let ended = told.filter_map(|(n, m)| Some((m.ended.as_ref()?.at, n)));
        let oldest = ended.min();
        let full = self.models.len() == PLACES;
        let expected = match (ttl, fetches) {
            (..1_000, _) => Some(PutError::Ttl),
            (_, Fetches::Counted(0 | 5..)) => Some(PutError::Fetches { most: 4 }),
            _ => (full && oldest.is_none()).then_some(PutError::Full),
        };
        assert_eq!(put.err(), expected);
        let Ok(token) = put else { return };
        let ttl_end = self.now + ttl;
        let model = Model {
            token,
            fetches: if let Fetches::Counted(count) = fetches { count.into() } else { FETCHES },
            all,
            ttl_end,
            grace_end: ttl_end + ttl.min(ms(GRACE_MAX)),
            holders: BTreeMap::new(),
            burned: BTreeMap::new(),
            confirmed: 0,
            unconfirmed: false,
            whole: BTreeSet::new(),
            given: 0,
            wrong_prefixes: 0,
            refuted: None,
            ended: None,
            news: Vec::new(),
        };
        match oldest {
            Some((_, n)) if full => self.models[n] = model,
            _ => self.models.push(model),
        }
        self.tokens.push(token);
    }

    /// All observable state, read without changing it.
    fn fingerprint(&self) -> (u32, usize, Option<Instant>, Vec<Option<FetchCounts>>) {
        let tallies = self.tokens.iter().map(|token| self.drops.fetch_counts(token)).collect();
        (self.drops.revision(), self.drops.live(), self.drops.poll_timeout(), tallies)
    }

    /// Advances to `until` with a timer, and checks that each deadline is exact.
    fn wait_punctually(&mut self, until: u64) {
        while let Some(due) = self.drops.poll_timeout().map(Instant::as_millis).filter(|due| *due <= until) {
            let before = self.fingerprint();
            if due > self.now {
                self.now = due - 1;
                self.drops.handle_timeout(self.at(), &mut self.rng);
                assert_eq!(self.fingerprint(), before, "the table changed before a deadline");
            }
            self.now = self.now.max(due);
            self.drops.handle_timeout(self.at(), &mut self.rng);
            assert_ne!(self.fingerprint(), before, "nothing changed at a deadline");
            self.pass();
            self.compare();
        }
        self.now = until;
        let before = self.fingerprint();
        self.drops.handle_timeout(self.at(), &mut self.rng);
        assert_eq!(self.fingerprint(), before);
    }

    fn run(&mut self, op: &Op) {
        let (live, revision) = (self.drops.live(), self.drops.revision());
        match *op {
            Op::Wait(ms, true) => self.wait_punctually(self.now + ms),
            Op::Wait(ms, false) => {
                self.now += ms;
                self.pass();
                // No deadline was applied yet, and the list is current nevertheless.
                return self.compare_list();
            }
            _ => {}
        }
        self.pass();
        self.command(op);
        self.compare();
        self.drops.handle_timeout(self.at(), &mut self.rng);
        assert!(self.drops.poll_timeout().is_none_or(|due| due > self.at()), "all due deadlines are applied");
        assert!(
            self.drops.live() == live || self.drops.revision() != revision,
            "an end changes the revision"
        );
        self.compare();
    }

    fn command(&mut self, op: &Op) {
        let (now, at) = (self.now, self.at());
        match *op {
            Op::Wait(..) => {}
            Op::Put(ttl, fetches) => self.put(ttl, fetches),
            Op::Claim(w) => {
                let token = self.token(w.drop);
                let given = self.model(token).map_or(0, |m| m.given);
                let claimed = Claimed { kind: Kind::File, name: Name::default(), size: SIZE, given };
                let got = self.drops.claim(at, &token, &id(w.id), ConnId(w.conn));
                assert_eq!(got, self.model(token).and_then(|m| m.claim(now, w.id, w.conn)).map(|()| claimed));
            }
            Op::Progress(w, stored) => {
                let token = self.token(w.drop);
                let got = self.drops.progress(at, &token, &id(w.id), ConnId(w.conn), stored);
                assert_eq!(got, self.model(token).and_then(|m| m.progress(now, w.id, w.conn, stored)));
            }
            Op::AllSent(w) => {
                let token = self.token(w.drop);
                let got = self.drops.all_sent(at, &token, &id(w.id), ConnId(w.conn));
                let sent = |h: &mut Holder| h.sent = h.sent.or(Some(now));
                assert_eq!(got, self.model(token).and_then(|m| m.holder(w.id, w.conn).map(sent)));
            }
            Op::Finalise(w) => {
                let token = self.token(w.drop);
                let got = self.drops.finalise(at, &token, &id(w.id), ConnId(w.conn));
                assert_eq!(got, self.model(token).and_then(|m| m.finalise(now, w.id, w.conn)));
            }
            Op::Commit(w) => {
                let token = self.token(w.drop);
                let got = self.drops.commit(at, &token, &id(w.id), &mut self.rng);
                assert_eq!(got, self.model(token).and_then(|m| m.commit(now, w.id)));
            }
            Op::Release(w) => {
                let token = self.token(w.drop);
                let got = self.drops.release(at, &token, &id(w.id), ConnId(w.conn));
                assert_eq!(got, self.model(token).is_ok_and(|m| m.release(now, w.id, w.conn)));
            }
            Op::Give(w, end) => {
                let token = self.token(w.drop);
                let got = self.drops.give(at, &token, &id(w.id), ConnId(w.conn), end);
                assert_eq!(got, self.model(token).and_then(|m| m.give(w.id, w.conn, end)));
            }
            Op::Refute(w) => {
                let token = self.token(w.drop);
                let got = self.drops.refute(at, &token, &id(w.id), ConnId(w.conn));
                assert_eq!(got, self.model(token).and_then(|m| m.refute(now, w.id, w.conn)));
            }
            Op::Probe(drop) => self.probe(self.token(drop)),
            Op::Withdraw(drop) | Op::Changed(drop) => {
                let (token, changed) = (self.token(drop), matches!(op, Op::Changed(_)));
                let live = self.model(token).is_ok_and(|m| m.ended.is_none());
                if live {
                    self.model(token).unwrap().end(now, EndReason::Withdrawn, changed);
                }
                if changed {
                    self.drops.changed(at, &token, &mut self.rng);
                } else {
                    assert_eq!(self.drops.withdraw(at, &token, &mut self.rng), live);
                }
            }
        }
    }

    /// An available drop is never lost.
    fn probe(&mut self, token: Token) {
        let (at, now, conn) = (self.at(), self.now, 99);
        self.probes += 1;
        let fresh = self.probes;
        let got = self.drops.claim(at, &token, &id(fresh), ConnId(conn));
        let Ok(model) = self.model(token) else { return assert_eq!(got, Err(Refusal::Unknown)) };
        let counts = model.fetch_counts();
        let silent = |h: &Holder| h.done && h.sign + ms(LEASE) <= now;
        let gives_way = model.all && (counts.burned > 0 || model.holders.values().any(silent));
        let available = model.ended.is_none() && now < model.ttl_end && (counts.available > 0 || gives_way);
        assert_eq!(model.claim(now, fresh, conn).is_ok(), available);
        assert_eq!(got.is_ok(), available);
        if available {
            self.compare();
            assert!(self.drops.release(at, &token, &id(fresh), ConnId(conn)));
            assert!(self.model(token).unwrap().release(now, fresh, conn));
        }
    }

    fn compare_list(&self) {
        let mut expected: Vec<_> = self.models.iter().filter_map(|m| m.listed(self.now)).collect();
        expected.sort_by_key(|line| line.0);
        let next = |after| self.drops.listed_after(self.at(), after);
        let list = core::iter::successors(next(None), |line| next(Some(line.token())));
        let line = |line| match line {
            Listed::Offer(o) => (o.token, Ok((ms(o.ttl_left), o.fetches_left))),
            Listed::Ending { token, reason } => (token, Err(reason)),
        };
        assert_eq!(list.map(line).collect::<Vec<_>>(), expected);
    }

    fn compare(&mut self) {
        let mut events: Vec<_> = core::iter::from_fn(|| self.drops.poll_event()).collect();
        for event in &events {
            let (DropEvent::Claimed { token, .. }
            | DropEvent::Lapsed { token, .. }
            | DropEvent::Burned { token, .. }
            | DropEvent::Ended { token, .. }) = event;
            let (open, burned, ended) = self.seen.entry(*token).or_default();
            assert!(!*ended, "no event follows the end");
            match event {
                DropEvent::Claimed { .. } => *open += 1,
                DropEvent::Lapsed { .. } => *open -= 1,
                DropEvent::Burned { .. } => (*open, *burned) = (*open - 1, *burned + 1),
                DropEvent::Ended { .. } => *ended = true,
            }
            assert!(*open >= 0, "only claimed fetches lapse or burn");
        }
        let mut news: Vec<_> = self.models.iter_mut().flat_map(|m| m.news.drain(..)).collect();
        // Of several lapses at one time any may come first.
        events.sort_by_cached_key(|event| format!("{event:?}"));
        news.sort_by_cached_key(|event| format!("{event:?}"));
        assert_eq!(events, news);
        for m in &self.models {
            let tally = self.drops.fetch_counts(&m.token).expect("every drop of the model is on the table");
            assert_eq!(tally, m.fetch_counts());
            assert_eq!(self.drops.wrong_prefixes(&m.token), Some(m.wrong_prefixes));
            let sum = tally.available + tally.claimed + tally.r#final + tally.burned;
            assert_eq!(usize::from(sum), m.fetches);
            assert!(m.all || m.whole.len() <= m.fetches, "more receivers could hold it whole than may");
            assert!(m.burned.keys().all(|id| m.whole.contains(id)));
            assert_eq!(self.seen.get(&m.token).map_or(0, |seen| seen.1), m.confirmed);
        }
        assert_eq!(self.drops.live(), self.models.iter().filter(|m| m.ended.is_none()).count());
        self.compare_list();
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 6_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x6465_6164),
        ..Config::default()
    })]

    #[test]
    fn the_table_does_what_the_model_does(
        fetches in prop::sample::select(vec![1, 2, 3, 4, ALL]),
        ttl in prop::sample::select(vec![20_000, 90_000, 700_000]),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut pair = Pair::new();
        pair.put(ttl, fetches);
        for op in &ops {
            pair.run(op);
        }
        pair.run(&Op::Wait(2_000_000, ops.len() % 2 == 0));
        pair.run(&Op::Wait(0, true));
        assert_eq!(pair.drops.live(), 0, "every drop ends");
    }
}
