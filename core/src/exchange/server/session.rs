//! The server's end of one connection (protocol.md, sections 4 to 7).

mod batch;
mod closing;
mod source;

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;
use rand_core::CryptoRng;

use super::event::SessionEvent;
use super::reply::{Reject, Reply};
use super::request::{Dialogue, Task, parse};
use super::stream::Phase;
use super::tables::Server;
use crate::crypto::record::RecordKind;
use crate::drops::Drops;
use crate::guard::{Admission, Guess, Source, Standing};
use crate::limits::{CONTROL_RECORD, RECORD_OVERHEAD, REQUESTS_MAX};
use crate::session::{Channel, ServerHandshake, ServerShare};
use crate::session::{Close, Misuse};
use crate::time::Instant;
use crate::token::{ConnId, Instance, Token};
use crate::trace::decision;
use crate::wire::{
    Answer, Attributes, CLIENT_HELLO_LEN, ControlError, ErrorCode, FetchRequest, GREETING_LEN, Request,
};

/// A server's session with one client, as a sans-IO state machine.
pub struct ServerSession {
    conn: ConnId,
    source: IpAddr,
    opened: Instant,
    heard: Instant,
    state: State,
    /// Handshake bytes to send: message 1 or 3.
    plain: Vec<u8, GREETING_LEN>,
    close: Option<Close>,
    ended: bool,
}

#[expect(clippy::large_enum_variant, reason = "one of these lives in each session, never in a collection")]
enum State {
    /// The greeting is busy; nothing will be read.
    Busy,
    AwaitHello(ServerHandshake),
    Parked(ServerHandshake, [u8; CLIENT_HELLO_LEN]),
    /// Half of the answer to message 2 is computed, see [`ServerSession::finish_answer`].
    Answering(ServerShare),
    /// Message 3 is sent; the client has proved nothing yet.
    AwaitProof(Channel),
    Open(Dialogue),
    /// The handshake has failed, or the session is over.
    Over,
}

impl<const D: usize, const F: usize, const S: usize, const C: usize> Server<D, F, S, C> {
    /// Creates the session of a connection that was accepted from `source`.
    pub fn open(
        &mut self,
        now: Instant,
        source: impl Into<Source>,
        rng: &mut impl CryptoRng,
    ) -> ServerSession {
        let source = source.into();
        let (conn, admission) = self.admit(now, source);
        let source = source.address();
        match admission {
            Admission::Busy { retry_after } => {
                let greeting = self.turn_away(retry_after, rng);
                return ServerSession::busy(now, conn, source, &greeting);
            }
            Admission::Evict(other) => self.wake(other),
            Admission::Open => {}
        }
        ServerSession::greet(now, conn, source, self.instance(), rng)
    }
}

impl ServerSession {
    /// A session that starts with an ok greeting.
    fn greet(
        now: Instant,
        conn: ConnId,
        source: IpAddr,
        instance: Instance,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let greeted = ServerHandshake::new(instance, rng);
        let plain = *greeted.greeting();
        Self::begin(now, conn, source, State::AwaitHello(greeted), &plain)
    }

    /// A session that sends a busy greeting and closes.
    fn busy(now: Instant, conn: ConnId, source: IpAddr, greeting: &[u8; GREETING_LEN]) -> Self {
        Self::begin(now, conn, source, State::Busy, greeting)
    }

    fn begin(
        now: Instant,
        conn: ConnId,
        source: IpAddr,
        state: State,
        greeting: &[u8; GREETING_LEN],
    ) -> Self {
        let mut plain = Vec::new();
        plain.extend(greeting.iter().copied());
        Self { conn, source, opened: now, heard: now, state, plain, close: None, ended: false }
    }

    /// The number of this connection.
    pub const fn conn(&self) -> ConnId {
        self.conn
    }

