//! One TCP connection: whole messages in, whole records out, and waiting for either.

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
use super::rounds::{Part, ROUND};

/// How long a peer may take to close its end after we have closed ours.
const PARTING: Duration = Duration::from_secs(1);
/// How long a reset may take to go out.
const RESETTING: Duration = Duration::from_millis(100);

/// What has come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole message, at the front of the buffer.
    Whole,
    /// Not all of it yet.
    Partly,
    /// The peer has closed its end in order.
    Closed,
    /// The connection broke.
    Reset,
}

/// A connection, and the message that is coming.
pub(super) struct Connection<'a> {
    pub(super) socket: &'a mut TcpSocket<'static>,
    message: &'a mut [u8],
    /// How much of it has come.
    at: usize,
    member: &'a Member,
    part: Part,
    /// The number of the address it was made with.
    era: u32,
    /// What comes before is said at this moment, and not sooner.
    hold: Option<Instant>,
    /// How often the bell had been rung when we last looked around.
    rung: u32,
}

impl<'a> Connection<'a> {
    /// A connection that is open.
    pub(super) fn new(
        member: &'a Member,
        part: Part,
        socket: &'a mut TcpSocket<'static>,
        message: &'a mut [u8],
    ) -> Self {
        let era = member.online.get().era;
        Self { socket, message, at: 0, member, part, era, hold: None, rung: member.bell.count() }
    }

    /// Whether the address that it was made with is still ours.
    pub(super) fn is_current(&self) -> bool {
        let online = self.member.online.get();
        online.network.is_some() && online.era == self.era
    }

    /// Takes what has come of a message of `len` bytes.
    pub(super) fn receive(&mut self, len: usize) -> Received {
        while self.at < len {
            let Some(rest) = self.message.get_mut(self.at..len) else { return Received::Reset };
            match poll_once(self.socket.read(rest)) {
                Poll::Ready(Ok(0)) => return Received::Closed,
                Poll::Ready(Ok(n)) => self.at += n,
                Poll::Ready(Err(_)) => return Received::Reset,
                Poll::Pending => return Received::Partly,
            }
        }
        self.at = 0;
        Received::Whole
    }

    /// The first `len` bytes of the message that has come.
    pub(super) fn message(&mut self, len: usize) -> &mut [u8] {
        self.message.get_mut(..len).unwrap_or_default()
    }

    /// Lets nothing out until the reply to a handshake message is due.
    pub(super) fn hold_reply(&mut self, came: Instant) {
        let delay = self.member.settings.reply_delay;
        if !delay.is_zero() {
            self.hold = Some(came + delay);
        }
    }

    /// Whether the next record may go out: all before it has arrived, and it is time.
    ///
    /// So there is one record on its way at a time, and none has to be kept.
    pub(super) fn takes_more(&mut self) -> bool {
        if self.hold.is_some_and(|at| at <= clock::now()) {
            self.hold = None;
        }
        self.hold.is_none() && self.socket.send_queue() == 0 && self.socket.may_send()
    }

    /// Sends a record whole. False if the connection broke.
    pub(super) fn send(&mut self, record: &[u8]) -> bool {
        // There is room for all of it: the socket was empty.
        matches!(poll_once(self.socket.write(record)), Poll::Ready(Ok(n)) if n == record.len())
    }

    /// Waits until something can be done: a byte to read if `wanted`, room for a record, another part's word, or
    /// a moment. Makes rounds meanwhile.
    pub(super) async fn wait(&mut self, wanted: bool, until: Option<Instant>) {
        let now = clock::now();
        self.member.rounds.made(self.part, now);
        let hold = self.hold;
        let until = [until, hold].into_iter().fold(Some(now + ROUND), Instant::earliest).unwrap_or(now);
        // Nothing is gained by waiting for room before the time has come to use it.
        let busy = hold.is_none() && self.socket.send_queue() > 0;
        let (rung, bell) = (self.rung, &self.member.bell);
        let socket = &mut *self.socket;
        let stirred = poll_fn(|context| {
            let stirred = bell.is_since(rung, context)
                || (wanted && is_readable(socket, context))
                || (busy && is_idle(socket, context));
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
                while matches!(poll_once(self.socket.read(self.message)), Poll::Ready(Ok(1..))) {}
                let open = self.socket.may_recv();
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

fn is_idle(socket: &mut TcpSocket<'static>, context: &mut Context<'_>) -> bool {
    pin!(socket.flush()).poll(context).is_ready()
}
