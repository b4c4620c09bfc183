//! A well-behaved receiver, with knobs to make it slow, silent or forgetful.

use std::net::IpAddr;
use std::time::Duration;

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::PROGRESS_EVERY;
use deaddrop_core::offer::Offer;
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close, FetchPlan};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance, Token};
use deaddrop_core::wire::{Begin, Ending, ErrorCode};
use rand_chacha::ChaCha8Rng;

use super::pipe::{Pipe, Weather};

/// What a receiver is to do, one thing after the other.
#[derive(Clone, Copy)]
pub enum Goal {
    /// All pages of the list.
    List,
    /// Fetch and commit.
    Fetch(Token, FetchId),
    /// Commit what was fetched before.
    Commit(Token, FetchId),
}

/// How a receiver's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All goals were reached.
    Done,
    /// The server said no.
    Refused(ErrorCode),
    /// The connection failed.
    Failed(ClientError),
}

/// A receiver and what it has.
pub struct Receiver {
    pub session: ClientSession,
    pub prs: Prs,
    pub goals: Vec<Goal>,
    /// What it takes.
    pub record_max: u32,
    /// What it holds of the drop it fetches.
    pub stored: Vec<u8>,
    /// Resume from here with this digest in place of the true one.
    pub digest: Option<[u8; 32]>,
    /// Says `progress` every three seconds.
    pub gives_signs: bool,
    /// Waits this long before `ready`.
    pub ready_after: Duration,
    /// Commits once it has all.
    pub commits: bool,
    /// Releases its claim instead of being ready.
    pub releases: bool,
    pub offers: Vec<Offer>,
    pub endings: Vec<Ending>,
    pub begin: Option<Begin>,
    /// The final record has come.
    pub whole: bool,
    pub burned: bool,
    pub outcome: Option<Outcome>,
    pub ended_at: Instant,
    last_token: Option<Token>,
    complete_at: Option<Instant>,
    held_at: Instant,
}

impl Receiver {
    pub fn new(now: Instant, server: IpAddr, expected: Instance, room: u8, goals: &[Goal]) -> Self {
        Self {
            session: ClientSession::new(now, server, Some(expected), None),
            prs: super::prs(room),
            goals: goals.to_vec(),
            record_max: 65_536,
            stored: Vec::new(),
            digest: None,
            gives_signs: true,
            ready_after: Duration::ZERO,
            commits: true,
            releases: false,
            offers: Vec::new(),
            endings: Vec::new(),
            begin: None,
            whole: false,
            burned: false,
            outcome: None,
            ended_at: now,
            last_token: None,
            complete_at: None,
            held_at: now,
        }
    }

    /// The digest of what it holds.
    fn prefix_digest(&self) -> Option<[u8; 32]> {
        let mut digest = PrefixDigest::new(self.stored.len() as u64);
        let start = usize::try_from(digest.range().start).unwrap();
        digest.update(&self.stored[start..]);
        (!self.stored.is_empty()).then(|| self.digest.unwrap_or(digest.finish()))
    }

    fn start_next(&mut self, now: Instant) {
        let Some(goal) = self.goals.first() else { return self.end(now, Outcome::Done) };
        match *goal {
            Goal::List => self.session.list(now, self.last_token),
            Goal::Fetch(token, id) => {
                let offset = self.stored.len() as u64;
                let digest = self.prefix_digest();
                let plan = FetchPlan { token, id, record_max: self.record_max, offset, digest };
                self.session.fetch(now, &plan)
            }
            Goal::Commit(token, id) => self.session.commit(now, token, id),
        }
        .unwrap();
    }

    fn reached(&mut self, now: Instant) {
        self.goals.remove(0);
        self.start_next(now);
    }

    fn end(&mut self, now: Instant, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
        self.ended_at = now;
    }

    fn take(&mut self, now: Instant, input: ClientEvent, message: &[u8]) {
        match input {
            ClientEvent::Ready => self.start_next(now),
            ClientEvent::Offer(offer) => {
                self.last_token = Some(offer.token);
                self.offers.push(offer);
            }
            ClientEvent::Ending(ending) => {
                self.last_token = Some(ending.token);
                self.endings.push(ending);
            }
            ClientEvent::ListEnd { more: true, .. } => self.start_next(now),
            ClientEvent::ListEnd { .. } => self.reached(now),
            ClientEvent::Begin(begin) => {
                self.begin = Some(begin);
                self.held_at = now + PROGRESS_EVERY;
            }
            ClientEvent::Data { len } => self.stored.extend_from_slice(&message[..len]),
            ClientEvent::Final { len } => {
                self.stored.extend_from_slice(&message[..len]);
                self.whole = true;
                if self.commits
                    && let Some(Goal::Fetch(token, id)) = self.goals.first().copied()
                {
                    self.session.commit(now, token, id).unwrap();
                }
            }
            ClientEvent::Burned => {
                self.burned = true;
                self.reached(now);
            }
            ClientEvent::Refused(code) => self.end(now, Outcome::Refused(code)),
            _ => {}
        }
        if self.session.needs_ready() {
            self.complete_at.get_or_insert(now);
        }
    }

    /// What the clock asks for. True if that was something.
    fn tick(&mut self, now: Instant) -> bool {
        let mut busy = false;
        if self.session.needs_ready() && self.complete_at.is_some_and(|at| at + self.ready_after <= now) {
            if self.releases {
                self.session.release().unwrap();
                self.goals.clear();
            } else {
                self.session.ready(now).unwrap();
            }
            busy = true;
        }
        if self.begin.is_some() && self.gives_signs && self.held_at <= now {
            busy |= self.session.progress(self.stored.len() as u64).is_ok();
            self.held_at = now + PROGRESS_EVERY;
        }
        busy
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
        let mut busy = self.tick(now);
        let mut out = [0; 512];
        while let Some(len) = self.session.poll_transmit(&mut out).unwrap() {
            if !up.write(now, weather, rng, &out[..len]) {
                down.close(now, Close::Reset);
                up.close(now, Close::Reset);
            }
            busy = true;
        }
        if self.releases && self.goals.is_empty() {
            self.end(now, Outcome::Done);
        }
        let message = self.session.wants().and_then(|n| down.read(now, n));
        if let Some(mut message) = message {
            match self.session.handle_message(now, &self.prs, guard, rng, &mut message) {
                Ok(input) => self.take(now, input, &message),
                Err(error) => self.end(now, Outcome::Failed(error)),
            }
            busy = true;
        } else if let Some(how) = down.ended(now) {
            self.end(now, Outcome::Failed(self.session.handle_close(how == Close::Clean)));
            busy = true;
        } else if let Err(error) = self.session.handle_timeout(now) {
            self.end(now, Outcome::Failed(error));
            busy = true;
        }
        if self.outcome.is_some() {
            up.close(now, Close::Clean);
        }
        busy
    }

    /// When it next has something to do by the clock.
    pub fn next(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        let ready = self.complete_at.filter(|_| self.session.needs_ready()).map(|at| at + self.ready_after);
        let held = (self.begin.is_some() && self.gives_signs).then_some(self.held_at);
        [self.session.poll_timeout(), ready, held].into_iter().flatten().min()
    }
}
