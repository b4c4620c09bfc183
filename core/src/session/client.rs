//! The client's end of one connection (protocol.md, sections 4 to 7).

mod answers;
mod batch;

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::crypto::cipher::{Cipher, RustCrypto};
use crate::crypto::keys::Prs;
use crate::crypto::record::RecordKind;
use crate::guard::ClientGuard;
use crate::limits::{
    ANSWER_TIMEOUT, CONTROL_RECORD, GREETING_TIMEOUT, HANDSHAKE_TIMEOUT, RECORD_MIN, RECORD_OVERHEAD,
};
use crate::offer::Offer;
use crate::session::client_error::ClientError;
use crate::session::handshake::{Channel, ClientHandshake};
use crate::session::{Misuse, RecordLayout};
use crate::time::Instant;
use crate::token::{FetchId, Instance, Token};
use crate::trace::decision;
use crate::wire::GREETING_LEN;
use crate::wire::{Begin, Ending, ErrorCode, FetchRequest, Request};
use crate::wire::{CLIENT_HELLO_LEN, SERVER_HELLO_LEN};

/// The parameters of a `fetch` (protocol.md, section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The drop.
    pub token: Token,
    /// The fetch id; the same one resumes the claim.
    pub id: FetchId,
    /// Largest data record this side takes. Buffers need 20 bytes more.
    pub record_max: u32,
    /// Bytes held already.
    pub offset: u64,
    /// Their [`PrefixDigest`](crate::crypto::digest::PrefixDigest); `None` exactly when there are none.
    pub digest: Option<[u8; 32]>,
}

/// The content of a message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Message 3 has arrived: the first request may be made. The server has proved nothing yet.
    Ready,
    /// A line of the list.
    Offer(Offer),
    /// A line of the list: a drop that has ended recently.
    Ending(Ending),
    /// The list is over.
    ListEnd {
        /// The server's revision.
        revision: u32,
        /// There are more pages: ask again, after the last token.
        more: bool,
    },
    /// `begin`: the drop is claimed for us.
    Begin(Begin),
    /// The next bytes of the drop: the first `len` of the buffer.
    Data {
        /// How many.
        len: usize,
    },
    /// The last bytes of the drop: the first `len` of the buffer.
    Final {
        /// How many.
        len: usize,
    },
    /// The server has accepted our `commit`.
    Burned,
    /// The request failed with this error.
    Refused(ErrorCode),
}

/// A client's session with one server, as a sans-IO state machine.
pub struct ClientSession {
    address: IpAddr,
    opened: Instant,
    heard: Instant,
    expected: Option<Instance>,
    own: Option<Instance>,
    cipher: &'static dyn Cipher,
    state: State,
    /// A bare handshake message to send.
    hello: Option<[u8; CLIENT_HELLO_LEN]>,
}

enum State {
    AwaitGreeting,
    AwaitShare(ClientHandshake),
    Open(Dialogue),
    Over,
}

struct Dialogue {
    channel: Channel,
    /// Message 4 is sent, the proof that we know the PRS.
    proved: bool,
    /// Message 5 has opened: the server is a member.
    confirmed: bool,
    request: Option<Request>,
    progress: Option<u64>,
    awaits: Awaits,
    fetch: Option<(Token, FetchId)>,
    record_max: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Idle: a request may be made.
    Nothing,
    List {
        left: u8,
        /// A filler has come.
        filled: bool,
    },
    Begin {
        offset: u64,
    },
    Stream {
        record: u32,
        cut: RecordLayout,
        at: u64,
        ready: bool,
    },
    /// The final record has arrived.
    Whole,
    Burned,
}

impl ClientSession {
    /// A session on a connection to `address` that has just opened.
    ///
    /// `expected` is the instance of the beacon, `own` that of this process, if it serves.
    pub const fn new(
        now: Instant,
        address: IpAddr,
        expected: Option<Instance>,
        own: Option<Instance>,
    ) -> Self {
        Self {
            address,
            opened: now,
            heard: now,
            expected,
            own,
            cipher: &RustCrypto,
            state: State::AwaitGreeting,
            hello: None,
        }
    }

