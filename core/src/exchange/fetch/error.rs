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
    /// A connection failed, and a retry could not help or was too late.
    Session(ClientError),
    /// The sender refused, or its list does not have the drop. `Changed` also if `begin` differs from the
    /// offer.
    Refused(ErrorCode),
    /// The token prefix matches several drops of the sender.
    Ambiguous,
    /// Canceled by [`Fetch::cancel`](super::Fetch::cancel).
    Canceled,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the sender cannot be reached"),
            Self::Session(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "the sender refused: {code}"),
            Self::Ambiguous => f.write_str("the token prefix matches several drops of the sender"),
            Self::Canceled => f.write_str("the fetch was canceled"),
        }
    }
}

impl core::error::Error for FetchError {}

impl From<ClientError> for FetchError {
    fn from(error: ClientError) -> Self {
        Self::Session(error)
    }
}
