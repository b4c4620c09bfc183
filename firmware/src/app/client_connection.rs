//! Drives one client session over TCP. Makes no protocol decisions but when to report progress.

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
use super::liveness::Task;
use super::state::AppState;

/// Connects to `to`. False if that fails, or takes longer than `CONNECT_TIMEOUT` or past `end`.
pub(super) async fn connect(socket: &mut TcpSocket<'static>, to: SocketAddr, end: Instant) -> bool {
    reset(socket).await;
    let IpAddr::V4(address) = to.ip() else { return false };
    let endpoint = IpEndpoint::new(address.into(), to.port());
    let timeout = clock::at((clock::now() + CONNECT_TIMEOUT).min(end));
    let connected = matches!(select(socket.connect(endpoint), timeout).await, Either::First(Ok(())));
    if !connected {
        reset(socket).await;
    }
    connected
}

/// A connection to a sender.
pub(super) struct ClientConnection<'a> {
    app: &'a AppState,
    /// The session, for its commands.
    pub(super) session: ClientSession,
    connection: Connection<'a>,
    /// Bytes stored so far, while a drop is arriving.
    stored: Option<u64>,
    /// When progress was last reported.
    reported: Instant,
    /// The connection is given up at this moment, whatever its state.
    end: Instant,
}

impl<'a> ClientConnection<'a> {
    /// Over a socket that is connected to `to`, until `end` at the latest. [`Self::handshake`] comes next.
    #[inline(never)]
    pub(super) fn new(
        app: &'a AppState,
        socket: &'a mut TcpSocket<'static>,
        to: SocketAddr,
        expected: Option<Instance>,
        end: Instant,
    ) -> Self {
        let own = app.tables.borrow().server.instance();
        let now = clock::now();
        Self {
            app,
            session: ClientSession::new(now, to.ip(), expected, Some(own)),
            connection: Connection::new(&app.context, Task::Client, socket),
            stored: None,
            reported: now,
            end,
        }
    }

    /// Runs the handshake; requests come after it.
    pub(super) async fn handshake(&mut self) -> Result<(), ClientError> {
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

    /// `bytes` of the drop are stored. From the first call on, progress is reported every [`PROGRESS_EVERY`].
    pub(super) fn stored(&mut self, bytes: u64) {
        if self.stored.is_none() {
            self.reported = clock::now();
        }
        self.stored = Some(bytes);
    }

    /// Moves the end of the connection forward to `end`, if that is sooner.
    pub(super) fn end_by(&mut self, end: Instant) {
        self.end = self.end.min(end);
    }

    /// Passes the `len` bytes of the last data event to `to`, and wipes them. Call it before the next `await`: they are
    /// in the record buffer that all connections share.
    pub(super) fn bytes<T>(&mut self, len: usize, to: impl FnOnce(&[u8]) -> T) -> T {
        let mut tables = self.app.tables.borrow_mut();
        let bytes = tables.message(len);
        let result = to(bytes);
        bytes.zeroize();
        result
    }

    /// The next event of the session.
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
            self.report_progress(now);
            let sent = self.send();
            if let Some(len) = self.session.wants() {
                let received = self.connection.receive(self.app.tables.borrow_mut().message(len));
                match received {
                    Received::Complete => return self.handle_message(len),
                    Received::Closed => return Err(self.session.handle_close(true)),
                    Received::Reset => return Err(self.session.handle_close(false)),
                    Received::Incomplete => {}
                }
            }
            if !sent {
                // Everything that arrived before the connection broke has been handled.
                return Err(self.session.handle_close(false));
            }
            let report = self.stored.map(|_| self.reported + PROGRESS_EVERY);
            let until =
                [self.session.poll_timeout(), report].into_iter().fold(Some(self.end), Instant::earliest);
            self.connection.wait(self.session.wants(), until).await;
        }
    }

    /// Releases the claim, so that the sender need not wait for its lease to lapse, and returns how to close.
    pub(super) async fn release(&mut self) -> Close {
        if self.session.release().is_ok() && self.flush().await { Close::Clean } else { Close::Reset }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self, how: Close) {
        self.connection.close(how).await;
    }

    /// Sends everything that the session has to send. False if the peer did not acknowledge it in time.
    async fn flush(&mut self) -> bool {
        let until = (clock::now() + CONNECT_TIMEOUT).min(self.end);
        while clock::now() < until && self.connection.is_current() {
            if !self.send() {
                return false;
            }
            if self.connection.is_flushed() {
                return true;
            }
            self.connection.wait(None, Some(until)).await;
        }
        false
    }

    /// Tells the sender how much is stored, if that is due.
    fn report_progress(&mut self, now: Instant) {
        if let Some(stored) = self.stored
            && self.reported + PROGRESS_EVERY <= now
        {
            self.reported = now;
            // Out of turn only after the last record, when progress is of no more use.
            if self.session.progress(stored).is_err() {
                self.stored = None;
            }
        }
    }

    /// Sends the session's next record, if the socket has room for one. False if the connection broke.
    #[inline(never)]
    fn send(&mut self) -> bool {
        let (session, connection) = (&mut self.session, &mut self.connection);
        if !connection.can_send() {
            return connection.socket.may_send();
        }
        let mut tables = self.app.tables.borrow_mut();
        match session.poll_transmit(tables.record.as_mut_slice()) {
            Ok(Some(len)) => connection.send(tables.record.get(..len).unwrap_or_default()),
            Ok(None) => true,
            // Cannot fail: the buffer fits every record.
            Err(_) => false,
        }
    }

    #[inline(never)]
    fn handle_message(&mut self, len: usize) -> Result<ClientEvent, ClientError> {
        let now = clock::now();
        let (session, connection) = (&mut self.session, &mut self.connection);
        // Handshake messages are shorter than any record.
        if len < deaddrop_core::limits::CONTROL_RECORD {
            connection.hold_reply(now);
        }
        let mut tables = self.app.tables.borrow_mut();
        let tables = &mut *tables;
        let message = tables.record.get_mut(..len).unwrap_or_default();
        let input = session.handle_message(now, &self.app.prs, tables.guard, &mut tables.rng, message);
        if !matches!(input, Ok(ClientEvent::Data { .. } | ClientEvent::Final { .. })) {
            message.zeroize();
        }
        input
    }
}