    /// The same session with another implementation of the cipher. Call before the handshake.
    pub const fn with_cipher(mut self, cipher: &'static dyn Cipher) -> Self {
        self.cipher = cipher;
        self
    }

    /// Length of the next message from the server; `None` while none is due.
    pub fn wants(&self) -> Option<usize> {
        match &self.state {
            State::AwaitGreeting => Some(GREETING_LEN),
            State::AwaitShare(_) => Some(SERVER_HELLO_LEN),
            State::Open(dialogue) => match dialogue.awaits {
                Awaits::Nothing | Awaits::Whole => None,
                Awaits::List { .. } | Awaits::Begin { .. } | Awaits::Burned => Some(CONTROL_RECORD),
                Awaits::Stream { record, .. } => Some(record as usize + RECORD_OVERHEAD),
            },
            State::Over => None,
        }
    }

    /// Whether message 2 is sent and message 3 has not come: the server may have parked us.
    pub const fn awaits_share(&self) -> bool {
        matches!(&self.state, State::AwaitShare(_)) && self.hello.is_none()
    }

    /// Whether the server has proved that it is a member.
    pub const fn is_confirmed(&self) -> bool {
        matches!(&self.state, State::Open(Dialogue { confirmed: true, .. }))
    }

    /// Whether all but the final record has arrived: store it, reserve space for the rest, then call
    /// [`ready`](Self::ready).
    pub const fn needs_ready(&self) -> bool {
        match &self.state {
            State::Open(Dialogue { awaits: Awaits::Stream { cut, at, ready, .. }, .. }) => {
                *at >= cut.last_at && !*ready
            }
            _ => false,
        }
    }

    /// Bytes of the final record, while a drop streams.
    pub const fn final_len(&self) -> Option<u32> {
        match &self.state {
            State::Open(Dialogue { awaits: Awaits::Stream { cut, .. }, .. }) => Some(cut.last_len),
            _ => None,
        }
    }

    /// Offset in the drop of the next record, while a drop streams.
    pub const fn position(&self) -> Option<u64> {
        match &self.state {
            State::Open(Dialogue { awaits: Awaits::Stream { at, .. }, .. }) => Some(*at),
            _ => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitGreeting => Some(self.opened + GREETING_TIMEOUT),
            State::AwaitShare(_) => Some(self.opened + HANDSHAKE_TIMEOUT),
            // Before `ready` is sent, nothing of the server is due.
            State::Open(_) if self.wants().is_some() && !self.needs_ready() => {
                Some(self.heard + ANSWER_TIMEOUT)
            }
            _ => None,
        }
    }