    /// The source address.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Whether the peer has proved that it is a member.
    pub const fn is_member(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether the connection is parked: [`handle_wake`](Self::handle_wake) continues once it has a guess
    /// token.
    pub const fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked(..))
    }

    /// Whether [`finish_answer`](Self::finish_answer) has something to do.
    pub const fn is_answering(&self) -> bool {
        matches!(self.state, State::Answering(_))
    }

    /// Length of the next message from the peer; `None` while nothing may be read (backpressure).
    pub fn wants(&self) -> Option<usize> {
        if self.close.is_some() {
            return None;
        }
        match &self.state {
            State::AwaitHello(_) => Some(CLIENT_HELLO_LEN),
            State::AwaitProof(_) => Some(CONTROL_RECORD),
            // Backpressure: a peer that does not read its answers is not read from.
            State::Open(Dialogue { answer: Some(_), .. } | Dialogue { task: Task::Listing { .. }, .. }) => {
                None
            }
            State::Open(Dialogue { task: Task::Stream(stream), .. }) => {
                matches!(stream.phase, Phase::Data | Phase::AwaitReady).then_some(CONTROL_RECORD)
            }
            State::Open(_) => Some(CONTROL_RECORD),
            State::Busy | State::Parked(..) | State::Answering(_) | State::Over => None,
        }
    }

    /// Length of the buffer that the next [`poll_transmit`](Self::poll_transmit) or
    /// [`handle_read`](Self::handle_read) needs.
    pub const fn record_len(&self) -> usize {
        match &self.state {
            State::Open(Dialogue { task: Task::Stream(stream), .. }) => {
                stream.record as usize + RECORD_OVERHEAD
            }
            _ => CONTROL_RECORD,
        }
    }

    /// Applies the guard's decision about this connection: it continues with its guess token, or closes
    /// because it was evicted. Call on [`Wake`](super::ServerEvent::Wake); at any other time it does nothing.
    pub fn handle_wake<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
    ) {
        if self.close.is_some() || self.ended {
            // Too late: a close after message 3 would mean "not a member".
            return;
        }
        match (&self.state, server.guard.standing(self.conn)) {
            // The guard knows every unauthenticated connection, unless it was evicted.
            (
                State::AwaitHello(_) | State::Parked(..) | State::Answering(_) | State::AwaitProof(_),
                Standing::Unknown,
            ) => {
                decision!("server: connection {}: its place went to another", self.conn.0);
                self.plain.clear();
                self.close = Some(Close::Reset);
                self.end();
            }
            (State::Parked(..), Standing::Granted) => {
                if let State::Parked(greeted, hello) = core::mem::replace(&mut self.state, State::Over) {
                    self.answer_hello(now, server, rng, greeted, &hello);
                }
            }
            _ => {}
        }
    }

    /// Handles one whole message of [`wants`](Self::wants) bytes; opens it in place.
    pub fn handle_message<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
        message: &mut [u8],
    ) -> Result<Option<SessionEvent>, Misuse> {
        self.handle_message_in_turn(now, server, rng, message, |_, _| None)
    }

    /// The same where receivers take turns: `turn` is asked before a `fetch` claims a drop, and says how long its receiver
    /// is to wait if it has to. See [`Turns`](super::Turns).
    // Not inlined: a board has less flash to spare than time.
    #[inline(never)]
    pub fn handle_message_in_turn<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
        message: &mut [u8],
        turn: impl FnOnce(&Drops<D, F>, &FetchRequest) -> Option<Duration>,
    ) -> Result<Option<SessionEvent>, Misuse> {
        if self.wants() != Some(message.len()) {
            return Err(if self.wants().is_none() { Misuse::OutOfTurn } else { Misuse::Buffer });
        }
        self.heard = now;
        match core::mem::replace(&mut self.state, State::Over) {
            State::AwaitHello(greeted) => {
                let hello = message.first_chunk::<CLIENT_HELLO_LEN>().ok_or(Misuse::Buffer)?;
                let guess = server.guard.message2(now, self.conn);
                decision!("server: connection {}: message 2: {:?}", self.conn.0, guess);
                match guess {
                    Guess::Granted => self.answer_hello(now, server, rng, greeted, hello),
                    Guess::Parked => self.state = State::Parked(greeted, *hello),
                    Guess::ParkedFor(other) => {
                        self.state = State::Parked(greeted, *hello);
                        server.wake(other);
                    }
                    Guess::Refused => {
                        server.guard.closed(now, self.conn);
                        self.close = Some(Close::Clean);
                    }
                }
                Ok(None)
            }
            State::AwaitProof(mut channel) => match channel.opener.open(message) {
                Ok(opened) => {
                    server.guard.confirmed(now, self.conn);
                    decision!("server: connection {}: a member", self.conn.0);
                    let mut dialogue =
                        Dialogue { channel, requests: 0, answer: None, task: Task::Idle, committing: false };
                    let payload = message.get(..opened.len).unwrap_or_default();
                    let event = self.handle_request(
                        now,
                        server,
                        rng,
                        &mut dialogue,
                        parse(opened.kind, payload),
                        turn,
                    );
                    self.state = State::Open(dialogue);
                    Ok(event.or(Some(SessionEvent::Member)))
                }
                Err(_) => {
                    decision!("server: connection {}: not a member", self.conn.0);
                    // Put back, to be wiped in its place.
                    self.state = State::AwaitProof(channel);
                    self.end();
                    // Not a member: the only case in which a clean close means that.
                    server.guard.failed(now, self.conn);
                    self.close = Some(if server.stopping() { Close::Reset } else { Close::Clean });
                    Ok(None)
                }
            },
            State::Open(mut dialogue) => {
                let event = match dialogue.channel.opener.open(message) {
                    Ok(opened) => {
                        let payload = message.get(..opened.len).unwrap_or_default();
                        self.handle_request(
                            now,
                            server,
                            rng,
                            &mut dialogue,
                            parse(opened.kind, payload),
                            turn,
                        )
                    }
                    Err(_) => {
                        self.close = Some(Close::Reset);
                        None
                    }
                };
                self.state = State::Open(dialogue);
                Ok(event)
            }
            other => {
                self.state = other;
                Err(Misuse::OutOfTurn)
            }
        }
    }

    fn answer_hello<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
        greeted: ServerHandshake,
        hello: &[u8; CLIENT_HELLO_LEN],
    ) {
        match greeted.share(hello, server.prs(), rng) {
            Ok(share) => self.state = State::Answering(share),
            Err(_) => self.refuse_hello(now, server),
        }
    }

    /// Computes the second half of the answer to message 2; does nothing where none is due.
    /// [`poll_transmit`](Self::poll_transmit) does the same. A board calls it before, and does something else in between:
    /// each half takes it tens or hundreds of milliseconds.
    #[inline(never)]
    pub fn finish_answer<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
    ) {
        if !self.is_answering() || self.close.is_some() {
            return;
        }
        let State::Answering(share) = &self.state else { return };
        let keyed = share.key();
        // The scalar, before anything comes into its place.
        self.end();
        match keyed {
            Ok((mut channel, message3)) => {
                channel.use_cipher(server.cipher());
                self.plain.extend(message3);
                self.state = State::AwaitProof(channel);
            }
            Err(_) => self.refuse_hello(now, server),
        }
    }

    /// It tested no guess, but it cost the computation, so the token stays spent.
    fn refuse_hello<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
    ) {
        server.guard.failed(now, self.conn);
        self.close = Some(Close::Reset);
    }

    fn handle_request<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
        dialogue: &mut Dialogue,
        request: Result<Request, ControlError>,
        turn: impl FnOnce(&Drops<D, F>, &FetchRequest) -> Option<Duration>,
    ) -> Option<SessionEvent> {
        let progress = matches!(request, Ok(Request::Progress { .. }));
        dialogue.requests = dialogue.requests.saturating_add(u8::from(!progress));
        if dialogue.requests > REQUESTS_MAX {
            self.close = Some(Close::Clean);
            return None;
        }
        let streaming = matches!(dialogue.task, Task::Stream(_));
        let outcome = match (request, &mut dialogue.task) {
            (Ok(request), Task::Stream(stream)) => stream.handle_request(now, server, self.conn, &request),
            (Ok(request), _) => dialogue.handle_request(now, server, rng, self.conn, &request, turn),
            (Err(ControlError::UnknownType(_)), _) => Err(Reject::Say(ErrorCode::Unsupported)),
            (Err(_), _) => Err(Reject::Say(ErrorCode::Malformed)),
        };
        match outcome {
            Ok(event) => event,
            Err(trouble) => {
                if let Reject::Say(code) = trouble {
                    decision!("server: connection {}: refused: {:?}", self.conn.0, code);
                    dialogue.answer = Some(Reply::Error(code));
                    // `malformed`, and an error in the midst of a stream, end the connection. So does a
                    // `progress` without a claim: it has no answer, and a later request would get this one.
                    if streaming || progress || code == ErrorCode::Malformed {
                        self.close = Some(Close::Clean);
                    }
                } else {
                    self.close = Some(Close::Clean);
                }
                None
            }
        }
    }

    /// Writes the next message to send into `out` and returns its length.
    pub fn poll_transmit<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        out: &mut [u8],
    ) -> Result<Option<usize>, Misuse> {
        self.poll_transmit_with(now, server, out, |_| None)
    }

    /// The same, with the attributes that `begin` gives the drop of this token.
    pub fn poll_transmit_with<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        out: &mut [u8],
        attributes: impl FnOnce(&Token) -> Option<Attributes>,
    ) -> Result<Option<usize>, Misuse> {
        self.finish_answer(now, server);
        if !self.plain.is_empty() {
            let len = self.plain.len();
            out.get_mut(..len).ok_or(Misuse::Buffer)?.copy_from_slice(&self.plain);
            self.plain.clear();
            if matches!(self.state, State::Busy) {
                self.close = Some(Close::Clean);
            }
            return Ok(Some(len));
        }
        let State::Open(dialogue) = &mut self.state else { return Ok(None) };
        if self.close == Some(Close::Reset) {
            return Ok(None);
        }
        if dialogue.answer.is_none() && !matches!(dialogue.task, Task::Listing { .. }) {
            return Ok(None);
        }
        let size = match &dialogue.task {
            Task::Stream(stream) if stream.begun => stream.record as usize + RECORD_OVERHEAD,
            // `begin` names R, so neither it nor an error in its place has that size.
            _ => CONTROL_RECORD,
        };
        // Checked before an answer is taken from its queue, so that a short buffer loses nothing.
        let record = out.get_mut(..size).ok_or(Misuse::Buffer)?;
        let Some(answer) = dialogue.next_answer(now, server, self.conn) else { return Ok(None) };
        if matches!((&dialogue.task, &answer), (Task::Stream(_), Answer::Error(_))) {
            // The claim lapsed before `begin` was sent.
            self.close = Some(Close::Clean);
        }
        let attributes = match (&dialogue.task, &answer) {
            (Task::Stream(stream), Answer::Begin(_)) => attributes(&stream.token),
            _ => None,
        };
        let sealed = answer
            .emit(record)
            .and_then(|len| attributes.map_or(Ok(len), |attributes| attributes.append(record, len)))
            .ok()
            .and_then(|len| dialogue.channel.sealer.seal(record, RecordKind::Control, len).ok());
        if sealed.is_none() {
            // The AEAD counter is exhausted after 2^64 records: unreachable in practice, and never reused.
            self.close = Some(Close::Reset);
            return Ok(None);
        }
        if let (Task::Stream(stream), Answer::Begin(_)) = (&mut dialogue.task, &answer) {
            stream.begun = true;
            stream.data_given(now, server, self.conn);
        }
        Ok(Some(size))
    }
}
