//! A server slot: accepts and serves one connection at a time.

use core::net::IpAddr;
use core::time::Duration;

use deaddrop_core::exchange::{ServerSession, SessionEvent};
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::Close;
use embassy_futures::select::select;
use embassy_net::tcp::{State as TcpState, TcpSocket};
use zeroize::Zeroize;

use super::clock;
use super::connection::{Connection, Received, reset};
use super::context::TaskContext;
use super::let_others_run::let_others_run;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::state::{AppState, PORT};
use crate::mailbox::Event;
use crate::store::Label;

/// How long a connection may be half open, so that a stray SYN does not hold the slot.
const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs for ever.
pub(super) async fn server_task(app: &AppState, task: Task, socket: &mut TcpSocket<'static>) {
    loop {
        let source = accept(&app.context, task, socket).await;
        // Run in place: moving the session would give the future room for it twice.
        let mut connection = ServerConnection::new(app, task, socket, source);
        connection.run().await;
    }
}

/// Waits until a connection is established; returns the peer's address.
pub(super) async fn accept(context: &TaskContext, task: Task, socket: &mut TcpSocket<'static>) -> IpAddr {
    loop {
        let now = clock::now();
        context.liveness.check_in(task, now);
        match socket.state() {
            TcpState::Closed | TcpState::TimeWait | TcpState::Listen => {
                // Cannot fail: the socket is closed, and the port is not 0. `accept` also waits through the half-open
                // state, hence the timeout.
                select(socket.accept(PORT), clock::at(now + CHECK_IN_EVERY)).await;
            }
            TcpState::SynReceived => {
                select(socket.wait_write_ready(), clock::at(now + HALF_OPEN_TIMEOUT)).await;
                if socket.state() == TcpState::SynReceived {
                    reset(socket).await;
                }
            }
            _ => match socket.remote_endpoint() {
                Some(remote) => return remote.addr.into(),
                None => reset(socket).await,
            },
        }
    }
}

/// Drives one server session over TCP.
struct ServerConnection<'a> {
    app: &'a AppState,
    connection: Connection<'a>,
    session: ServerSession,
}

impl<'a> ServerConnection<'a> {
    #[inline(never)]
    fn new(app: &'a AppState, task: Task, socket: &'a mut TcpSocket<'static>, source: IpAddr) -> Self {
        let session = app.with(|tables| tables.server.open(clock::now(), source, &mut tables.rng));
        Self { app, connection: Connection::new(&app.context, task, socket), session }
    }

    async fn run(&mut self) {
        let how = self.until_closed().await;
        let Self { app, connection, session } = self;
        // Before closing, which waits for the peer: a released claim is free at once.
        app.with(|tables| {
            session.closed(clock::now(), tables.server);
        });
        connection.close(how).await;
    }

    async fn until_closed(&mut self) -> Close {
        loop {
            if !self.connection.is_current() {
                return Close::Reset;
            }
            let now = clock::now();
            let (session, connection) = (&mut self.session, &mut self.connection);
            let late = self.app.with(|tables| {
                session.handle_wake(now, tables.server, &mut tables.rng);
                if session.is_answering() {
                    session.finish_answer(now, tables.server);
                    connection.computed_reply();
                }
                let late = session.poll_timeout(tables.server).is_some_and(|at| at <= now);
                session.handle_timeout(now, tables.server);
                late
            });
            let written = self.write();
            if let Some(how) = self.session.closing().filter(|_| !self.connection.holds()) {
                // The last record may not be acknowledged yet.
                let sent = self.connection.is_flushed() || late || !written;
                if sent || how == Close::Reset {
                    return how;
                }
            }
            if self.read() || (written && self.has_more()) {
                if self.session.is_answering() {
                    let_others_run().await;
                }
                continue;
            }
            if !written {
                return Close::Reset;
            }
            let until = self.app.with(|tables| self.session.poll_timeout(tables.server));
            self.connection.wait(self.session.wants(), until).await;
        }
    }

    /// Whether a data record can be sent now.
    fn has_more(&mut self) -> bool {
        self.session.poll_read().is_some() && self.connection.can_send()
    }

    /// Sends the next record, if the socket has room for one. False if the connection broke.
    #[inline(never)]
    fn write(&mut self) -> bool {
        if !self.connection.can_send() {
            return self.connection.socket.may_send();
        }
        let (app, session, connection) = (self.app, &mut self.session, &mut self.connection);
        app.with(|tables| {
            let now = clock::now();
            let len = if let Some(read) = session.poll_read() {
                let store = app.store.borrow();
                let offset = usize::try_from(read.offset).unwrap_or(usize::MAX);
                let target = tables.record.get_mut(..read.len).unwrap_or_default();
                let read_bytes = store.offered(read.token).map(|held| store.read(held.slot, offset, target));
                drop(store);
                match read_bytes {
                    None => {
                        session.handle_ended(now, tables.server);
                        return true;
                    }
                    Some(Ok(len)) if len == read.len => {
                        session.handle_read(now, tables.server, tables.record).ok().filter(|len| *len > 0)
                    }
                    Some(_) => {
                        session.handle_changed(now, tables.server, &mut tables.rng);
                        return true;
                    }
                }
            } else {
                // The buffer fits every record, so this cannot fail.
                session.poll_transmit(now, tables.server, tables.record).unwrap_or_default()
            };
            len.is_none_or(|len| connection.send(tables.record.get(..len).unwrap_or_default()))
        })
    }

    /// Handles one message of the peer. False if none is complete.
    fn read(&mut self) -> bool {
        let Some(len) = self.session.wants() else { return false };
        // The receive buffer fits the longest message that a server expects.
        let received = self.connection.receive(self.app.tables.borrow_mut().message(len));
        match received {
            Received::Incomplete => return false,
            Received::Closed | Received::Reset => self.session.handle_close(),
            Received::Complete => self.handle_message(len),
        }
        true
    }

    #[inline(never)]
    fn handle_message(&mut self, len: usize) {
        let (app, session, connection) = (self.app, &mut self.session, &mut self.connection);
        let now = clock::now();
        if !session.is_member() && len < CONTROL_RECORD {
            connection.hold_reply(now);
        }
        app.with(|tables| {
            let message = tables.record.get_mut(..len).unwrap_or_default();
            let event = session.handle_message(now, tables.server, &mut tables.rng, message);
            message.zeroize();
            if let Ok(Some(SessionEvent::Fetched { token })) = event {
                // Posted first: the drop ends with this, and its store entry is removed.
                let store = app.store.borrow();
                if let Some(held) = store.offered(token) {
                    let name = Label::of(held.name);
                    let event = Event::Fetched { token, name, size: held.size as u64, by: session.source() };
                    app.mailbox.post(event);
                }
            }
        });
    }
}
