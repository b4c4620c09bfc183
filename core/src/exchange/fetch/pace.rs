//! The least rate of a server: the rule that it has for receivers, mirrored (protocol.md, section 7.1).

use rand_core::CryptoRng;

use super::{Fetch, State};
use crate::limits::{LEASE, SLOW_BYTES, SLOW_WINDOW};
use crate::session::{ClientError, ClientSession};
use crate::time::Instant;

/// How fast a drop comes. Not a part of [`Fetch`], because a front end whose connections last a minute at most has no
/// use for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Start of the window, and the bytes stored then.
    judged: (Instant, u64),
    /// When it was last looked at.
    seen: Instant,
}

impl Fetch {
    /// Gives the claim back and fails with [`ClientError::Slow`] if fewer than [`SLOW_BYTES`] have come in a
    /// [`SLOW_WINDOW`]. A server that sends a little now and then would keep the fetch for ever. The window
    /// begins anew with each connection, so a server that breaks each one off in time still can. Call it as often as
    /// [`handle_timeout`](Self::handle_timeout), while there is a connection.
    pub fn judge_pace(
        &mut self,
        now: Instant,
        pace: &mut Pace,
        session: &mut ClientSession,
        rng: &mut impl CryptoRng,
    ) {
        // The time that this side slept, or waited for its storage, says nothing about the server.
        let slept = core::mem::replace(&mut pace.seen, now) + LEASE <= now;
        if slept || !matches!(self.state, State::Stream) || session.data_records() == 0 {
            pace.judged = (now, self.stored);
            return;
        }
        let (at, before) = pace.judged;
        let span = now.since(at);
        if span < SLOW_WINDOW {
            return;
        }
        pace.judged = (now, self.stored);
        if self.stored.saturating_sub(before) < SLOW_BYTES / SLOW_WINDOW.as_secs() * span.as_secs() {
            let how = self.give_back(session);
            self.fail(now, ClientError::Slow.into(), how, rng);
        }
    }
}
