//! A well-behaved receiver over `exchange`, with knobs to make it slow, silent or forgetful.

use std::net::IpAddr;
use std::time::Duration;

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::exchange::{Fetch, FetchError, List, ListEvent, Step, Wanted};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{HOST, Profile};
use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance, Token, TokenPrefix};
use deaddrop_core::wire::{Begin, Ending, ErrorCode};
use rand_chacha::ChaCha8Rng;

use super::pipe::{Pipe, Weather};

/// A goal of a receiver; goals are reached in order.
#[derive(Clone, Copy)]
pub enum Goal {
    /// All pages of the list.
    List,
    /// Fetch and commit.
    Fetch(Token, FetchId),
    /// The same for the drop whose token has this prefix, looked up in the list.
    Take(TokenPrefix, FetchId),
    /// Commit an earlier fetch.
    Commit(Token, FetchId),
}

/// How a receiver's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All goals were reached.
    Done,
    /// The drop is here, unconfirmed.
    Unconfirmed,
    /// The request was refused.
    Refused(ErrorCode),
    /// The connection failed.
    Failed(ClientError),
    /// No connection could be opened.
    Unreachable,
    /// The token prefix matches several drops.
    Ambiguous,
    /// This receiver canceled the fetch.
    Canceled,
}

/// A receiver and its state.
pub struct Receiver {
    pub session: ClientSession,
    pub prs: Prs,
    pub goals: Vec<Goal>,
    /// Its limits.
    pub record_max: u32,
    /// The bytes it has stored of the drop.
    pub stored: Vec<u8>,
    /// Resume here with this digest instead of the right one.
    pub digest: Option<[u8; 32]>,
    /// Sends `progress` every three seconds.
    pub gives_signs: bool,
    /// Waits this long before `ready`.
    pub ready_after: Duration,
    /// Takes this long to make the whole drop durable.
    pub persist_for: Duration,
    /// Commits once it has all.
    pub commits: bool,
    /// Releases its claim instead of being ready.
    pub releases: bool,
    /// Reconnects when its fetch asks for it; otherwise it has one connection.
    pub redials: bool,
    /// How long it tries to get the claim, if it reconnects.
    pub patience: Duration,
    pub offers: Vec<Offer>,
    pub endings: Vec<Ending>,
    pub begin: Option<Begin>,
    /// The final record has arrived.
    pub whole: bool,
    pub burned: bool,
    pub outcome: Option<Outcome>,
    pub ended_at: Instant,
    /// Bytes of drops received, duplicates included.
    pub received: u64,
    /// Number of connections.
    pub connections: usize,
    /// Number of failed connects.
    pub unreachable_count: usize,
    /// The sizes of the drops it may fetch.
    sizes: Vec<(Token, u64)>,
    list: Option<List>,
    pub fetch: Option<Fetch>,
    /// The end of the connection as passed to the exchange.
    last: Option<Outcome>,
    complete_at: Option<Instant>,
    whole_at: Option<Instant>,
}

impl Receiver {
    pub fn new(
        now: Instant,
        server: IpAddr,
        expected: Instance,
        room: u8,
        goals: &[Goal],
        sizes: Vec<(Token, u64)>,
    ) -> Self {
        Self {
            session: ClientSession::new(now, server, Some(expected), None),
            prs: super::prs(room),
            goals: goals.to_vec(),
            record_max: 65_536,
            stored: Vec::new(),
            digest: None,
            gives_signs: true,
            ready_after: Duration::ZERO,
            persist_for: Duration::ZERO,
            commits: true,
            releases: false,
            redials: false,
            patience: Duration::from_secs(5),
            offers: Vec::new(),
            endings: Vec::new(),
            begin: None,
            whole: false,
            burned: false,
            outcome: None,
            ended_at: now,
            received: 0,
            connections: 1,
            unreachable_count: 0,
            sizes,
            list: None,
            fetch: None,
            last: None,
            complete_at: None,
            whole_at: None,
        }
    }

