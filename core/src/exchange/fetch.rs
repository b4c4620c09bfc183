//! One drop, fetched over as many connections as it takes (protocol.md, sections 7 and 8).
//!
//! # Use
//!
//! [`Fetch::poll_step`] returns what to do next, and returns it again until it is done:
//!
//! | step | what the front end does | then calls |
//! |---|---|---|
//! | [`Connect`](Step::Connect) | opens a connection to the sender and makes a session for it | [`handle_open`](Fetch::handle_open) or [`handle_unreachable`](Fetch::handle_unreachable) |
//! | [`Drive`](Step::Drive) | drives the session | [`handle_event`](Fetch::handle_event) with each event, [`handle_error`](Fetch::handle_error) once it fails |
//! | [`Approve`](Step::Approve) | checks the offer against its limits and its free space | [`approve`](Fetch::approve) or [`cancel`](Fetch::cancel) |
//! | [`Reserve`](Step::Reserve) | tries every local step that can still fail | [`ready`](Fetch::ready) or [`cancel`](Fetch::cancel) |
//! | [`Persist`](Step::Persist) | makes the whole drop durable, and drives the session meanwhile | [`persisted`](Fetch::persisted) or [`cancel`](Fetch::cancel) |
//! | [`Close`](Step::Close) | writes what the session still has to say, closes | [`handle_closed`](Fetch::handle_closed) |
//! | [`Wait`](Step::Wait) | waits | [`handle_timeout`](Fetch::handle_timeout) |
//! | [`Done`](Step::Done), [`Failed`](Step::Failed) | nothing | |
//!
//! At every step [`handle_timeout`](Fetch::handle_timeout) is due at [`poll_timeout`](Fetch::poll_timeout).
//!
//! # What a lost connection means
//!
//! - Before the claim: a retry until the caller's deadline, if a retry can help.
//! - With a claim: the receiver connects again under the same fetch id and resumes after the last full record
//!   that it has stored, until it has made no progress for [`RESUME_TIMEOUT`]. The server keeps the claim for
//!   [`LEASE`](crate::limits::LEASE); after that another receiver may take it.
//! - Between `ready` and the final record: the same. The claim may be final already; then no other receiver
//!   gets the drop.
//! - With the whole drop: only the `commit` is retried, for [`COMMIT_TIMEOUT`]. Without an answer the fetch
//!   has succeeded, unconfirmed.

mod error;
mod events;
mod pace;
mod retry;
mod timing;

use rand_core::CryptoRng;

pub use error::FetchError;
pub use pace::Pace;

use super::list::List;
use crate::limits::{
    COMMIT_ANSWER_TIMEOUT, COMMIT_TIMEOUT, COMMIT_TIMEOUT_INTERRUPTED, Profile, RECORD_MIN, RESUME_TIMEOUT,
};
use crate::offer::{EndReason, Offer};
use crate::session::{ClientError, ClientEvent, ClientSession, Close, Misuse};
use crate::time::Instant;
use crate::token::{FetchId, Token, TokenPrefix};
use crate::trace::decision;
pub use retry::backoff;
use retry::{Verdict, judge};

/// Which drop of a sender to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum Wanted {
    /// The drop of this offer, exactly as listed.
    Offered(Offer),
    /// The drop whose token has this prefix, looked up in the sender's list.
    Token(TokenPrefix),
}

/// What the front end has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connect to the sender.
    Connect,
    /// Drive the session: write its messages, read what it wants.
    Drive,
    /// The drop is known ([`Fetch::offer`]) and not claimed yet.
    Approve,
    /// All is stored but the final record. Try every local step that can still fail: after `ready`, no other
    /// receiver can have the drop.
    Reserve {
        /// Bytes of the final record, 0 for an empty drop.
        tail: u32,
    },
    /// All bytes are here: make them durable, and drive the session, if there is one, meanwhile.
    Persist,
    /// Close the connection this way, once all messages of the session are written.
    Close(Close),
    /// Wait until this time.
    Wait(Instant),
    /// The drop is here and durable.
    Done {
        /// The sender has answered `burned`. If not, it may report the drop as unconfirmed.
        confirmed: bool,
    },
    /// The fetch has failed, and a retry cannot help.
    Failed(FetchError),
}

/// Bytes of the drop: the first `len` of the message that was handled last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Their offset in the drop.
    pub offset: u64,
    /// Their number.
    pub len: usize,
}

