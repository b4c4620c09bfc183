//! The timers of a fetch: `progress`, the deadline of a connection, and the next retry.

use rand_core::CryptoRng;

use super::{Fetch, State, ended};
use crate::limits::PROGRESS_EVERY;
use crate::session::{ClientError, ClientSession, Close};
use crate::time::Instant;

impl Fetch {
    /// When [`handle_timeout`](Self::handle_timeout) is due. The session has its own deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.state, State::Close(..) | State::End(_)) {
            return None;
        }
        let wait = if let State::Wait(until) = self.state { Some(until) } else { None };
        let sign = self.gives_signs().then(|| self.told + PROGRESS_EVERY);
        let give_up = self.persisted.then_some(self.give_up);
        let end = self.connection_end.filter(|_| self.is_open());
        [wait, sign, give_up, end].into_iter().fold(None, Instant::earliest)
    }

    /// Handles what is due: `progress`, the next try, or the end of a try that takes too long.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        session: Option<&mut ClientSession>,
        rng: &mut impl CryptoRng,
    ) {
        if self.is_open() && self.connection_end.is_some_and(|end| end <= now) {
            return self.fail(now, ClientError::Silent.into(), Close::Reset, rng);
        }
        if self.persisted && self.give_up <= now && !matches!(self.state, State::Close(..) | State::End(_)) {
            let open = self.is_open();
            self.state = ended(open, Close::Reset, Ok(false));
            return;
        }
        if let State::Wait(until) = self.state {
            if until <= now {
                self.state = State::Connect;
            }
            return;
        }
        if self.gives_signs() && self.told + PROGRESS_EVERY <= now {
            self.told = now;
            if let Some(session) = session {
                // Fails only between two states of the session, in which no `progress` is due.
                let _ = session.progress(self.stored);
            }
        }
    }

    /// Whether `progress` is due: from `begin` until `commit`.
    const fn gives_signs(&self) -> bool {
        matches!(self.state, State::Stream | State::Persist { connected: true })
    }
}
