//! How far a connection to a sender came.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use deaddrop_core::exchange::ListEvent;
use deaddrop_core::session::{ClientError, HandshakeError};

use super::error::ConnectionError;
use super::probe::Listing;

/// An address of the link that is not resolved takes longer than this; a firewall that refuses takes less.
const UNRESOLVED_AFTER: Duration = Duration::from_secs(2);

/// How far a connection to a sender came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contact {
    /// Nobody on the link says that this address is its own, or there is no way there.
    Unreachable,
    /// Nothing came back.
    Unanswered,
    /// The connection was refused.
    Refused,
    /// This machine does not let the connection out.
    Barred,
    /// A connection, and then nothing that deaddrop says. The text says what.
    NoGreeting(String),
    /// It has no place for another connection.
    Busy,
    /// It greets; whether it is in a room was not tried.
    Greeted,
    /// It is in another room.
    OtherRoom,
    /// It answers, and large packets to it are lost.
    LargePacketsLost,
    /// The handshake came, and the list did not.
    Stalled,
    /// It is in the room.
    Member {
        /// How many drops it offers.
        offers: usize,
    },
    /// Anything else. The text says what.
    Failed(String),
}

impl Contact {
    /// Whether nothing is in the way there.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Member { .. } | Self::Greeted)
    }

    /// What the end of a browser's probe says.
    pub(crate) fn of(probed: &Result<Listing, ConnectionError>) -> Self {
        match probed {
            Ok(listing) => Self::Member { offers: offers(&listing.lines) },
            Err(ConnectionError::Io(error)) => Self::unconnected(error, Duration::ZERO),
            Err(error) => Self::ended(error),
        }
    }

    /// Why there is no connection, `after` so long.
    pub(crate) fn unconnected(error: &io::Error, after: Duration) -> Self {
        match error.kind() {
            ErrorKind::TimedOut => Self::Unanswered,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Self::Refused,
            ErrorKind::PermissionDenied => Self::Barred,
            ErrorKind::NetworkUnreachable => Self::Unreachable,
            // A firewall's message "prohibited" comes at once, and is the same error.
            ErrorKind::HostUnreachable if after < UNRESOLVED_AFTER => Self::Refused,
            ErrorKind::HostUnreachable => Self::Unreachable,
            _ => Self::Failed(error.to_string()),
        }
    }

    /// Why a connection ended.
    pub(crate) fn ended(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::Session(ClientError::NotMember) => Self::OtherRoom,
            ConnectionError::Session(
                ClientError::Busy
                | ClientError::NoBudget
                | ClientError::Handshake(HandshakeError::Busy { .. }),
            ) => Self::Busy,
            ConnectionError::Session(error @ (ClientError::Reset | ClientError::Silent)) => {
                Self::NoGreeting(error.to_string())
            }
            ConnectionError::Session(error) => Self::Failed(error.to_string()),
            ConnectionError::Io(error) => Self::NoGreeting(error.to_string()),
            ConnectionError::Stopped => Self::Failed("stopped".into()),
            ConnectionError::Save(error) => Self::Failed(error.to_string()),
        }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("is not there: nobody answers at that address on this network"),
            Self::Unanswered => f.write_str("does not answer on TCP"),
            Self::Refused => f.write_str("refuses the connection"),
            Self::Barred => f.write_str("is not reached: this machine does not let the connection out"),
            Self::NoGreeting(why) => write!(f, "takes the connection and does not greet ({why})"),
            Self::Busy => f.write_str("has no place for another connection"),
            Self::Greeted => f.write_str("greets; no room was given to try"),
            Self::OtherRoom => f.write_str("is in another room"),
            Self::LargePacketsLost => f.write_str("answers, and large packets do not reach it"),
            Self::Stalled => f.write_str("shakes hands and then falls silent"),
            Self::Member { offers: 0 } => f.write_str("is in the room, and offers nothing now"),
            Self::Member { offers: 1 } => f.write_str("is in the room, and offers a drop"),
            Self::Member { offers } => write!(f, "is in the room, and offers {offers} drops"),
            Self::Failed(why) => write!(f, "cannot be understood: {why}"),
        }
    }
}

/// How many drops these lines offer.
pub(crate) fn offers(lines: &[ListEvent]) -> usize {
    lines.iter().filter(|line| matches!(line, ListEvent::Offer(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewalls_refusal_is_told_from_an_address_that_nobody_has() {
        let after =
            |kind: ErrorKind, seconds| Contact::unconnected(&kind.into(), Duration::from_secs(seconds));
        assert_eq!(after(ErrorKind::HostUnreachable, 0), Contact::Refused);
        assert_eq!(after(ErrorKind::HostUnreachable, 3), Contact::Unreachable);
        assert_eq!(after(ErrorKind::NetworkUnreachable, 0), Contact::Unreachable);
        assert_eq!(after(ErrorKind::TimedOut, 4), Contact::Unanswered);
        assert_eq!(after(ErrorKind::ConnectionRefused, 0), Contact::Refused);
        assert_eq!(after(ErrorKind::PermissionDenied, 0), Contact::Barred);
    }
}