    /// Checks for silence of the server, and returns what it means (protocol.md, section 4.3).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ClientError> {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            let error = match &self.state {
                State::AwaitShare(_) => ClientError::Busy,
                _ => ClientError::Silent,
            };
            // What it holds is wiped in its place.
            self.state = State::Over;
            return Err(error);
        }
        Ok(())
    }

    /// Restarts the silence timer: the server was waiting for us while its data was stored.
    pub const fn handle_pause(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Handles the end of the connection, `clean` for a close between two messages, neither a reset nor a
    /// close in the midst of one, and returns what it means (protocol.md, section 4.3).
    pub const fn handle_close(&self, clean: bool) -> ClientError {
        match &self.state {
            _ if !clean => ClientError::Reset,
            State::AwaitShare(_) => ClientError::Busy,
            // Only after message 4 is sent can a close be the answer to it.
            State::Open(Dialogue { proved: true, confirmed: false, .. }) => ClientError::NotMember,
            _ => ClientError::Reset,
        }
    }

    /// Sends `list`: asks for offers after the token `after`.
    pub fn list(&mut self, now: Instant, after: Option<Token>) -> Result<(), Misuse> {
        let left = u8::try_from(crate::limits::LIST_RECORDS).unwrap_or(u8::MAX);
        self.ask(now, Request::List { after }, Awaits::List { left, filled: false })
    }

    /// Sends `fetch`: claims a drop.
    pub fn fetch(&mut self, now: Instant, plan: &FetchPlan) -> Result<(), Misuse> {
        let FetchPlan { token, id, record_max, offset, digest } = *plan;
        if record_max < RECORD_MIN || digest.is_some() != (offset > 0) {
            return Err(Misuse::Plan);
        }
        let request = Request::Fetch(FetchRequest { token, id, record_max, offset, digest });
        self.ask(now, request, Awaits::Begin { offset })?;
        if let State::Open(dialogue) = &mut self.state {
            dialogue.fetch = Some((token, id));
            dialogue.record_max = record_max;
        }
        Ok(())
    }

    /// Sends `progress`: the sign of life that renews the lease.
    pub const fn progress(&mut self, stored: u64) -> Result<(), Misuse> {
        match &mut self.state {
            State::Open(Dialogue {
                progress,
                fetch: Some(_),
                awaits: Awaits::Stream { .. } | Awaits::Whole,
                ..
            }) => {
                *progress = Some(stored);
                Ok(())
            }
            _ => Err(Misuse::OutOfTurn),
        }
    }

    /// Sends `ready`: all before the final record is written, and there is space for the rest.
    pub fn ready(&mut self, now: Instant) -> Result<(), Misuse> {
        if !self.needs_ready() {
            return Err(Misuse::OutOfTurn);
        }
        let State::Open(dialogue) = &mut self.state else { return Err(Misuse::OutOfTurn) };
        let (token, id) = dialogue.fetch.ok_or(Misuse::OutOfTurn)?;
        if let Awaits::Stream { ready, .. } = &mut dialogue.awaits {
            *ready = true;
        }
        dialogue.request = Some(Request::Ready { token, id });
        self.heard = now;
        Ok(())
    }

    /// Sends `commit`: the whole drop is verified and durable. Also on a new connection.
    pub fn commit(&mut self, now: Instant, token: Token, id: FetchId) -> Result<(), Misuse> {
        if let State::Open(dialogue) = &mut self.state
            && dialogue.awaits == Awaits::Whole
        {
            dialogue.awaits = Awaits::Nothing;
        }
        self.ask(now, Request::Commit { token, id }, Awaits::Burned)
    }

    /// Sends `release`: gives the claim up before the final record. Close the connection once it is sent.
    pub fn release(&mut self) -> Result<(), Misuse> {
        let State::Open(dialogue) = &mut self.state else { return Err(Misuse::OutOfTurn) };
        if !matches!(dialogue.awaits, Awaits::Begin { .. } | Awaits::Stream { .. }) {
            return Err(Misuse::OutOfTurn);
        }
        let (token, id) = dialogue.fetch.ok_or(Misuse::OutOfTurn)?;
        dialogue.request = Some(Request::Release { token, id });
        dialogue.progress = None;
        dialogue.awaits = Awaits::Nothing;
        Ok(())
    }

    fn ask(&mut self, now: Instant, request: Request, awaits: Awaits) -> Result<(), Misuse> {
        match &mut self.state {
            State::Open(dialogue) if dialogue.awaits == Awaits::Nothing && dialogue.request.is_none() => {
                dialogue.request = Some(request);
                dialogue.progress = None;
                dialogue.awaits = awaits;
                self.heard = now;
                Ok(())
            }
            _ => Err(Misuse::OutOfTurn),
        }
    }

    /// Writes the next message to send into `out`, of at least 512 bytes, and returns its length.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Result<Option<usize>, Misuse> {
        if let Some(hello) = &self.hello {
            out.get_mut(..hello.len()).ok_or(Misuse::Buffer)?.copy_from_slice(hello);
            self.hello = None;
            return Ok(Some(CLIENT_HELLO_LEN));
        }
        let State::Open(dialogue) = &mut self.state else { return Ok(None) };
        let record = out.get_mut(..CONTROL_RECORD).ok_or(Misuse::Buffer)?;
        let request = match (dialogue.request.take(), dialogue.fetch) {
            (Some(request), _) => request,
            (None, Some((token, id))) => match dialogue.progress.take() {
                Some(stored) => Request::Progress { token, id, stored },
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let len = request.emit(record).map_err(|_| Misuse::Buffer)?;
        dialogue.channel.sealer.seal(record, RecordKind::Control, len).map_err(|_| Misuse::OutOfTurn)?;
        dialogue.proved = true;
        Ok(Some(CONTROL_RECORD))
    }

    /// Handles one whole message of [`wants`](Self::wants) bytes. Opens it in place, so that bytes of a drop
    /// are then at its front. `None` if it says nothing: the greeting, or the padding of a list.
    pub fn handle_message<const S: usize>(
        &mut self,
        now: Instant,
        prs: &Prs,
        guard: &mut ClientGuard<S>,
        rng: &mut impl CryptoRng,
        message: &mut [u8],
    ) -> Result<Option<ClientEvent>, ClientError> {
        if self.wants() != Some(message.len()) {
            return Err(ClientError::Protocol);
        }
        self.heard = now;
        let input = match self.state {
            // A server counts a message 2 without a message 4 as a failed guess.
            State::AwaitGreeting if !guard.has(now, self.address) => {
                decision!("client: no guess left for {}", self.address);
                Err(ClientError::NoBudget)
            }
            State::AwaitGreeting => self.handle_greeting(prs, rng, message),
            State::AwaitShare(_) => self.handle_share(now, guard, message),
            State::Open(_) => self.handle_record(now, guard, message),
            State::Over => Err(ClientError::Protocol),
        };
        if input.is_err() {
            self.state = State::Over;
        }
        input
    }

    // Not inlined: the stack frames of the message kinds must not add up on a board's small stack.
    #[inline(never)]
    fn handle_greeting(
        &mut self,
        prs: &Prs,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<Option<ClientEvent>, ClientError> {
        let greeting = message.first_chunk::<GREETING_LEN>().ok_or(ClientError::Protocol)?;
        let (handshake, hello) = ClientHandshake::start(greeting, self.expected, self.own, prs, rng)?;
        self.hello = Some(hello);
        self.state = State::AwaitShare(handshake);
        Ok(None)
    }

    #[inline(never)]
    fn handle_share<const S: usize>(
        &mut self,
        now: Instant,
        guard: &mut ClientGuard<S>,
        message: &[u8],
    ) -> Result<Option<ClientEvent>, ClientError> {
        let State::AwaitShare(handshake) = core::mem::replace(&mut self.state, State::Over) else {
            return Err(ClientError::Protocol);
        };
        let share = message.first_chunk::<SERVER_HELLO_LEN>().ok_or(ClientError::Protocol)?;
        let mut channel = handshake.finish(share)?;
        channel.use_cipher(self.cipher);
        // Message 4 lets a fake server test one guess at the passphrase.
        if !guard.take(now, self.address) {
            return Err(ClientError::NoBudget);
        }
        self.state = State::Open(Dialogue {
            channel,
            proved: false,
            confirmed: false,
            request: None,
            progress: None,
            awaits: Awaits::Nothing,
            fetch: None,
            record_max: 0,
        });
        Ok(Some(ClientEvent::Ready))
    }

    #[inline(never)]
    fn handle_record<const S: usize>(
        &mut self,
        now: Instant,
        guard: &mut ClientGuard<S>,
        message: &mut [u8],
    ) -> Result<Option<ClientEvent>, ClientError> {
        let State::Open(dialogue) = &mut self.state else { return Err(ClientError::Protocol) };
        let opened = match dialogue.channel.opener.open(message) {
            Ok(opened) => opened,
            // Authentication of message 5 failed: the server does not have the key.
            Err(_) if !dialogue.confirmed => return Err(ClientError::NotMember),
            Err(_) => return Err(ClientError::Protocol),
        };
        if !core::mem::replace(&mut dialogue.confirmed, true) {
            decision!("client: {} is a member", self.address);
            guard.confirmed(now, self.address);
        }
        match opened.kind {
            RecordKind::Control => {
                let payload = message.get(..opened.len).ok_or(ClientError::Protocol)?;
                dialogue.handle_control(payload)
            }
            RecordKind::Data => dialogue.handle_data(opened.len),
            RecordKind::Final => dialogue.handle_final(opened.len),
        }
        .ok_or(ClientError::Protocol)
    }
}
