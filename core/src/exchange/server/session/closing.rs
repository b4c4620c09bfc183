//! When and how a connection ends: its deadlines, the peer's close, the stop of the server.

use super::{ServerSession, State};
use crate::exchange::server::request::{Dialogue, Task};
use crate::exchange::server::tables::Server;
use crate::limits::{HANDSHAKE_TIMEOUT, LEASE, MESSAGE2_TIMEOUT};
use crate::session::Close;
use crate::time::Instant;

impl ServerSession {
    /// How to close the connection, once everything has been sent.
    pub fn closing(&self) -> Option<Close> {
        let quiet = self.plain.is_empty()
            && !matches!(&self.state, State::Open(d) if d.answer.is_some() && self.close == Some(Close::Clean));
        self.close.filter(|_| quiet)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout<const D: usize, const F: usize, const S: usize, const C: usize>(
        &self,
        server: &Server<D, F, S, C>,
    ) -> Option<Instant> {
        if self.ended {
            return None;
        }
        Some(match &self.state {
            State::AwaitHello(_) | State::Busy | State::Over => self.opened + MESSAGE2_TIMEOUT,
            State::Parked(..) | State::Answering(_) | State::AwaitProof(_) => self.opened + HANDSHAKE_TIMEOUT,
            State::Open(Dialogue { task: Task::Stream(_), .. } | Dialogue { committing: true, .. }) => {
                self.heard + LEASE
            }
            State::Open(_) => self.heard + server.profile().idle,
        })
    }

    /// Closes a connection whose deadline has passed.
    pub fn handle_timeout<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &Server<D, F, S, C>,
    ) {
        if self.poll_timeout(server).is_some_and(|at| at <= now) {
            self.close = Some(match &self.state {
                // A decision stands: a connection that was parked and then refused is late, and still gets
                // its clean close.
                State::Over => self.close.unwrap_or(Close::Reset),
                // Before message 3 a close means busy; after a whole exchange it means nothing (protocol.md,
                // section 4.3).
                State::AwaitHello(_) | State::Parked(..) | State::Busy if !server.stopping() => Close::Clean,
                State::Open(Dialogue { task: Task::Idle, answer: None, .. }) => Close::Clean,
                // Unsent messages will not be read.
                _ => Close::Reset,
            });
            self.plain.clear();
        }
    }

    /// Handles the end of the connection by the peer or the network.
    pub const fn handle_close(&mut self) {
        if self.close.is_none() {
            self.close = Some(Close::Reset);
        }
    }

    /// Ends the session. What it holds is dropped in its place, and so wiped there: moved out, it would leave its bytes behind.
    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    /// The server stops: resets a connection with an unanswered request, closes others cleanly.
    pub fn stop(&mut self) {
        if self.close.is_none() {
            self.close = Some(match &self.state {
                State::Open(d) if d.answer.is_none() && matches!(d.task, Task::Idle) => Close::Clean,
                _ => Close::Reset,
            });
        }
    }

    /// The connection is closed: settles its guess token and slot with the guard. Call once.
    pub fn closed<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
    ) {
        if !core::mem::replace(&mut self.ended, true) {
            match &self.state {
                State::AwaitHello(_) | State::Parked(..) | State::Busy => {
                    server.guard.closed(now, self.conn);
                }
                State::Answering(_) | State::AwaitProof(_) => server.guard.failed(now, self.conn),
                State::Open(_) | State::Over => {}
            }
            self.end();
        }
    }
}
