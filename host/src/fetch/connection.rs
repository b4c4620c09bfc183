//! Drives one client session over TCP. Makes no protocol decisions.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::limits::{CONNECT_TIMEOUT, CONTROL_PAYLOAD, CONTROL_RECORD};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Attributes, Greeting};
use event_listener::Event;

use super::credentials::Credentials;
use super::error::ConnectionError;
use crate::address::Address;
use crate::bulk::decrypt::{DecryptPipeline, Intake};
use crate::cipher::cipher;
use crate::lock::lock;
use crate::stop::Stopper;
use crate::transport::frame::{FrameBuf, Progress};
use crate::transport::link::{Interest, Link, Route};
use crate::transport::race::connect_any;
use crate::{clock, random::system};

/// How long the sender has to read the last record before we close anyway.
const CLOSE_WITHIN: Duration = Duration::from_millis(300);
/// Messages handled in a row before other tasks of the thread run.
const MESSAGES_PER_TURN: u32 = 16;

/// A client session and the TCP connection it runs over.
pub(crate) struct ClientConnection {
    link: Link,
    /// How the server was reached.
    pub(crate) route: Route,
    /// The session, for its commands.
    pub(crate) session: ClientSession,
    /// The process that has greeted us.
    pub(crate) instance: Option<Instance>,
    credentials: Arc<Credentials>,
    inbound: FrameBuf,
    outbound: FrameBuf,
    /// Held while the server may have parked us.
    parked: Option<Arc<()>>,
    /// Calls of [`turn`](Self::turn) so far.
    turns: u32,
}

impl ClientConnection {
    /// Connects to a server by one of these routes and starts a session with it; `expected` is the process that should be
    /// there, if one was heard. Fails with `Stopped` when `stop` is used before the connection is open; afterwards it
    /// only ends waits.
    pub(crate) async fn open(
        routes: &[Route],
        credentials: &Arc<Credentials>,
        expected: Option<Instance>,
        stop: Option<&Stopper>,
    ) -> Result<Self, ConnectionError> {
        Self::open_by(routes, clock::now() + CONNECT_TIMEOUT, credentials, expected, stop).await
    }

    /// The same, with a deadline for the connect.
    pub(crate) async fn open_by(
        routes: &[Route],
        deadline: Instant,
        credentials: &Arc<Credentials>,
        expected: Option<Instance>,
        stop: Option<&Stopper>,
    ) -> Result<Self, ConnectionError> {
        let (link, route) = connect_any(routes, deadline, stop).await.map_err(|error| match stop {
            Some(stop) if stop.is_stopped() => ConnectionError::Stopped,
            _ => ConnectionError::Io(error),
        })?;
        Self::over(link, route, credentials, expected)
    }

    /// Starts a session over a connection.
    pub(crate) fn over(
        link: Link,
        route: Route,
        credentials: &Arc<Credentials>,
        expected: Option<Instance>,
    ) -> Result<Self, ConnectionError> {
        let address = Address::from(route.to).to_source();
        let session = ClientSession::new(clock::now(), address, expected, None).with_cipher(cipher());
        Ok(Self {
            link,
            route,
            session,
            instance: None,
            credentials: credentials.clone(),
            inbound: FrameBuf::new(CONTROL_RECORD),
            outbound: FrameBuf::new(CONTROL_RECORD),
            parked: None,
            turns: 0,
        })
    }

