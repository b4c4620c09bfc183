//! One TCP connection: complete messages in, whole records out, and waiting for either.
//!
//! A message stays in the socket's receive buffer until it is complete, and is then copied into the record buffer that
//! all connections share. So a connection needs no buffer of its own.

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
use super::context::TaskContext;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::memory::RECORD;
use super::reply_delay;

/// How long the peer may take to close its end after we closed ours.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to poll for the rest of an incomplete message: the socket counts as readable, so it cannot be waited on.
const POLL_INCOMPLETE_EVERY: Duration = Duration::from_millis(5);
/// How long a RST may take to be sent.
const RESET_TIMEOUT: Duration = Duration::from_millis(100);

/// What [`Connection::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A complete message.
    Complete,
    /// Not all of the message has arrived.
    Incomplete,
    /// The peer closed its end with a FIN.
    Closed,
    /// The connection broke.
    Reset,
}

/// An established connection.
pub(super) struct Connection<'a> {
    pub(super) socket: &'a mut TcpSocket<'static>,
    context: &'a TaskContext,
    task: Task,
    /// Generation of the address that it was opened on.
    generation: u32,
    /// Nothing is sent, and the connection not closed, before this moment.
    hold_until: Option<Instant>,
    /// Generation of the notification that was last seen.
    seen: u32,
}

impl<'a> Connection<'a> {
    /// Over a socket that is established.
    pub(super) fn new(context: &'a TaskContext, task: Task, socket: &'a mut TcpSocket<'static>) -> Self {
        let generation = context.online.get().generation;
        Self { socket, context, task, generation, hold_until: None, seen: context.notify.generation() }
    }

    /// Whether the board still has the address that the connection was opened on.
    pub(super) fn is_current(&self) -> bool {
        let online = self.context.online.get();
        online.network.is_some() && online.generation == self.generation
    }

    /// Fills `message` once all of it has arrived.
    pub(super) fn receive(&mut self, message: &mut [u8]) -> Received {
        let open = matches!(self.socket.state(), State::Established | State::FinWait1 | State::FinWait2);
        if open && self.socket.recv_queue() < message.len() {
            return Received::Incomplete;
        }
        // After a close the rest is read even if it is too short: how the peer closed comes after it.
        let mut filled = 0;
        while let Some(rest) = message.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match poll_once(self.socket.read(rest)) {
                Poll::Ready(Ok(0)) => return Received::Closed,
                Poll::Ready(Ok(n)) => filled += n,
                Poll::Ready(Err(_)) => return Received::Reset,
                Poll::Pending => return Received::Incomplete,
            }
        }
        Received::Complete
    }

    /// Delays the reply to a handshake message that arrived at `received`, or the close that it causes.
    pub(super) fn hold_reply(&mut self, received: Instant) {
        let delay = self.context.reply_delay;
        if delay > 0 {
            self.hold_until = Some(Instant::from_millis(received.as_millis() + delay));
        }
    }

    /// The delayed reply has been computed. If that took longer than the delay, the reply waits for a whole number of
    /// delays.
    pub(super) fn computed_reply(&mut self) {
        let now = clock::now();
        self.hold_until = self.hold_until.map(|until| reply_delay::due(until, self.context.reply_delay, now));
    }

    /// Whether a delayed reply is not due yet.
    pub(super) fn holds(&mut self) -> bool {
        self.hold_until = self.hold_until.filter(|until| clock::now() < *until);
        self.hold_until.is_some()
    }

    /// Whether a record can be sent: the transmit buffer fits all of it, and no reply is delayed.
    pub(super) fn can_send(&mut self) -> bool {
        let free = self.socket.send_capacity() - self.socket.send_queue();
        !self.holds() && (free >= RECORD || self.socket.send_queue() == 0) && self.socket.may_send()
    }

    /// Whether the peer has acknowledged everything, and no reply is delayed.
    pub(super) fn is_flushed(&mut self) -> bool {
        !self.holds() && self.socket.send_queue() == 0 && self.socket.may_send()
    }

    /// Sends a record, after [`Self::can_send`]. False if the connection broke.
    pub(super) fn send(&mut self, record: &[u8]) -> bool {
        matches!(poll_once(self.socket.write(record)), Poll::Ready(Ok(n)) if n == record.len())
    }

    /// Waits until a message of `wanted` bytes can be read, the transmit buffer has room, shared state has changed, or
    /// `until` has passed; at most until the next check-in.
    pub(super) async fn wait(&mut self, wanted: Option<usize>, until: Option<Instant>) {
        let now = clock::now();
        self.context.liveness.check_in(self.task, now);
        let hold = self.hold_until;
        let incomplete = wanted
            .filter(|len| (1..*len).contains(&self.socket.recv_queue()))
            .map(|_| now + POLL_INCOMPLETE_EVERY);
        let wanted = wanted.is_some() && incomplete.is_none();
        let until = [until, hold, incomplete]
            .into_iter()
            .fold(Some(now + CHECK_IN_EVERY), Instant::earliest)
            .unwrap_or(now);
        // While a reply is delayed, room in the transmit buffer is of no use.
        let busy = hold.is_none() && self.socket.send_queue() > 0;
        let full = self.socket.may_send() && self.socket.send_queue() == self.socket.send_capacity();
        let (seen, notify) = (self.seen, &self.context.notify);
        let socket = &mut *self.socket;
        let ready = poll_fn(|context| {
            let ready = notify.poll_changed(seen, context)
                || (wanted && is_readable(socket, context))
                || (busy && if full { is_writable(socket, context) } else { is_idle(socket, context) });
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        select(ready, clock::at(until)).await;
        self.seen = self.context.notify.generation();
    }

    /// Closes the connection. A clean close waits a moment for the peer's FIN, so that it receives everything sent.
    pub(super) async fn close(&mut self, how: Close) {
        if how == Close::Clean && self.is_current() {
            self.socket.close();
            let until = clock::now() + CLOSE_TIMEOUT;
            while clock::now() < until && self.is_current() && !self.is_over() {
                // Discard input: closing with unread bytes would send a RST, and the peer would lose unread data.
                while matches!(poll_once(self.socket.read(&mut [0; 64])), Poll::Ready(Ok(1..))) {}
                let open = self.socket.may_recv().then_some(1);
                self.wait(open, Some((clock::now() + RESET_TIMEOUT).min(until))).await;
            }
        }
        reset(self.socket).await;
    }

    /// Both ends have closed, and both FINs are acknowledged.
    fn is_over(&self) -> bool {
        matches!(self.socket.state(), State::Closed | State::TimeWait)
    }
}

/// Aborts a connection, if there is one, with a RST to the peer.
pub(super) async fn reset(socket: &mut TcpSocket<'static>) {
    if socket.state() != State::TimeWait {
        socket.abort();
        select(socket.flush(), clock::at(clock::now() + RESET_TIMEOUT)).await;
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
