//! Drives one client session over TCP. Makes no protocol decisions.

use core::net::{IpAddr, SocketAddr};

use deaddrop_core::limits::CONNECT_TIMEOUT;
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
pub(super) async fn connect(socket: &mut TcpSocket<'static>, to: SocketAddr, end: Option<Instant>) -> bool {
    reset(socket).await;
    let IpAddr::V4(address) = to.ip() else { return false };
    let endpoint = IpEndpoint::new(address.into(), to.port());
    let until = clock::now() + CONNECT_TIMEOUT;
    let timeout = clock::at(end.map_or(until, |end| until.min(end)));
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
}

impl<'a> ClientConnection<'a> {
    /// Over a socket that is connected to `to`.
    #[inline(never)]
    pub(super) fn new(
        app: &'a AppState,
        socket: &'a mut TcpSocket<'static>,
        to: SocketAddr,
        expected: Option<Instance>,
    ) -> Self {
        let own = app.tables.borrow().server.instance();
        let now = clock::now();
        Self {
            app,
            session: ClientSession::new(now, to.ip(), expected, Some(own)),
            connection: Connection::new(&app.context, Task::Client, socket),
        }
    }

    /// Waits for the sender's next message and returns its length, for [`handle_message`](Self::handle_message);
    /// `None` at `until`.
    ///
    /// The message is not handled here because a handshake takes most of the stack, and a future that is polled
    /// around it has the event in its frame.
    pub(super) async fn next(&mut self, until: Option<Instant>) -> Result<Option<usize>, ClientError> {
        loop {
            let now = clock::now();
            if !self.connection.is_current() {
                return Err(ClientError::Reset);
            }
            self.session.handle_timeout(now)?;
            if until.is_some_and(|until| until <= now) {
                return Ok(None);
            }
            let sent = self.send();
            if let Some(len) = self.session.wants() {
                let received = self.connection.receive(self.app.tables.borrow_mut().message(len));
                match received {
                    Received::Complete => return Ok(Some(len)),
                    Received::Closed => return Err(self.session.handle_close(true)),
                    Received::Reset => return Err(self.session.handle_close(false)),
                    Received::Incomplete => {}
                }
            }
            if !sent {
                // Everything that arrived before the connection broke has been handled.
                return Err(self.session.handle_close(false));
            }
            let until = Instant::earliest(self.session.poll_timeout(), until);
            self.connection.wait(self.session.wants(), until).await;
        }
    }

    /// Closes the connection. Before a clean close everything is sent that the session has to send; if the peer does not
    /// acknowledge it in time, the connection is reset.
    pub(super) async fn close(&mut self, how: Close) {
        let how = if how == Close::Clean && !self.flush().await { Close::Reset } else { how };
        self.connection.close(how).await;
    }

    /// Sends everything that the session has to send. False if the peer did not acknowledge it in time.
    async fn flush(&mut self) -> bool {
        let until = clock::now() + CONNECT_TIMEOUT;
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

    /// Handles the message that [`next`](Self::next) waited for.
    #[inline(never)]
    pub(super) fn handle_message(&mut self, len: usize) -> Result<Option<ClientEvent>, ClientError> {
        let now = clock::now();
        let (session, connection) = (&mut self.session, &mut self.connection);
        // Handshake messages are shorter than any record.
        let handshake = len < deaddrop_core::limits::CONTROL_RECORD;
        if handshake {
            connection.hold_reply(now);
        }
        let mut tables = self.app.tables.borrow_mut();
        let tables = &mut *tables;
        let message = tables.record.get_mut(..len).unwrap_or_default();
        let input = session.handle_message(now, &self.app.prs, tables.guard, &mut tables.rng, message);
        if handshake {
            connection.computed_reply();
        }
        if !matches!(input, Ok(Some(ClientEvent::Data { .. } | ClientEvent::Final { .. }))) {
            message.zeroize();
        }
        input
    }
}
