//! Everything that can go wrong, by area.

use std::fmt;
use std::io;

use deaddrop_core::derive::PassphraseError;
use deaddrop_core::drops::PutError;

use crate::fetch::error::{FetchError, ReceiveError};
use crate::files::save::{Kept, SaveError};
use crate::files::source::SourceError;
use crate::lan::interfaces::InterfaceError;
use crate::serve::listen::PortError;

/// Why a call did not do what it was asked to.
///
/// Its text states what happened and to what, for a log or a developer. It may contain words that a peer chose, so
/// control characters have to be escaped before it goes to a terminal: [`text`](deaddrop_core::text).
///
/// ```
/// use deaddrop::{Error, Sender, SourceError};
///
/// match Sender::file("/no/such/file") {
///     Err(Error::Source(SourceError::NotFound { path })) => assert_eq!(path.to_str(), Some("/no/such/file")),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is no passphrase.
    Passphrase(PassphraseError),
    /// The file or message cannot be sent.
    Source(SourceError),
    /// The drop's TTL or its number of fetches is out of range.
    Offer(PutError),
    /// No TCP port can be had to serve on.
    Port(PortError),
    /// A network interface that was named is not there, or the beacon sockets cannot be used.
    Interface(InterfaceError),
    /// A sender gave nothing.
    Fetch(FetchError),
    /// A received drop could not be saved.
    Save(SaveError),
    /// The system refuses to wait for sockets.
    Wait(io::Error),
    /// A [`Stopper`](crate::Stopper) was used.
    Stopped,
    /// A claimed drop is not where it was to go, and what is here of it is kept for a later fetch, which
    /// [`Receiver::resume`](crate::Receiver::resume) makes.
    Kept {
        /// What is kept.
        kept: Kept,
        /// Why the drop is not where it was to go.
        error: Box<Self>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(error) => error.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::Offer(error) => error.fmt(f),
            Self::Port(error) => error.fmt(f),
            Self::Interface(error) => error.fmt(f),
            Self::Fetch(error) => error.fmt(f),
            Self::Save(error) => error.fmt(f),
            Self::Wait(error) => write!(f, "the system does not let us wait for the network: {error}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Kept { kept, error } => {
                write!(
                    f,
                    "{error}; {} of {} bytes are kept in {}",
                    kept.stored,
                    kept.size,
                    kept.path.display()
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Passphrase(error) => error,
            Self::Source(error) => error,
            Self::Offer(error) => error,
            Self::Port(error) => error,
            Self::Interface(error) => error,
            Self::Fetch(error) => error,
            Self::Save(error) => error,
            Self::Wait(error) => error,
            Self::Stopped => return None,
            Self::Kept { error, .. } => error,
        })
    }
}

impl From<PassphraseError> for Error {
    fn from(error: PassphraseError) -> Self {
        Self::Passphrase(error)
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        Self::Offer(error)
    }
}

impl From<PortError> for Error {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl From<InterfaceError> for Error {
    fn from(error: InterfaceError) -> Self {
        Self::Interface(error)
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        if error == FetchError::Stopped { Self::Stopped } else { Self::Fetch(error) }
    }
}

impl From<SaveError> for Error {
    fn from(error: SaveError) -> Self {
        Self::Save(error)
    }
}

impl From<ReceiveError> for Error {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Fetch(error) => error.into(),
            ReceiveError::Save(error) => error.into(),
        }
    }
}
