//! A client session over a link.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::limits::{CONTROL_RECORD, PROGRESS_EVERY};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use event_listener::Event;

use super::opening::{End, Looked, Opening};
use super::{Carried, Carrier};
use crate::exit::Failure;
use crate::files::receive::Shelf;
use crate::lock::lock;
use crate::member::Member;
use crate::net::link::{Interest, Link, close};
use crate::stop::Stop;
use crate::{clock, random::system};

/// How long a sender may take to hear that we give up.
const PARTING: Duration = Duration::from_millis(300);
/// How long whole records wait for others to make a batch with.
const PATIENCE: Duration = Duration::from_millis(50);
/// What happened when a batch does not come back.
const PANICKED: &str = "a thread that opens records has panicked: this is a fault of deaddrop";
/// Messages to take in a row before others get their turn.
const MESSAGES_PER_TURN: u32 = 16;

/// Why a connection to a sender ended.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// By the protocol.
    Session(ClientError),
    /// By the network.
    Io(io::Error),
    /// By a signal.
    Stopped(Failure),
    /// What came could not be stored.
    Unstored(Failure),
}

impl fmt::Display for PumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(e) => e.fmt(f),
            Self::Io(e) => e.fmt(f),
            Self::Stopped(e) | Self::Unstored(e) => e.fmt(f),
        }
    }
}

impl From<ClientError> for PumpError {
    fn from(e: ClientError) -> Self {
        Self::Session(e)
    }
}

impl From<io::Error> for PumpError {
    fn from(e: io::Error) -> Self {
        // A reset or a cut is what the session calls a reset: nothing follows from it.
        match e.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Self::Session(ClientError::Reset)
            }
            _ => Self::Io(e),
        }
    }
}

/// Carries one client session.
pub(crate) struct ClientPump<'a, L: Link> {
    link: L,
    /// The session, for its commands.
    pub(crate) session: ClientSession,
    member: &'a Member,
    /// Ends the conversation when asked to, until the drop is ours.
    stop: Option<&'a Stop>,
    inward: Carrier,
    outward: Carrier,
    /// Bytes stored so far, told to the sender every few seconds while a drop is on its way.
    stored: Option<u64>,
    told: Instant,
    /// When the conversation ends, whatever has been said by then.
    end: Option<Instant>,
    /// Messages asked for so far.
    taken: u32,
}

impl<'a, L: Link> ClientPump<'a, L> {
    pub(crate) fn new(link: L, session: ClientSession, member: &'a Member, stop: Option<&'a Stop>) -> Self {
        Self {
            link,
            session,
            member,
            stop,
            inward: Carrier::new(CONTROL_RECORD),
            outward: Carrier::new(CONTROL_RECORD),
            stored: None,
            told: clock::now(),
            taken: 0,
            end: None,
        }
    }

    /// Ends the conversation at `at`, however much the server still has to say.
    pub(crate) fn end_by(mut self, at: Instant) -> Self {
        self.end = Some(at);
        self
    }

    /// From now on the sender hears every [`PROGRESS_EVERY`] how much is stored.
    pub(crate) fn stored(&mut self, bytes: u64) {
        if self.stored.is_none() {
            self.told = clock::now();
        }
        self.stored = Some(bytes);
    }

    /// From now on a signal does not end the conversation.
    pub(crate) fn ignore_stop(&mut self) {
        self.stop = None;
    }

