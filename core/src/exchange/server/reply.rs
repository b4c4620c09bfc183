//! What a session answers to a request, and why one fails.

use crate::drops::Refusal;
use crate::wire::ErrorCode;

/// An answer of one message. It is encoded when it is sent, so that no session stores a drop's name.
pub(super) enum Reply {
    /// `begin` of the drop that streams.
    Begin,
    Burned,
    Error(ErrorCode),
}

/// Why a request failed.
pub(super) enum Reject {
    /// Answer with this error.
    Say(ErrorCode),
    /// End without an answer.
    End,
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        Self::Say(refusal.into())
    }
}

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Gone => Self::Gone,
            Refusal::Expired => Self::Expired,
            Refusal::Busy { retry_after } => Self::Busy { retry_after },
            Refusal::Unknown => Self::Unknown,
            Refusal::Changed => Self::Changed,
            Refusal::Malformed => Self::Malformed,
        }
    }
}
