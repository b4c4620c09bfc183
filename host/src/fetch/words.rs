//! What a person is told of a refusal.

use super::claim::Refusal;
use crate::exit::{Exit, Failure};

impl Refusal {
    /// When a claimed drop did not arrive.
    pub(crate) fn failure_half_way(&self) -> Failure {
        match self {
            Self::Nobody(why) => Failure::unreachable(format!(
                "the sender went away half-way ({why}): nothing was saved; fetch again, it may be available \
                 again in 15 seconds"
            )),
            refusal => refusal.failure(),
        }
    }

    /// When a sender gave nothing.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Nobody(why) => Failure::unreachable(format!(
                "no sender answered ({why}): check that it is still running, its address, and that no firewall \
                 is in the way of its TCP port, one of 48556 to 48571 unless it chose another"
            )),
            Self::NotMember => Failure::not_a_member(
                "the sender refused: it is in another room; check the passphrase on both sides",
            ),
            Self::Busy(_) => Failure::busy(
                "another receiver holds the drop, or the sender is flooded: try again, or wait longer with \
                 --wait",
            ),
            Self::Unknown => Failure::unknown("no sender there has a drop with that token: check both"),
            Self::Gone => {
                Failure::unknown("the drop is gone: another receiver took it, or its sender withdrew it")
            }
            Self::Expired => Failure::expired("the drop expired before it was fetched: ask for it again"),
            Self::Changed => Failure::new(
                Exit::Failed,
                "changed",
                "the drop is not what was offered: its source changed; ask for it again",
            ),
            Self::Ambiguous => {
                Failure::usage("several drops begin with that token: give more of its characters")
            }
            Self::NoBudget => Failure::busy(
                "too many handshakes with that address went unconfirmed, so no more are tried for a minute: \
                 wait, or name the port with --port",
            ),
            Self::Broken(why) => Failure::failed(format!("the sender cannot be understood: {why}")),
            Self::Stopped(failure) => failure.clone(),
        }
    }
}
