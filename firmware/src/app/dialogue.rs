//! One conversation with a sender: the fetching end of a connection.

use core::net::{IpAddr, SocketAddr};

use deaddrop_core::limits::{CONNECT_TIMEOUT, PROGRESS_EVERY};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use embassy_futures::select::{Either, select};
use embassy_net::IpEndpoint;
use embassy_net::tcp::TcpSocket;
use zeroize::Zeroize;

use super::clock;
use super::connection::{Connection, Received, reset};
use super::member::Member;
use super::rounds::Part;

/// Connects to `to`. False if nobody is there, or not before `end`.
pub(super) async fn connect(socket: &mut TcpSocket<'static>, to: SocketAddr, end: Instant) -> bool {
    reset(socket).await;
    let IpAddr::V4(address) = to.ip() else { return false };
    let endpoint = IpEndpoint::new(address.into(), to.port());
    let patience = clock::at((clock::now() + CONNECT_TIMEOUT).min(end));
    let connected = matches!(select(socket.connect(endpoint), patience).await, Either::First(Ok(())));
    if !connected {
        reset(socket).await;
    }
    connected
}

/// Carries one client session.
pub(super) struct Dialogue<'a> {
    member: &'a Member,
    /// The session, for its commands.
    pub(super) session: ClientSession,
    connection: Connection<'a>,
    /// Bytes stored so far, told to the sender every few seconds while a drop is on its way.
    stored: Option<u64>,
    told: Instant,
    /// When the conversation ends, whatever has been said by then.
    end: Instant,
}

impl<'a> Dialogue<'a> {
    /// Over a socket that is connected to `to`; [`Self::greet`] comes next.
    ///
    /// The conversation ends at `end`, however much the sender still has to say.
    #[inline(never)]
    pub(super) fn new(
        member: &'a Member,
        socket: &'a mut TcpSocket<'static>,
        to: SocketAddr,
        expected: Option<Instance>,
        end: Instant,
    ) -> Self {
        let own = member.state.borrow().serving.instance();
        let now = clock::now();
        Self {
            member,
            session: ClientSession::new(now, to.ip(), expected, Some(own)),
            connection: Connection::new(member, Part::Errands, socket),
            stored: None,
            told: now,
            end,
        }
    }

    /// Shakes hands; afterwards a request may be made.
    pub(super) async fn greet(&mut self) -> Result<(), ClientError> {
        loop {
            match self.next().await {
                Ok(ClientEvent::Ready) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    self.close(Close::Reset).await;
                    return Err(error);
                }
            }
        }
    }

    /// From now on the sender hears every [`PROGRESS_EVERY`] how much is stored.
    pub(super) fn stored(&mut self, bytes: u64) {
        if self.stored.is_none() {
            self.told = clock::now();
        }
        self.stored = Some(bytes);
    }

    /// The conversation ends no later than at `end`.
    pub(super) fn end_by(&mut self, end: Instant) {
        self.end = self.end.min(end);
    }

    /// Hands on the `len` bytes of a drop that the last input spoke of, and wipes them. To be called at once: they lie
    /// where the messages of all connections are opened.
    pub(super) fn bytes<T>(&mut self, len: usize, to: impl FnOnce(&[u8]) -> T) -> T {
        let mut state = self.member.state.borrow_mut();
        let bytes = state.message(len);
        let result = to(bytes);
        bytes.zeroize();
        result
    }

    /// The next thing that the sender says.
    pub(super) async fn next(&mut self) -> Result<ClientEvent, ClientError> {
        loop {
            let now = clock::now();
            if !self.connection.is_current() {
                return Err(ClientError::Reset);
            }
            self.session.handle_timeout(now)?;
            if self.end <= now {
                return Err(ClientError::Silent);
            }
            self.sign(now);
            let written = self.write();
            if let Some(len) = self.session.wants() {
                let received = self.connection.receive(self.member.state.borrow_mut().message(len));
                match received {
                    Received::Whole => return self.handle_message(len),
                    Received::Closed => return Err(self.session.handle_close(true)),
                    Received::Reset => return Err(self.session.handle_close(false)),
                    Received::Partly => {}
                }
            }
            if !written {
                // What the sender said before it went has been heard: nothing more will come.
                return Err(self.session.handle_close(false));
            }
            let sign = self.stored.map(|_| self.told + PROGRESS_EVERY);
            let until =
                [self.session.poll_timeout(), sign].into_iter().fold(Some(self.end), Instant::earliest);
            self.connection.wait(self.session.wants(), until).await;
        }
    }

    /// Gives the claim up, so that the sender need not wait for the lease to lapse, and says how to close. If the sender
    /// cannot be told, it waits.
    pub(super) async fn give_up(&mut self) -> Close {
        if self.session.release().is_ok() && self.flush().await { Close::Clean } else { Close::Reset }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self, how: Close) {
        self.connection.close(how).await;
    }

    /// Writes out all that the session has to say. False if it could not be said in time.
    async fn flush(&mut self) -> bool {
        let until = (clock::now() + CONNECT_TIMEOUT).min(self.end);
        while clock::now() < until && self.connection.is_current() {
            if !self.write() {
                return false;
            }
            if self.connection.has_said() {
                return true;
            }
            self.connection.wait(None, Some(until)).await;
        }
        false
    }

    /// Says how much is stored, if it is time to.
    fn sign(&mut self, now: Instant) {
        if let Some(stored) = self.stored
            && self.told + PROGRESS_EVERY <= now
        {
            self.told = now;
            // Out of turn only once the drop is through, and then nobody waits for a sign.
            if self.session.progress(stored).is_err() {
                self.stored = None;
            }
        }
    }

    /// Writes what there is to say, if it can go out. False if the connection broke.
    #[inline(never)]
    fn write(&mut self) -> bool {
        let (session, connection) = (&mut self.session, &mut self.connection);
        if !connection.takes_more() {
            return connection.socket.may_send();
        }
        let mut state = self.member.state.borrow_mut();
        match session.poll_transmit(state.record.as_mut_slice()) {
            Ok(Some(len)) => connection.send(state.record.get(..len).unwrap_or_default()),
            Ok(None) => true,
            // The buffer has room for whatever it may be.
            Err(_) => false,
        }
    }

    #[inline(never)]
    fn handle_message(&mut self, len: usize) -> Result<ClientEvent, ClientError> {
        let now = clock::now();
        let (session, connection) = (&mut self.session, &mut self.connection);
        // The handshake's messages are not records.
        if len < deaddrop_core::limits::CONTROL_RECORD {
            connection.hold_reply(now);
        }
        let mut state = self.member.state.borrow_mut();
        let state = &mut *state;
        let message = state.record.get_mut(..len).unwrap_or_default();
        let input = session.handle_message(now, &self.member.prs, state.guard, &mut state.rng, message);
        if !matches!(input, Ok(ClientEvent::Data { .. } | ClientEvent::Final { .. })) {
            message.zeroize();
        }
        input
    }
}