/// A fetch of one drop, as a sans-IO state machine over several connections (protocol.md, section 7.1).
#[derive(Debug)]
pub struct Fetch {
    profile: &'static Profile,
    id: FetchId,
    prefix: TokenPrefix,
    /// The offer, once it is known; while a list is read, the match so far.
    offer: Option<Offer>,
    state: State,
    /// The front end has approved the offer.
    approved: bool,
    /// A sender has granted the claim, on this connection or an earlier one.
    claimed: bool,
    /// The drop is durable: only `commit` is left.
    persisted: bool,
    /// No retry begins after this.
    give_up: Instant,
    /// The deadline of this connection.
    connection_end: Option<Instant>,
    /// Tries that failed in a row, for the backoff.
    failures: u32,
    /// Bytes stored from the start of the drop, without a gap.
    stored: u64,
    /// The most that `stored` ever was: only bytes beyond it are progress.
    most_stored: u64,
    /// The offset of the latest stream, and its record size, 0 before the first.
    begun: (u64, u32),
    /// The digest of the first [`Self::resume_offset`] bytes, for the connection that is open.
    digest: Option<[u8; 32]>,
    /// Time of the latest `progress`.
    told: Instant,
}

#[derive(Debug)]
enum State {
    Connect,
    /// Until the session is ready.
    Handshake,
    List {
        list: List,
        ambiguous: bool,
        ended: Option<EndReason>,
    },
    Approve,
    /// Until `begin`.
    Claim,
    Stream,
    /// All bytes are here.
    Persist {
        /// Their connection is still open.
        connected: bool,
    },
    /// Until `burned`.
    Commit,
    Close(Close, Next),
    Wait(Instant),
    End(Result<bool, FetchError>),
}

/// What follows after the close of a connection.
#[derive(Clone, Copy, Debug)]
enum Next {
    Wait(Instant),
    End(Result<bool, FetchError>),
}

impl Fetch {
    /// A fetch under the fresh fetch id `id`. Before the claim it retries until `give_up`, and tries at least
    /// once.
    pub fn new(profile: &'static Profile, id: FetchId, wanted: Wanted, give_up: Instant) -> Self {
        let (prefix, offer) = match wanted {
            Wanted::Offered(offer) => (offer.token.into(), Some(offer)),
            Wanted::Token(prefix) => (prefix, None),
        };
        Self {
            profile,
            id,
            prefix,
            offer,
            state: State::Connect,
            approved: false,
            claimed: false,
            persisted: false,
            give_up,
            connection_end: None,
            failures: 0,
            stored: 0,
            most_stored: 0,
            begun: (0, 0),
            digest: None,
            told: Instant::default(),
        }
    }

    /// The same fetch with `bytes` of the drop already stored by an earlier process, under this id or
    /// another. Count only data records, not the final one: a sender resumes after no other bytes.
    pub const fn with_stored(mut self, bytes: u64) -> Self {
        // Their record size is unknown, but every one is a multiple of the least.
        (self.stored, self.most_stored, self.begun) = (bytes, bytes, (0, RECORD_MIN));
        self
    }

    /// The same fetch with the whole drop already durable by an earlier process, under this id: only the `commit` is
    /// left. The first step is [`Persist`](Step::Persist).
    pub const fn with_whole(mut self) -> Self {
        self.state = State::Persist { connected: false };
        self
    }

    /// What to do next. `session` is the one of the connection, while there is one.
    pub fn poll_step(&self, session: Option<&ClientSession>) -> Step {
        match &self.state {
            State::Connect => Step::Connect,
            State::Approve => Step::Approve,
            State::Stream => match session.and_then(ClientSession::final_len) {
                Some(tail)
                    if session.is_some_and(|s| s.needs_ready() && s.position() == Some(self.stored)) =>
                {
                    Step::Reserve { tail }
                }
                _ => Step::Drive,
            },
            State::Handshake | State::List { .. } | State::Claim | State::Commit => Step::Drive,
            State::Persist { .. } => Step::Persist,
            State::Close(how, _) => Step::Close(*how),
            State::Wait(until) => Step::Wait(*until),
            State::End(Ok(confirmed)) => Step::Done { confirmed: *confirmed },
            State::End(Err(error)) => Step::Failed(*error),
        }
    }

