//! Drives one client session over TCP. Makes no protocol decisions.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::limits::{CONNECT_TIMEOUT, CONTROL_RECORD, PROGRESS_EVERY};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use event_listener::Event;

use super::credentials::Credentials;
use super::error::ConnectionError;
use crate::bulk::decrypt::{DecryptPipeline, Intake, StreamEnd};
use crate::cipher::cipher;
use crate::files::save::PositionedWriter;
use crate::lock::lock;
use crate::stop::Stopper;
use crate::transport::frame::{FrameBuf, Progress};
use crate::transport::link::{Interest, Link};
use crate::{clock, random::system};

/// How long the sender has to read a release before we close anyway.
const RELEASE_WITHIN: Duration = Duration::from_millis(300);
/// How long whole records wait for others to make a batch with.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Messages handled in a row before other tasks of the thread run.
const MESSAGES_PER_TURN: u32 = 16;

/// A client session and the TCP connection it runs over.
pub(crate) struct ClientConnection {
    link: Link,
    /// The session, for its commands.
    pub(crate) session: ClientSession,
    credentials: Arc<Credentials>,
    /// Ends the session when used, until [`ignore_stop`](Self::ignore_stop).
    stop: Option<Stopper>,
    inbound: FrameBuf,
    outbound: FrameBuf,
    /// Bytes stored so far, reported to the sender as a sign of life while a drop is on its way.
    stored: Option<u64>,
    reported: Instant,
    /// When the session ends, whatever the server has said by then.
    deadline: Option<Instant>,
    /// Messages asked for so far.
    taken: u32,
}

impl ClientConnection {
    /// Connects to a server and starts a session with it; `expected` is the process that should be there, if one was
    /// heard.
    pub(crate) async fn open(
        to: SocketAddr,
        credentials: &Arc<Credentials>,
        expected: Option<Instance>,
        stop: Option<&Stopper>,
    ) -> Result<Self, ConnectionError> {
        let link = Link::connect(to, stop).await.map_err(|error| match stop {
            Some(stop) if stop.is_stopped() => ConnectionError::Stopped,
            _ => ConnectionError::Io(error),
        })?;
        Self::over(link, credentials, expected, stop)
    }

    /// Starts a session over a connection.
    pub(crate) fn over(
        link: Link,
        credentials: &Arc<Credentials>,
        expected: Option<Instance>,
        stop: Option<&Stopper>,
    ) -> Result<Self, ConnectionError> {
        let address = link.stream().peer_addr()?.ip();
        let session = ClientSession::new(clock::now(), address, expected, None).with_cipher(cipher());
        Ok(Self {
            link,
            session,
            credentials: credentials.clone(),
            stop: stop.cloned(),
            inbound: FrameBuf::new(CONTROL_RECORD),
            outbound: FrameBuf::new(CONTROL_RECORD),
            stored: None,
            reported: clock::now(),
            taken: 0,
            deadline: None,
        })
    }

    /// Runs the handshake: afterwards a request may be made.
    pub(crate) async fn shake_hands(mut self) -> Result<Self, ConnectionError> {
        while self.next().await? != ClientEvent::Ready {}
        Ok(self)
    }

    /// Ends the session at this moment, however much the server still has to say.
    pub(crate) fn end_by(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// From now on the sender is told every [`PROGRESS_EVERY`] how many bytes are stored.
    pub(crate) fn report(&mut self, bytes: u64) {
        if self.stored.is_none() {
            self.reported = clock::now();
        }
        self.stored = Some(bytes);
    }

    /// From now on a [`Stopper`] does not end the session.
    pub(crate) fn ignore_stop(&mut self) {
        self.stop = None;
    }

    /// The next thing the server says.
    pub(crate) async fn next(&mut self) -> Result<ClientEvent, ConnectionError> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(MESSAGES_PER_TURN) {
            // With a sender that always has more, this task would otherwise never wait, and nothing could stop it.
            smol::future::yield_now().await;
        }
        loop {
            if let Some(event) = self.turn(None).await? {
                return Ok(event);
            }
        }
    }

    /// Receives the data records of a large drop with several threads, all but its final record, and writes them to the
    /// drop's file. Calls `stored` with the number of bytes stored since the last call, in order and without a gap.
    /// Returns what the server said if it ended the stream; does nothing for a drop that is not large.
    pub(crate) async fn receive_bulk(
        &mut self,
        writer: PositionedWriter,
        mut stored: impl FnMut(u64) -> u64,
    ) -> Result<Option<ClientEvent>, ConnectionError> {
        let pipeline = DecryptPipeline::start(&self.session, writer, self.link.stream(), self.link.notify());
        let Some(mut pipeline) = pipeline else {
            return Ok(None);
        };
        let mut closed = false;
        loop {
            let written = self.speak()?;
            let (more, end) = pipeline.stored(&self.session, closed)?;
            if more > 0 {
                self.report(stored(more));
            }
            match end {
                Some(StreamEnd::Refused(code)) => return Ok(Some(self.session.handle_refused(code)?)),
                Some(StreamEnd::Forged) => return Err(ClientError::Protocol.into()),
                Some(StreamEnd::Save(error)) => return Err(ConnectionError::Save(error)),
                None => {}
            }
            let intake =
                if closed { Intake::Full } else { pipeline.read(self.link.stream(), &mut self.session)? };
            match intake {
                Intake::More | Intake::Closed => {
                    closed = intake == Intake::Closed;
                    // As in `next`.
                    smol::future::yield_now().await;
                    continue;
                }
                Intake::Blocked => self.session.handle_timeout(clock::now())?,
                // We keep the server waiting, not it us.
                Intake::Full => self.session.handle_pause(clock::now()),
            }
            if !pipeline.is_busy() {
                if closed {
                    return Err(self.session.handle_close(true).into());
                }
                if self.session.data_records() == 0 {
                    return Ok(None);
                }
            }
            let until = self.due(pipeline.has_whole().then(|| clock::now() + BATCH_WAIT));
            self.link.wait(Interest { read: intake == Intake::Blocked, write: !written, until }).await?;
        }
    }

