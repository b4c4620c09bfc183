//! Why a fetch ended without the drop.

use core::fmt;

use crate::session::ClientError;
use crate::wire::ErrorCode;

/// Why a fetch ended without the drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FetchError {
    /// No connection could be opened.
    Unreachable,
    /// A connection ended before its work was done.
    Session(ClientError),
    /// The sender refused: for a reason of its own, or because its list has no such drop. `Changed` also when
    /// what it was about to send is not what it had listed.
    Refused(ErrorCode),
    /// Several drops of the sender begin with the given characters.
    Ambiguous,
    /// The front end gave the drop up: by [`Fetch::cancel`](super::Fetch::cancel).
    Canceled,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the sender cannot be reached"),
            Self::Session(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "the sender refused: {code}"),
            Self::Ambiguous => f.write_str("several drops of the sender have tokens that begin like this"),
            Self::Canceled => f.write_str("the drop was given up by this side"),
        }
    }
}

impl core::error::Error for FetchError {}

impl From<ClientError> for FetchError {
    fn from(error: ClientError) -> Self {
        Self::Session(error)
    }
}
