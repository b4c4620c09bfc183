//! One TCP connection: whole messages in, whole records out, and waiting for either.
//!
//! A message stays in the socket until all of it is there, and then goes where all messages are opened: so a
//! connection needs no buffer of its own.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;

use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use embassy_futures::poll_once;
use embassy_futures::select::select;
use embassy_net::tcp::{State, TcpSocket};

use super::clock;
use super::member::Member;
use super::memory::RECORD;
use super::rounds::{Part, ROUND};

/// How long a peer may take to close its end after we have closed ours.
const PARTING: Duration = Duration::from_secs(1);
/// When to look again at a message that is here in part: the socket tells of bytes that can be read, and they can.
const PARTLY: Duration = Duration::from_millis(5);
/// How long a reset may take to go out.
const RESETTING: Duration = Duration::from_millis(100);

/// What has come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole message.
    Whole,
    /// Not all of it yet.
    Partly,
    /// The peer has closed its end in order.
    Closed,
    /// The connection broke.
    Reset,
}

/// A connection.
pub(super) struct Connection<'a> {
    pub(super) socket: &'a mut TcpSocket<'static>,
    member: &'a Member,
    part: Part,
    /// The number of the address it was made with.
    era: u32,
    /// What comes next is said, or not said, at this moment, and not sooner.
    hold: Option<Instant>,
    /// How often the bell had been rung when we last looked around.
    rung: u32,
}

impl<'a> Connection<'a> {
    /// A connection that is open.
    pub(super) fn new(member: &'a Member, part: Part, socket: &'a mut TcpSocket<'static>) -> Self {
        let era = member.online.get().era;
        Self { socket, member, part, era, hold: None, rung: member.bell.count() }
    }

    /// Whether the address that it was made with is still ours.
    pub(super) fn is_current(&self) -> bool {
        let online = self.member.online.get();
        online.network.is_some() && online.era == self.era
    }

    /// Fills `message`, if all of it has come.
    pub(super) fn receive(&mut self, message: &mut [u8]) -> Received {
        let open = matches!(self.socket.state(), State::Established | State::FinWait1 | State::FinWait2);
        if open && self.socket.recv_queue() < message.len() {
            return Received::Partly;
        }
        // Of a connection that is closed, what is left is taken even if it is too little: behind it is how it closed.
        let mut at = 0;
        while let Some(rest) = message.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match poll_once(self.socket.read(rest)) {
                Poll::Ready(Ok(0)) => return Received::Closed,
                Poll::Ready(Ok(n)) => at += n,
                Poll::Ready(Err(_)) => return Received::Reset,
                Poll::Pending => return Received::Partly,
            }
        }
        Received::Whole
    }

    /// Lets nothing out, and does not close, until the reply to a handshake message is due.
    pub(super) fn hold_reply(&mut self, came: Instant) {
        let delay = self.member.settings.reply_delay;
        if !delay.is_zero() {
            self.hold = Some(came + delay);
        }
    }

    /// Whether a reply is not due yet.
    pub(super) fn holds(&mut self) -> bool {
        self.hold = self.hold.filter(|at| clock::now() < *at);
        self.hold.is_some()
    }

    /// Whether the next record may go out: there is room for all of it, and it is time.
    pub(super) fn takes_more(&mut self) -> bool {
        let free = self.socket.send_capacity() - self.socket.send_queue();
        !self.holds() && (free >= RECORD || self.socket.send_queue() == 0) && self.socket.may_send()
    }

    /// Whether all that was said has arrived, and it is time for more.
    pub(super) fn has_said(&mut self) -> bool {
        !self.holds() && self.socket.send_queue() == 0 && self.socket.may_send()
    }

    /// Sends a record whole. False if the connection broke.
    pub(super) fn send(&mut self, record: &[u8]) -> bool {
        // There is room for all of it: it was asked for before.
        matches!(poll_once(self.socket.write(record)), Poll::Ready(Ok(n)) if n == record.len())
    }

    /// Waits until something can be done: a message of `wanted` bytes to read, room for a record, another part's word,
    /// or a moment. Makes rounds meanwhile.
    pub(super) async fn wait(&mut self, wanted: Option<usize>, until: Option<Instant>) {
        let now = clock::now();
        self.member.rounds.made(self.part, now);
        let hold = self.hold;
        let partly = wanted.filter(|len| (1..*len).contains(&self.socket.recv_queue())).map(|_| now + PARTLY);
        let wanted = wanted.is_some() && partly.is_none();
        let until =
            [until, hold, partly].into_iter().fold(Some(now + ROUND), Instant::earliest).unwrap_or(now);
        // Nothing is gained by waiting for room before the time has come to use it.
        let busy = hold.is_none() && self.socket.send_queue() > 0;
        let full = self.socket.may_send() && self.socket.send_queue() == self.socket.send_capacity();
        let (rung, bell) = (self.rung, &self.member.bell);
        let socket = &mut *self.socket;
        let stirred = poll_fn(|context| {
            let stirred = bell.is_since(rung, context)
                || (wanted && is_readable(socket, context))
                || (busy && if full { is_writable(socket, context) } else { is_idle(socket, context) });
            if stirred { Poll::Ready(()) } else { Poll::Pending }
        });
        select(stirred, clock::at(until)).await;
        self.rung = self.member.bell.count();
    }

    /// Closes it, and gives the peer a moment to do the same, so that it hears all that was said.
    pub(super) async fn close(&mut self, how: Close) {
        if how == Close::Clean && self.is_current() {
            self.socket.close();
            let until = clock::now() + PARTING;
            while clock::now() < until && self.is_current() && !self.is_over() {
                // What is left unread would have the peer lose what it has not read.
                while matches!(poll_once(self.socket.read(&mut [0; 64])), Poll::Ready(Ok(1..))) {}
                let open = self.socket.may_recv().then_some(1);
                self.wait(open, Some((clock::now() + RESETTING).min(until))).await;
            }
        }
        reset(self.socket).await;
    }

    /// Both ends are closed, and both know.
    fn is_over(&self) -> bool {
        matches!(self.socket.state(), State::Closed | State::TimeWait)
    }
}

/// Ends a connection, if there still is one, and says so to the peer.
pub(super) async fn reset(socket: &mut TcpSocket<'static>) {
    if socket.state() != State::TimeWait {
        socket.abort();
        select(socket.flush(), clock::at(clock::now() + RESETTING)).await;
    }
}

fn is_readable(socket: &TcpSocket<'static>, context: &mut Context<'_>) -> bool {
    let ready = pin!(socket.wait_read_ready()).poll(context).is_ready();
    ready || !socket.may_recv()
}

fn is_writable(socket: &TcpSocket<'static>, context: &mut Context<'_>) -> bool {
    pin!(socket.wait_write_ready()).poll(context).is_ready() || !socket.may_send()
}

fn is_idle(socket: &mut TcpSocket<'static>, context: &mut Context<'_>) -> bool {
    pin!(socket.flush()).poll(context).is_ready()
}