    /// The next thing the server says, if it comes before the moment that `until` returns, which may draw nearer while
    /// this waits.
    pub(crate) async fn next_by(
        &mut self,
        until: impl Fn() -> Instant,
    ) -> Result<ClientEvent, ConnectionError> {
        loop {
            let until = until();
            if until <= clock::now() {
                return Err(ClientError::Silent.into());
            }
            if let Some(event) = self.turn(Some(until)).await? {
                return Ok(event);
            }
        }
    }

    /// Notified by another thread to end a wait on this connection.
    pub(crate) fn notify(&self) -> &Arc<Event> {
        self.link.notify()
    }

    /// Has `stop` end waits early, without ending the session.
    pub(crate) fn woken_by(mut self, stop: &Stopper) -> Self {
        self.link = self.link.woken_by(stop);
        self
    }

    /// Keeps the connection alive while `busy` returns true; a change of that is notified. Messages of the server stay
    /// in the socket meanwhile.
    pub(crate) async fn keep_while(&mut self, busy: impl Fn() -> bool) -> Result<(), ConnectionError> {
        while busy() {
            if self.session.wants().is_some() {
                return Err(ClientError::Protocol.into());
            }
            self.turn(None).await?;
        }
        Ok(())
    }

    /// Writes out everything that the session has to say.
    async fn flush(&mut self) -> Result<(), ConnectionError> {
        while !self.write()? {
            let until = Some(clock::now() + CONNECT_TIMEOUT);
            self.link.wait(Interest { read: false, write: true, until }).await?;
            if until.is_some_and(|at| at <= clock::now()) {
                return Err(ClientError::Silent.into());
            }
        }
        Ok(())
    }

    /// Gives the claim up and closes, so that the sender need not wait for the lease to lapse. It does wait if it cannot
    /// be told.
    pub(crate) async fn release(&mut self) {
        if self.session.release().is_err() || self.flush().await.is_err() {
            return;
        }
        self.close();
        // Closing a socket with unread bytes sends a reset, which may overtake the release.
        let until = clock::now() + RELEASE_WITHIN;
        while clock::now() < until {
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

    /// Gives the claim up as far as that goes without waiting: for a claim that is dropped.
    pub(crate) fn release_now(&mut self) {
        if self.session.release().is_ok() && self.write().is_ok() {
            self.close();
        }
    }

    /// The bytes of a drop that the last event spoke of.
    pub(crate) fn bytes(&self, len: usize) -> &[u8] {
        self.inbound.buffer.get(..len).unwrap_or_default()
    }

    /// Where the server is.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.link.stream().peer_addr()
    }

    /// Closes the connection in order.
    pub(crate) fn close(&self) {
        self.link.close(Close::Clean);
    }

    /// Writes as much as the socket takes; true once nothing is left.
    fn write(&mut self) -> Result<bool, ConnectionError> {
        loop {
            match self.outbound.write(self.link.stream())? {
                Progress::Partial => return Ok(false),
                Progress::Closed => return Err(ClientError::Reset.into()),
                Progress::Whole => {}
            }
            let next = self.session.poll_transmit(&mut self.outbound.buffer);
            let Some(len) = next.map_err(|_| ClientError::Protocol)? else { return Ok(true) };
            (self.outbound.position, self.outbound.end) = (0, len);
        }
    }

    /// Says what is due, and writes as much of it as the socket takes; true once nothing is left. Fails once the session
    /// has to end.
    fn speak(&mut self) -> Result<bool, ConnectionError> {
        if self.stop.as_ref().is_some_and(Stopper::is_stopped) {
            return Err(ConnectionError::Stopped);
        }
        let now = clock::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(ClientError::Silent.into());
        }
        if let Some(stored) = self.stored
            && self.reported + PROGRESS_EVERY <= now
        {
            self.reported = now;
            // Refused only once the drop is through, when no sign of life is due any more.
            if self.session.progress(stored).is_err() {
                self.stored = None;
            }
        }
        match self.write() {
            // What the server said before it closed still counts: a refusal, or the last answer.
            Err(ConnectionError::Session(ClientError::Reset)) => Ok(true),
            other => other,
        }
    }

    /// When there is something to do even if nothing arrives.
    fn due(&self, until: Option<Instant>) -> Option<Instant> {
        let report = self.stored.map(|_| self.reported + PROGRESS_EVERY);
        [self.session.poll_timeout(), report, until, self.deadline].into_iter().fold(None, Instant::earliest)
    }

    async fn turn(&mut self, until: Option<Instant>) -> Result<Option<ClientEvent>, ConnectionError> {
        let written = self.speak()?;
        self.session.handle_timeout(clock::now())?;
        if let Some(len) = self.session.wants() {
            match self.inbound.read(self.link.stream(), len)? {
                Progress::Whole => {
                    self.inbound.position = 0;
                    let message = self.inbound.buffer.get_mut(..len).unwrap_or_default();
                    let mut guard = lock(&self.credentials.guard);
                    let prs = &self.credentials.prs;
                    let event =
                        self.session.handle_message(clock::now(), prs, &mut guard, &mut system(), message)?;
                    return Ok(Some(event));
                }
                Progress::Closed => return Err(self.session.handle_close(true).into()),
                Progress::Partial => {}
            }
        }
        let until = self.due(until);
        self.link.wait(Interest { read: self.session.wants().is_some(), write: !written, until }).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
