//! One place at which connections are served, one after the other.

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
use super::member::{Member, PORT};
use super::rounds::{Part, ROUND};
use crate::desk::News;
use crate::store::Label;

/// How long a connection may be half open. A stray SYN must not take a place for longer.
const HALF_OPEN: Duration = Duration::from_secs(1);

/// Serves for ever.
pub(super) async fn serve(member: &Member, part: Part, socket: &mut TcpSocket<'static>) {
    loop {
        let source = accept(member, part, socket).await;
        // Run in place: a session that is handed over takes its room twice.
        let mut served = Served::new(member, part, socket, source);
        served.run().await;
    }
}

/// Waits for a connection that is open at both ends; gives where it comes from.
pub(super) async fn accept(member: &Member, part: Part, socket: &mut TcpSocket<'static>) -> IpAddr {
    loop {
        let now = clock::now();
        member.rounds.made(part, now);
        match socket.state() {
            TcpState::Closed | TcpState::TimeWait | TcpState::Listen => {
                // A socket that was closed can listen, at a port that is not zero. It waits through the half
                // open state, so it is looked at every so often.
                select(socket.accept(PORT), clock::at(now + ROUND)).await;
            }
            TcpState::SynReceived => {
                select(socket.wait_write_ready(), clock::at(now + HALF_OPEN)).await;
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

struct Served<'a> {
    member: &'a Member,
    connection: Connection<'a>,
    session: ServerSession,
}

impl<'a> Served<'a> {
    #[inline(never)]
    fn new(member: &'a Member, part: Part, socket: &'a mut TcpSocket<'static>, source: IpAddr) -> Self {
        let session = member.with(|state| state.serving.open(clock::now(), source, &mut state.rng));
        Self { member, connection: Connection::new(member, part, socket), session }
    }

    async fn run(&mut self) {
        let how = self.until_closed().await;
        let Self { member, connection, session } = self;
        // The accounts first: a claim that was given back is free while the peer takes its time to close.
        member.with(|state| {
            session.closed(clock::now(), state.serving);
        });
        connection.close(how).await;
    }

    async fn until_closed(&mut self) -> Close {
        loop {
            if !self.connection.is_current() {
                return Close::Reset;
            }
            let now = clock::now();
            let session = &mut self.session;
            let late = self.member.with(|state| {
                session.handle_wake(now, state.serving, &mut state.rng);
                let late = session.poll_timeout(state.serving).is_some_and(|at| at <= now);
                session.handle_timeout(now, state.serving);
                late
            });
            let written = self.write();
            if let Some(how) = self.session.closing().filter(|_| !self.connection.holds()) {
                // What was said last may still be on its way.
                let said = self.connection.has_said() || late || !written;
                if said || how == Close::Reset {
                    return how;
                }
            }
            if self.read() || (written && self.has_more()) {
                continue;
            }
            if !written {
                return Close::Reset;
            }
            let until = self.member.with(|state| self.session.poll_timeout(state.serving));
            self.connection.wait(self.session.wants(), until).await;
        }
    }

    /// Whether there is something to send that can go out now.
    fn has_more(&mut self) -> bool {
        self.session.poll_read().is_some() && self.connection.takes_more()
    }

    /// Writes the next record, if it can go out. False if the connection broke.
    #[inline(never)]
    fn write(&mut self) -> bool {
        if !self.connection.takes_more() {
            return self.connection.socket.may_send();
        }
        let (member, session, connection) = (self.member, &mut self.session, &mut self.connection);
        member.with(|state| {
            let now = clock::now();
            let len = if let Some(read) = session.poll_read() {
                let store = member.store.borrow();
                let offset = usize::try_from(read.offset).unwrap_or(usize::MAX);
                let target = state.record.get_mut(..read.len).unwrap_or_default();
                let came = store.offered(read.token).map(|held| store.read(held.slot, offset, target));
                drop(store);
                match came {
                    None => {
                        session.handle_ended(now, state.serving);
                        return true;
                    }
                    Some(Ok(len)) if len == read.len => {
                        session.handle_read(now, state.serving, state.record).ok().filter(|len| *len > 0)
                    }
                    Some(_) => {
                        session.handle_changed(now, state.serving, &mut state.rng);
                        return true;
                    }
                }
            } else {
                // The buffer has room for whatever it may be.
                session.poll_transmit(now, state.serving, state.record).unwrap_or_default()
            };
            len.is_none_or(|len| connection.send(state.record.get(..len).unwrap_or_default()))
        })
    }

    /// Takes one message from the peer, if one is whole.
    fn read(&mut self) -> bool {
        let Some(len) = self.session.wants() else { return false };
        // No message that a server takes is longer than there is room for.
        let received = self.connection.receive(self.member.state.borrow_mut().message(len));
        match received {
            Received::Partly => return false,
            Received::Closed | Received::Reset => self.session.handle_close(),
            Received::Whole => self.handle_message(len),
        }
        true
    }

    #[inline(never)]
    fn handle_message(&mut self, len: usize) {
        let (member, session, connection) = (self.member, &mut self.session, &mut self.connection);
        let now = clock::now();
        if !session.is_member() && len < CONTROL_RECORD {
            connection.hold_reply(now);
        }
        member.with(|state| {
            let message = state.record.get_mut(..len).unwrap_or_default();
            let event = session.handle_message(now, state.serving, &mut state.rng, message);
            message.zeroize();
            if let Ok(Some(SessionEvent::Fetched { token })) = event {
                // Told before the end that it brings about, with which the store forgets it.
                let store = member.store.borrow();
                if let Some(held) = store.offered(token) {
                    let name = Label::of(held.name);
                    let news = News::Fetched { token, name, size: held.size as u64, by: session.source() };
                    member.desk.tell(news);
                }
            }
        });
    }
}
