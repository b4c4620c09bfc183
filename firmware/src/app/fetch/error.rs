//! What a failed attempt means for the fetch.

use deaddrop_core::session::ClientError;

use crate::mailbox::CommandError;

/// Why an attempt failed.
pub(super) enum AttemptError {
    /// The sender could not be reached, or the connection broke: another attempt may succeed.
    Retry(CommandError),
    /// No other attempt can succeed.
    Final(CommandError),
}

impl AttemptError {
    /// The session was used out of turn, or the sender broke the protocol.
    pub(super) const PROTOCOL: Self = Self::Final(CommandError::Client(ClientError::Protocol));
}

impl From<ClientError> for AttemptError {
    fn from(error: ClientError) -> Self {
        let retry = matches!(error, ClientError::Reset | ClientError::Silent | ClientError::Busy)
            || error.retry_after().is_some();
        let error = CommandError::Client(error);
        if retry { Self::Retry(error) } else { Self::Final(error) }
    }
}