    /// The offer, once it is known.
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref().filter(|_| !matches!(self.state, State::List { .. }))
    }

    /// Whether the sender has granted the claim: no other receiver can have this fetch while the lease lasts.
    pub const fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Whether all bytes of the drop have arrived.
    pub const fn is_whole(&self) -> bool {
        self.persisted || matches!(self.state, State::Persist { .. })
    }

    /// Bytes stored from the start of the drop, as reported by [`handle_stored`](Self::handle_stored).
    pub const fn stored(&self) -> u64 {
        self.stored
    }

    /// The offset at which the next connection can resume: after the last full record of the latest stream.
    /// To resume, pass to [`handle_open`](Self::handle_open) the
    /// [`PrefixDigest`](crate::crypto::digest::PrefixDigest) of that many bytes.
    pub fn resume_offset(&self) -> u64 {
        // Counted from where that stream began: an earlier one may have had smaller records.
        let (from, record) = self.begun;
        let part = self.stored.saturating_sub(from).checked_rem(u64::from(record));
        part.map_or(0, |part| self.stored.saturating_sub(part))
    }

    /// A connection has opened. `digest` is that of the first [`resume_offset`](Self::resume_offset) bytes;
    /// without it the fetch starts at 0.
    pub fn handle_open(&mut self, now: Instant, digest: Option<[u8; 32]>) {
        if matches!(self.state, State::Connect) {
            self.digest = digest.filter(|_| self.resume_offset() > 0);
            self.connection_end = self.profile.fetch_connection.map(|span| now + span);
            self.state = State::Handshake;
        }
    }

    /// No connection could be opened.
    pub fn handle_unreachable(&mut self, now: Instant, rng: &mut impl CryptoRng) {
        if matches!(self.state, State::Connect) {
            self.fail(now, FetchError::Unreachable, Close::Reset, rng);
        }
    }

    /// The session has failed with this error. The next step resets its connection.
    pub fn handle_error(&mut self, now: Instant, error: ClientError, rng: &mut impl CryptoRng) {
        if self.is_open() {
            self.fail(now, error.into(), Close::Reset, rng);
        }
    }

    /// The connection is closed, as [`Step::Close`] asked.
    pub fn handle_closed(&mut self, now: Instant) {
        if let State::Close(_, next) = self.state {
            self.state = match next {
                Next::Wait(until) if until <= now => State::Connect,
                Next::Wait(until) => State::Wait(until),
                Next::End(end) => State::End(end),
            };
        }
    }

    /// Handles an event of the session. Returns the bytes of the drop that came with it: store them, then
    /// call [`handle_stored`](Self::handle_stored).
    pub fn handle_event(
        &mut self,
        now: Instant,
        session: &mut ClientSession,
        event: ClientEvent,
        rng: &mut impl CryptoRng,
    ) -> Option<Chunk> {
        if !self.is_open() {
            // An event of a connection that is given up does not revive the fetch.
            return None;
        }
        match self.take(now, session, event) {
            Ok(chunk) => chunk,
            Err(error) => {
                let how = self.give_back(session);
                self.fail(now, error, how, rng);
                None
            }
        }
    }

    /// The front end accepts the offer.
    ///
    /// # Errors
    /// If this was not the current step.
    pub fn approve(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        if !matches!(self.state, State::Approve) {
            return Err(Misuse::OutOfTurn);
        }
        self.approved = true;
        self.claim(now, session)
    }

    /// Ends the wait for the next try: the sender may be reached in another way now.
    pub fn retry_now(&mut self) {
        self.failures = 0;
        if let State::Wait(_) = self.state {
            self.state = State::Connect;
        }
    }

    /// This many bytes are stored now, from the start of the drop and without a gap.
    pub fn handle_stored(&mut self, now: Instant, bytes: u64) {
        if bytes > self.most_stored {
            self.most_stored = bytes;
            self.failures = 0;
            self.give_up = now + RESUME_TIMEOUT;
        }
        self.stored = bytes;
    }

    /// Space for the rest is reserved, and every local step that can fail was tried: sends `ready`.
    ///
    /// # Errors
    /// If this was not the current step.
    pub fn ready(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        if !matches!(self.poll_step(Some(session)), Step::Reserve { .. }) {
            return Err(Misuse::OutOfTurn);
        }
        session.ready(now)
    }

    /// The whole drop is durable: sends `commit`.
    ///
    /// # Errors
    /// If this was not the current step.
    pub fn persisted(&mut self, now: Instant, session: Option<&mut ClientSession>) -> Result<(), Misuse> {
        let State::Persist { connected } = self.state else { return Err(Misuse::OutOfTurn) };
        decision!("fetch: whole and durable, {} bytes", self.stored);
        self.persisted = true;
        self.failures = 0;
        self.give_up = now + COMMIT_TIMEOUT;
        match session.filter(|_| connected) {
            Some(session) => self.commit(now, session),
            None => {
                self.state = State::Connect;
                Ok(())
            }
        }
    }

    /// Cancels the fetch: the front end cannot store the drop or does not want it. Releases the claim unless
    /// it is final.
    pub fn cancel(&mut self, session: Option<&mut ClientSession>) {
        let end = Err(FetchError::Canceled);
        if self.persisted {
            return;
        }
        self.state = match self.state {
            State::End(_) | State::Close(_, Next::End(_)) => return,
            // What is left to be said on this connection is still said.
            State::Close(how, Next::Wait(_)) => State::Close(how, Next::End(end)),
            _ => match session.filter(|_| self.is_open()) {
                Some(session) => State::Close(self.give_back(session), Next::End(end)),
                None => State::End(end),
            },
        };
    }

    /// Handles an interrupt by the user. Cancels before all bytes have arrived; after that it only shortens
    /// the wait for `burned`.
    pub fn interrupt(&mut self, now: Instant, session: Option<&mut ClientSession>) {
        if self.persisted {
            self.give_up = self.give_up.min(now + COMMIT_TIMEOUT_INTERRUPTED);
        } else if !self.is_whole() {
            self.cancel(session);
        }
    }

    /// Whether there is a connection in use.
    const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Handshake
                | State::List { .. }
                | State::Approve
                | State::Claim
                | State::Stream
                | State::Persist { connected: true }
                | State::Commit
        )
    }

    fn commit(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        let token = self.token().ok_or(Misuse::OutOfTurn)?;
        session.commit(now, token, self.id)?;
        self.connection_end = Some(now + COMMIT_ANSWER_TIMEOUT);
        self.state = State::Commit;
        Ok(())
    }

    fn token(&self) -> Option<Token> {
        self.offer.as_ref().map(|offer| offer.token)
    }

    /// Releases the claim on this connection, if possible, and returns how to close.
    fn give_back(&self, session: &mut ClientSession) -> Close {
        if session.release().is_ok() { Close::Clean } else { Close::Reset }
    }

    /// This try has failed: schedules a retry, or ends the fetch.
    fn fail(&mut self, now: Instant, error: FetchError, how: Close, rng: &mut impl CryptoRng) {
        let open = self.is_open();
        if matches!(self.state, State::List { .. }) {
            // A list that broke off proves nothing.
            self.offer = None;
        }
        if let State::Persist { .. } = self.state {
            // The drop is whole while it is made durable; `commit` goes on another connection.
            self.state = State::Persist { connected: false };
            return;
        }
        let refused = matches!(error, FetchError::Refused(_));
        let verdict = match judge(&error, self.claimed) {
            // The server has forgotten the claim, so `commit` cannot succeed.
            _ if self.persisted && refused => Verdict::Final,
            _ if self.persisted => Verdict::Retry(None),
            verdict => verdict,
        };
        decision!("fetch: {:?}: {:?}, claimed {}, stored {}", error, verdict, self.claimed, self.stored);
        let end = if self.persisted { Ok(false) } else { Err(error) };
        self.state = match verdict {
            Verdict::Retry(asked) if now < self.give_up => {
                let failures = if self.claimed && !self.persisted { self.failures } else { 0 };
                let until = now + backoff(failures, asked, rng);
                self.failures = self.failures.saturating_add(1);
                if open { State::Close(how, Next::Wait(until)) } else { State::Wait(until) }
            }
            _ => ended(open, how, end),
        };
    }
}

/// The end state, after closing the connection if it is open.
const fn ended(open: bool, how: Close, end: Result<bool, FetchError>) -> State {
    if open { State::Close(how, Next::End(end)) } else { State::End(end) }
}

fn misuse(misuse: Misuse) -> FetchError {
    FetchError::Session(misuse.into())
}