    /// The digest of its first `offset` bytes.
    fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        digest.update(&self.stored[part]);
        (offset > 0).then(|| self.digest.unwrap_or(digest.finish()))
    }

    /// Expects another size of the drop.
    pub fn pretend_size(&mut self, token: Token, size: u64) {
        self.sizes.retain(|(known, _)| *known != token);
        self.sizes.push((token, size));
    }

    /// The offer of the drop, as its sender would list it.
    fn offer(&self, token: Token) -> Offer {
        let size = self.sizes.iter().find(|(known, _)| *known == token).map_or(0, |(_, size)| *size);
        Offer {
            token,
            kind: Kind::File,
            name: Name::new("plans.txt").unwrap(),
            size,
            ttl_left: Duration::from_secs(60),
            fetches_left: 1,
        }
    }

    fn start_next(&mut self, now: Instant) {
        (self.list, self.fetch) = (None, None);
        let Some(goal) = self.goals.first() else { return self.end(now, Outcome::Done) };
        match *goal {
            Goal::List => {
                let mut list = List::new();
                list.start(now, &mut self.session).unwrap();
                self.list = Some(list);
            }
            Goal::Fetch(..) | Goal::Take(..) => {
                let (wanted, id) = match *goal {
                    Goal::Fetch(token, id) => (Wanted::Offered(self.offer(token)), id),
                    Goal::Take(prefix, id) => (Wanted::Token(prefix), id),
                    Goal::List | Goal::Commit(..) => return,
                };
                let profile: &'static Profile =
                    Box::leak(Box::new(Profile { record_max: self.record_max, ..HOST }));
                let patience = if self.redials { self.patience } else { Duration::ZERO };
                let mut fetch =
                    Fetch::new(profile, id, wanted, now + patience).with_stored(self.stored.len() as u64);
                let digest = self.prefix_digest(fetch.resume_offset());
                fetch.handle_open(now, digest);
                self.fetch = Some(fetch);
            }
            Goal::Commit(token, id) => self.session.commit(now, token, id).unwrap(),
        }
    }

    fn reached(&mut self, now: Instant) {
        self.goals.remove(0);
        self.start_next(now);
        if self.fetch.is_some() {
            self.hand_to_fetch(now, ClientEvent::Ready, &[], &mut super::rng());
        }
    }

    fn end(&mut self, now: Instant, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
        self.ended_at = now;
    }

    fn take(&mut self, now: Instant, event: ClientEvent, message: &[u8], rng: &mut ChaCha8Rng) {
        match &event {
            ClientEvent::Refused(code) => self.last = Some(Outcome::Refused(*code)),
            ClientEvent::Begin(begin) => self.begin = Some(begin.clone()),
            ClientEvent::Burned => self.burned = true,
            ClientEvent::Ready if self.fetch.is_none() => self.start_next(now),
            _ => {}
        }
        if self.fetch.is_some() {
            return self.hand_to_fetch(now, event, message, rng);
        }
        if let Some(list) = &mut self.list {
            if event == ClientEvent::Ready {
                return;
            }
            match list.handle_event(now, &mut self.session, event) {
                Ok(Some(ListEvent::Offer(offer))) => self.offers.push(offer),
                Ok(Some(ListEvent::Ending(ending))) => self.endings.push(ending),
                Ok(Some(ListEvent::End { .. })) => self.reached(now),
                Ok(Some(ListEvent::More)) => {
                    panic!("the server has fewer drops than a connection shows")
                }
                Ok(None) => {}
                Err(error) => self.end(now, self.last.unwrap_or(Outcome::Failed(error))),
            }
            return;
        }
        match event {
            ClientEvent::Burned => self.reached(now),
            ClientEvent::Refused(code) => self.end(now, Outcome::Refused(code)),
            _ => {}
        }
    }

    fn hand_to_fetch(&mut self, now: Instant, event: ClientEvent, message: &[u8], rng: &mut ChaCha8Rng) {
        let Some(fetch) = &mut self.fetch else { return };
        let begins = matches!(event, ClientEvent::Begin(_));
        let Some(chunk) = fetch.handle_event(now, &mut self.session, event, rng) else {
            if begins {
                // The stream starts at the agreed offset.
                self.stored.truncate(usize::try_from(fetch.stored()).unwrap());
            }
            return;
        };
        assert_eq!(chunk.offset, self.stored.len() as u64, "no gap and no duplicate");
        self.stored.extend_from_slice(&message[..chunk.len]);
        self.received += chunk.len as u64;
        fetch.handle_stored(now, self.stored.len() as u64);
        if fetch.is_whole() {
            self.whole = true;
            self.whole_at.get_or_insert(now);
        }
    }

    /// Does the next step of the fetch. True if there was one.
    fn step(&mut self, now: Instant, rng: &mut ChaCha8Rng) -> bool {
        let Some(fetch) = &mut self.fetch else { return false };
        let due = fetch.poll_timeout().is_some_and(|at| at <= now);
        if due && self.gives_signs {
            fetch.handle_timeout(now, Some(&mut self.session), rng);
            return true;
        }
        match fetch.poll_step(Some(&self.session)) {
            Step::Approve => fetch.approve(now, &mut self.session).unwrap(),
            Step::Reserve { .. } => {
                let complete_at = *self.complete_at.get_or_insert(now);
                if complete_at + self.ready_after > now {
                    return false;
                }
                if self.releases {
                    fetch.cancel(Some(&mut self.session));
                } else {
                    fetch.ready(now, &mut self.session).unwrap();
                }
            }
            Step::Persist => {
                let late = self.whole_at.is_some_and(|at| at + self.persist_for <= now);
                if !self.commits || !late {
                    return false;
                }
                fetch.persisted(now, Some(&mut self.session)).unwrap();
            }
            _ => return false,
        }
        true
    }

    /// Does the step that is due once all is written: the end of the connection or of the fetch. True if
    /// there was one.
    fn settle(&mut self, now: Instant, (up, down): (&mut Pipe, &mut Pipe)) -> bool {
        let Some(fetch) = &mut self.fetch else { return false };
        match fetch.poll_step(Some(&self.session)) {
            Step::Close(how) => {
                up.close(now, how);
                if how == Close::Reset {
                    down.close(now, how);
                }
                fetch.handle_closed(now);
                true
            }
            Step::Done { confirmed: true } => {
                // The only connection stays open for the next goal.
                self.goals.remove(0);
                if self.goals.is_empty() {
                    self.end(now, Outcome::Done);
                } else {
                    self.start_next(now);
                }
                true
            }
            Step::Done { confirmed: false } => {
                self.end(now, Outcome::Unconfirmed);
                true
            }
            Step::Failed(error) => {
                let outcome = match error {
                    FetchError::Canceled => Outcome::Canceled,
                    FetchError::Unreachable => Outcome::Unreachable,
                    FetchError::Ambiguous => Outcome::Ambiguous,
                    FetchError::Refused(code) => Outcome::Refused(code),
                    FetchError::Session(error) => Outcome::Failed(error),
                    _ => panic!("{error:?}"),
                };
                self.end(now, outcome);
                true
            }
            Step::Wait(_) | Step::Connect if !self.redials => {
                self.end(now, self.last.unwrap());
                true
            }
            _ => false,
        }
    }

    /// Whether its fetch asks for another connection.
    pub fn wants_connection(&self) -> bool {
        let step = self.fetch.as_ref().map(|fetch| fetch.poll_step(None));
        self.redials && self.outcome.is_none() && step == Some(Step::Connect)
    }

    /// Whether it has a connection.
    fn is_connected(&self) -> bool {
        let step = self.fetch.as_ref().map(|fetch| fetch.poll_step(None));
        !matches!(step, Some(Step::Wait(_) | Step::Connect))
    }

    /// A reconnect has succeeded.
    pub fn reconnect(&mut self, now: Instant, server: IpAddr, expected: Instance) {
        self.connections += 1;
        (self.complete_at, self.last) = (None, None);
        self.session = ClientSession::new(now, server, Some(expected), None);
        if let Some(offset) = self.fetch.as_ref().map(Fetch::resume_offset) {
            let digest = self.prefix_digest(offset);
            if let Some(fetch) = &mut self.fetch {
                fetch.handle_open(now, digest);
            }
        }
    }

    /// A reconnect has failed.
    pub fn unreachable(&mut self, now: Instant, rng: &mut ChaCha8Rng) {
        self.unreachable_count += 1;
        self.last = Some(Outcome::Unreachable);
        if let Some(fetch) = &mut self.fetch {
            fetch.handle_unreachable(now, rng);
        }
    }

    fn fail(&mut self, now: Instant, error: ClientError, rng: &mut ChaCha8Rng) {
        self.last = Some(Outcome::Failed(error));
        match &mut self.fetch {
            Some(fetch) => fetch.handle_error(now, error, rng),
            None => self.end(now, Outcome::Failed(error)),
        }
    }

    /// One turn. True if anything happened.
    pub fn turn<const S: usize>(
        &mut self,
        now: Instant,
        weather: Weather,
        rng: &mut ChaCha8Rng,
        guard: &mut ClientGuard<S>,
        (up, down): (&mut Pipe, &mut Pipe),
    ) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        let mut busy = self.step(now, rng);
        if !self.is_connected() {
            return busy | self.settle(now, (up, down));
        }
        let mut out = [0; 512];
        while let Some(len) = self.session.poll_transmit(&mut out).unwrap() {
            if !up.write(now, weather, rng, &out[..len]) {
                down.close(now, Close::Reset);
                up.close(now, Close::Reset);
            }
            busy = true;
        }
        busy |= self.settle(now, (up, down));
        if self.outcome.is_some() || !self.is_connected() {
            return busy;
        }
        let message = self.session.wants().and_then(|n| down.read(now, n));
        if let Some(mut message) = message {
            match self.session.handle_message(now, &self.prs, guard, rng, &mut message) {
                Ok(event) => event.into_iter().for_each(|event| self.take(now, event, &message, rng)),
                Err(error) => self.fail(now, error, rng),
            }
            busy = true;
        } else if let Some(how) = down.ended(now) {
            let error = self.session.handle_close(how == Close::Clean);
            let persisting = self.fetch.as_ref().is_some_and(|fetch| fetch.poll_step(None) == Step::Persist);
            let known = self.last == Some(Outcome::Failed(error));
            if !(persisting && known) {
                self.fail(now, error, rng);
                busy = true;
            }
        } else if let Err(error) = self.session.handle_timeout(now) {
            self.fail(now, error, rng);
            busy = true;
        }
        if self.outcome.is_some() {
            up.close(now, Close::Clean);
        }
        busy
    }

    /// Its next deadline.
    pub fn next(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        let step = self.fetch.as_ref().map(|fetch| fetch.poll_step(Some(&self.session)));
        let reserving = matches!(step, Some(Step::Reserve { .. }));
        let ready = self.complete_at.filter(|_| reserving).map(|at| at + self.ready_after);
        let persisting = step == Some(Step::Persist) && self.commits;
        let persisted = self.whole_at.filter(|_| persisting).map(|at| at + self.persist_for);
        let fetch = self.fetch.as_ref().filter(|_| self.gives_signs).and_then(Fetch::poll_timeout);
        let session = self.session.poll_timeout().filter(|_| self.is_connected());
        [session, ready, persisted, fetch].into_iter().flatten().min()
    }
}