    /// Writes and reads what the socket takes and has. Returns an event of the session, or nothing once it has waited:
    /// for the socket, for `until`, or for a notification.
    pub(crate) async fn turn(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Option<ClientEvent>, ConnectionError> {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(MESSAGES_PER_TURN) {
            // With a sender that always has more, this task would otherwise never wait, and nothing could stop it.
            smol::future::yield_now().await;
        }
        let written = self.write()?;
        self.session.handle_timeout(clock::now())?;
        if let Some(len) = self.session.wants() {
            match self.inbound.read(self.link.stream(), len)? {
                Progress::Whole => {
                    self.inbound.position = 0;
                    let message = self.inbound.buffer.get_mut(..len).unwrap_or_default();
                    if self.instance.is_none() {
                        // The first message; whether it is one is the session's to say.
                        self.instance = Greeting::parse(message).ok().map(|greeting| greeting.instance);
                    }
                    let mut guard = lock(&self.credentials.guard);
                    let prs = &self.credentials.prs;
                    return Ok(self.session.handle_message(
                        clock::now(),
                        prs,
                        &mut guard,
                        &mut system(),
                        message,
                    )?);
                }
                // A close in the midst of a message is a broken connection, not an answer.
                Progress::Closed => {
                    return Err(self.session.handle_close(self.inbound.position == 0).into());
                }
                Progress::Partial => {}
            }
        }
        let parked = self.session.awaits_share();
        if parked != self.parked.is_some() {
            self.parked = parked.then(|| self.credentials.parked.clone());
        }
        let until = Instant::earliest(self.session.poll_timeout(), until);
        self.wait(Interest { read: self.session.wants().is_some(), write: !written, until }).await?;
        Ok(None)
    }

    /// Waits for any of these, or for a notification. May return early.
    pub(crate) async fn wait(&self, interest: Interest) -> io::Result<()> {
        self.link.wait(interest).await
    }

    /// Writes as much as the socket takes of what the session has to say; true once nothing is left. A peer that has
    /// closed counts as one that takes everything: what it said before still counts, and is read first.
    pub(crate) fn write(&mut self) -> Result<bool, ConnectionError> {
        match self.try_write() {
            Err(ConnectionError::Session(ClientError::Reset)) => Ok(true),
            other => other,
        }
    }

    fn try_write(&mut self) -> Result<bool, ConnectionError> {
        loop {
            match self.outbound.write(self.link.stream())? {
                Progress::Partial => return Ok(false),
                Progress::Closed => return Err(ClientError::Reset.into()),
                Progress::Whole => {}
            }
            let next = self.session.poll_transmit(&mut self.outbound.buffer);
            let Some(len) = next.map_err(ClientError::from)? else { return Ok(true) };
            (self.outbound.position, self.outbound.end) = (0, len);
        }
    }

    /// Notified by another thread to end a wait on this connection.
    pub(crate) fn notify(&self) -> &Arc<Event> {
        self.link.notify()
    }

    /// Has `stop` end waits early, on a connection that was opened without regard to it.
    pub(crate) fn woken_by(mut self, stop: &Stopper) -> Self {
        self.link = self.link.woken_by(stop);
        self
    }

    /// The socket, for a pipeline.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.link.stream()
    }

    /// Has a pipeline read data records past the session, which counts them as its own.
    pub(crate) fn read_into(&mut self, pipeline: &mut DecryptPipeline) -> io::Result<Intake> {
        pipeline.read(self.link.stream(), &mut self.session)
    }

    /// The bytes of a drop that the last event spoke of.
    pub(crate) fn bytes(&self, len: usize) -> &[u8] {
        self.inbound.buffer.get(..len).unwrap_or_default()
    }

    /// The attributes of the file that the `begin` of the last event spoke of.
    pub(crate) fn attributes(&self) -> Result<Option<Attributes>, ClientError> {
        Attributes::parse(self.bytes(CONTROL_PAYLOAD)).map_err(|_| ClientError::Protocol)
    }

    /// Writes out what the session still has to say, and closes. With `drain` it reads and drops what the server has
    /// sent meanwhile: closing a socket with unread bytes sends a reset, which may overtake our last record.
    pub(crate) async fn close(mut self, how: Close, drain: bool) {
        if how == Close::Reset || self.flush().await.is_err() {
            return self.link.close(Close::Reset);
        }
        self.link.close(Close::Clean);
        let until = clock::now() + CLOSE_WITHIN;
        while drain && clock::now() < until {
            match self.link.stream().read(&mut self.inbound.buffer) {
                Ok(1..) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let interest = Interest { read: true, write: false, until: Some(until) };
                    if self.link.wait(interest).await.is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// The same as far as that goes without waiting.
    pub(crate) fn close_now(mut self, how: Close) {
        let how = if how == Close::Clean && self.try_write().is_ok() { how } else { Close::Reset };
        self.link.close(how);
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        // One deadline for all of it, however often the socket takes some.
        let until = clock::now() + CONNECT_TIMEOUT;
        while !self.try_write()? {
            if until <= clock::now() {
                return Err(ClientError::Silent.into());
            }
            self.wait(Interest { read: false, write: true, until: Some(until) }).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
