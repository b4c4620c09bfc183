//! The clock of a fetch: signs of life, the end of a connection that takes too long, the next try.

use rand_core::CryptoRng;

use super::{Fetch, State, ended};
use crate::limits::PROGRESS_EVERY;
use crate::session::{ClientError, ClientSession, Close};
use crate::time::Instant;

impl Fetch {
    /// The moment at which [`handle_timeout`](Self::handle_timeout) is due. The session has one of its own.
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

    /// Does what is due: a sign of life, the next try, or the end of one that takes too long.
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
                // Refused only in the moment between two states of the session, and then nobody waits for a sign.
                let _ = session.progress(self.stored);
            }
        }
    }

    /// From `begin` until `commit` the sender hears that we are alive.
    const fn gives_signs(&self) -> bool {
        matches!(self.state, State::Stream | State::Persist { connected: true })
    }
}