    /// The next thing the server says.
    pub(crate) async fn next(&mut self) -> Result<ClientEvent, PumpError> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(MESSAGES_PER_TURN) {
            // A sender that is never waited for must not keep a signal from being heard.
            smol::future::yield_now().await;
        }
        loop {
            if let Some(input) = self.turn(None).await? {
                return Ok(input);
            }
        }
    }

    /// Takes the data records of a large drop in with several threads, all but its final one, and puts them on the
    /// shelf. Tells `stored` of every bit that is there, from the first byte on without a gap. Gives what the server
    /// said if it ended the stream, and does nothing for a drop that is not large.
    pub(crate) async fn take_in(
        &mut self,
        shelf: Shelf,
        mut stored: impl FnMut(u64) -> u64,
    ) -> Result<Option<ClientEvent>, PumpError> {
        let opening = Opening::start(&self.session, shelf, self.link.stream(), self.link.knock());
        let Some(mut opening) = opening else {
            return Ok(None);
        };
        let mut closed = false;
        loop {
            let written = self.speak()?;
            let (more, end) =
                opening.stored(&self.session, closed).map_err(|_| io::Error::other(PANICKED))?;
            if more > 0 {
                self.stored(stored(more));
            }
            match end {
                Some(End::Refused(code)) => return Ok(Some(self.session.handle_refused(code)?)),
                Some(End::Forged) => return Err(ClientError::Protocol.into()),
                Some(End::Unstored(failure)) => return Err(PumpError::Unstored(failure)),
                None => {}
            }
            let looked =
                if closed { Looked::Enough } else { opening.look(self.link.stream(), &mut self.session)? };
            match looked {
                Looked::Read | Looked::Closed => {
                    closed = looked == Looked::Closed;
                    // A sender that is never waited for must not keep a signal from being heard.
                    smol::future::yield_now().await;
                    continue;
                }
                Looked::Nothing => self.session.handle_timeout(clock::now())?,
                // We keep the server waiting, not it us.
                Looked::Enough => self.session.handle_pause(clock::now()),
            }
            if !opening.is_busy() {
                if closed {
                    return Err(self.session.handle_close(true).into());
                }
                if self.session.data_records() == 0 {
                    return Ok(None);
                }
            }
            let until = self.due(opening.has_whole().then(|| clock::now() + PATIENCE));
            self.link.wait(Interest { read: looked == Looked::Nothing, write: !written, until }).await?;
        }
    }

    /// The same, but no longer than until the moment that `until` names, which may draw nearer meanwhile.
    pub(crate) async fn next_by(&mut self, until: impl Fn() -> Instant) -> Result<ClientEvent, PumpError> {
        loop {
            let until = until();
            if until <= clock::now() {
                return Err(ClientError::Silent.into());
            }
            if let Some(input) = self.turn(Some(until)).await? {
                return Ok(input);
            }
        }
    }

    /// Rings to end a wait on this connection.
    pub(crate) fn knock(&self) -> &Arc<Event> {
        self.link.knock()
    }

    /// Keeps the connection alive while `busy` says so; who changes that knocks. What the server says meanwhile
    /// waits.
    pub(crate) async fn keep_while(&mut self, busy: impl Fn() -> bool) -> Result<(), PumpError> {
        while busy() {
            if self.session.wants().is_some() {
                return Err(ClientError::Protocol.into());
            }
            self.turn(None).await?;
        }
        Ok(())
    }

    /// Writes out all that the session has to say.
    pub(crate) async fn flush(&mut self) -> Result<(), PumpError> {
        while !self.write()? {
            let until = Some(clock::now() + deaddrop_core::limits::CONNECT_TIMEOUT);
            self.link.wait(Interest { read: false, write: true, until }).await?;
            if until.is_some_and(|at| at <= clock::now()) {
                return Err(ClientError::Silent.into());
            }
        }
        Ok(())
    }

    /// Gives the claim up and closes, so that the sender need not wait for the lease to lapse. If the sender
    /// cannot be told, it does.
    pub(crate) async fn release(&mut self) {
        if self.session.release().is_err() || self.flush().await.is_err() {
            return;
        }
        self.close();
        // Bytes left unread would turn our close into a reset, which may overtake what we said.
        let until = clock::now() + PARTING;
        while clock::now() < until {
            match self.link.stream().read(&mut self.inward.buffer) {
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

    /// The bytes of a drop that the last input spoke of.
    pub(crate) fn bytes(&self, len: usize) -> &[u8] {
        self.inward.buffer.get(..len).unwrap_or_default()
    }

    /// Where the server is.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.link.stream().peer_addr()
    }

    /// Closes the connection in order.
    pub(crate) fn close(&self) {
        close(self.link.stream(), Close::Clean);
    }

    /// Writes as much as the connection takes; true once nothing is left.
    fn write(&mut self) -> Result<bool, PumpError> {
        loop {
            match self.outward.write(self.link.stream())? {
                Carried::Partly => return Ok(false),
                Carried::Closed => return Err(ClientError::Reset.into()),
                Carried::Whole => {}
            }
            let next = self.session.poll_transmit(&mut self.outward.buffer);
            let Some(len) = next.map_err(|_| ClientError::Protocol)? else { return Ok(true) };
            (self.outward.at, self.outward.end) = (0, len);
        }
    }

    /// Says what is due, and writes as much of it as the connection takes; true once nothing is left. Fails once
    /// it is time to end.
    fn speak(&mut self) -> Result<bool, PumpError> {
        if let Some(failure) = self.stop.and_then(Stop::asked) {
            return Err(PumpError::Stopped(failure));
        }
        let now = clock::now();
        if self.end.is_some_and(|end| end <= now) {
            return Err(ClientError::Silent.into());
        }
        if let Some(stored) = self.stored
            && self.told + PROGRESS_EVERY <= now
        {
            self.told = now;
            // Out of turn only once the drop is through, and then nobody waits for a sign.
            if self.session.progress(stored).is_err() {
                self.stored = None;
            }
        }
        match self.write() {
            // What the server said before it closed still counts: a refusal, or the last answer.
            Err(PumpError::Session(ClientError::Reset)) => Ok(true),
            other => other,
        }
    }

    /// When there is something to do although nothing has come.
    fn due(&self, until: Option<Instant>) -> Option<Instant> {
        let sign = self.stored.map(|_| self.told + PROGRESS_EVERY);
        [self.session.poll_timeout(), sign, until, self.end].into_iter().fold(None, Instant::earliest)
    }

    async fn turn(&mut self, until: Option<Instant>) -> Result<Option<ClientEvent>, PumpError> {
        let written = self.speak()?;
        self.session.handle_timeout(clock::now())?;
        if let Some(len) = self.session.wants() {
            match self.inward.read(self.link.stream(), len)? {
                Carried::Whole => {
                    self.inward.at = 0;
                    let message = self.inward.buffer.get_mut(..len).unwrap_or_default();
                    let mut guard = lock(&self.member.guard);
                    let prs = &self.member.prs;
                    let input =
                        self.session.handle_message(clock::now(), prs, &mut guard, &mut system(), message)?;
                    return Ok(Some(input));
                }
                Carried::Closed => return Err(self.session.handle_close(true).into()),
                Carried::Partly => {}
            }
        }
        let until = self.due(until);
        self.link.wait(Interest { read: self.session.wants().is_some(), write: !written, until }).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
