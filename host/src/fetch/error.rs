//! Why a connection ended, and why a sender gave nothing.

use std::fmt;
use std::io;
use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::wire::{ErrorCode, GreetingError};

use crate::bulk::WorkerPanicked;
use crate::files::save::SaveError;

/// Why a connection to a sender ended.
#[derive(Debug)]
pub(crate) enum ConnectionError {
    /// The session says so.
    Session(ClientError),
    /// The network failed.
    Io(io::Error),
    /// A [`Stopper`](crate::Stopper) was used.
    Stopped,
    /// The received bytes could not be stored.
    Save(SaveError),
}

impl From<ClientError> for ConnectionError {
    fn from(error: ClientError) -> Self {
        Self::Session(error)
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        // The session's word for a reset or a cut, from which nothing follows.
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Self::Session(ClientError::Reset)
            }
            _ => Self::Io(error),
        }
    }
}

impl From<WorkerPanicked> for ConnectionError {
    fn from(_: WorkerPanicked) -> Self {
        Self::Io(io::Error::other("a thread that opens records has panicked: this is a fault of deaddrop"))
    }
}

/// Why a sender gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection, or one that broke before the sender said anything. The text says how.
    Unreachable(String),
    /// The connection broke after the claim, others to the same sender failed for a minute, and the drop is not here.
    /// The sender offers it again once the claim's lease lapses, after 15 seconds. The text says how the last one ended.
    Lost(String),
    /// The sender sent less than 1 KiB a second for half a minute, so the claim was given back.
    Slow,
    /// The sender completed the greeting and refused: it is in another room.
    NotMember,
    /// Another receiver holds the drop. The sender may have named a time to come back.
    Busy(Option<Duration>),
    /// The sender has no place for another connection. It may have named a time to come back.
    Flooded(Option<Duration>),
    /// No member of the room at that address has such a drop.
    Unknown,
    /// Another receiver took the drop, or its sender withdrew it.
    Gone,
    /// The drop's TTL passed.
    Expired,
    /// The drop is no longer what was offered: its source changed.
    Changed,
    /// The drop does not begin with the bytes that an earlier fetch has received of it: its source or the file here
    /// changed.
    PrefixDiffers,
    /// Several drops of the sender begin with the given characters of a token.
    Ambiguous,
    /// Our own guess budget for the address is spent (protocol.md, section 4.5): too many handshakes with it went
    /// unconfirmed within a minute, so that a fake sender there learns nothing more.
    NoBudget,
    /// The sender broke the protocol. The text says how.
    Protocol(String),
    /// The sender offers this many bytes as a message, more than a message may have.
    MessageTooLong(u64),
    /// The drop is of a kind that this version cannot save.
    Unsupported(Kind),
    /// The drop is of a kind that does not fit the call: a file is no message.
    WrongKind(Kind),
    /// A [`Stopper`](crate::Stopper) was used.
    Stopped,
}

impl FetchError {
    /// The same error when it happens after the claim.
    pub(crate) fn after_claim(self) -> Self {
        match self {
            Self::Unreachable(why) => Self::Lost(why),
            other => other,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no sender answered ({why})"),
            Self::Lost(why) => write!(f, "the sender went away half-way ({why})"),
            Self::Slow => f.write_str("the sender sent less than 1 KiB a second for 30 s"),
            Self::NotMember => f.write_str("the sender refused: it is in another room"),
            Self::Busy(_) => f.write_str("another receiver holds the drop"),
            Self::Flooded(_) => f.write_str("the sender has no place for another connection: it is flooded"),
            Self::Unknown => f.write_str("no sender there has a drop with that token"),
            Self::Gone => {
                f.write_str("the drop is gone: another receiver took it, or its sender withdrew it")
            }
            Self::Expired => f.write_str("the drop expired before it was fetched"),
            Self::Changed => f.write_str("the drop is not what was offered: its source changed"),
            Self::PrefixDiffers => f.write_str(
                "the drop does not begin with what an earlier fetch received of it: its source changed, or the file here",
            ),
            Self::Ambiguous => f.write_str("several drops begin with that token"),
            Self::NoBudget => f.write_str(
                "too many handshakes with that address went unconfirmed, so no more are tried for a minute",
            ),
            Self::Protocol(why) => write!(f, "the sender cannot be understood: {why}"),
            Self::MessageTooLong(size) => write!(
                f,
                "the sender calls {size} bytes a message, and a message has at most {}: nothing was taken",
                crate::files::source::MESSAGE_MAX
            ),
            Self::Unsupported(kind) => write!(f, "the drop is a {kind}, which this version cannot save"),
            Self::WrongKind(kind) => write!(f, "the drop is a {kind}: save it in a folder"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<ClientError> for FetchError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotMember => Self::NotMember,
            ClientError::Busy => Self::Flooded(None),
            ClientError::Handshake(HandshakeError::Busy { retry_after }) => Self::Flooded(Some(retry_after)),
            // Another program, or another process than the one that was expected there.
            ClientError::Handshake(
                HandshakeError::Greeting(GreetingError::Magic)
                | HandshakeError::OtherInstance
                | HandshakeError::OwnInstance,
            )
            | ClientError::Reset
            | ClientError::Silent => Self::Unreachable(error.to_string()),
            ClientError::NoBudget => Self::NoBudget,
            ClientError::Slow => Self::Slow,
            _ => Self::Protocol(error.to_string()),
        }
    }
}

impl From<ConnectionError> for FetchError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Session(error) => error.into(),
            ConnectionError::Io(error) => Self::Unreachable(error.to_string()),
            ConnectionError::Stopped => Self::Stopped,
            // Only receiving stores anything, and it tells the two apart before it comes here.
            ConnectionError::Save(error) => Self::Protocol(error.to_string()),
        }
    }
}

impl From<ErrorCode> for FetchError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Gone => Self::Gone,
            ErrorCode::Expired => Self::Expired,
            ErrorCode::Busy { retry_after } => Self::Busy(Some(retry_after)),
            ErrorCode::Unknown => Self::Unknown,
            ErrorCode::Changed => Self::Changed,
            code => Self::Protocol(format!("the sender refused the request ({code})")),
        }
    }
}

/// Why a claimed drop is not here.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    /// The sender's doing: another try may help.
    Fetch(FetchError),
    /// The bytes could not be stored: another try does not help.
    Save(SaveError),
}

impl From<FetchError> for ReceiveError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<SaveError> for ReceiveError {
    fn from(error: SaveError) -> Self {
        Self::Save(error)
    }
}
