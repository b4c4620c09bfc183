//! Why a control message, be it a request or an answer, cannot be read or written.

use core::fmt;

/// Why a control message could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// Not the deterministic CBOR of a message: a wrong type, a missing key, a key out of order, a
    /// second spelling of a value, trailing bytes, or too many unknown keys.
    Malformed,
    /// A message type that this version does not know, or that does not go in this direction.
    UnknownType(u64),
    /// A field, named here, holds what it may not.
    Range(&'static str),
    /// The buffer lent for the message is too short for it.
    Space,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("a malformed message: the peer is broken or of another version"),
            Self::UnknownType(n) => write!(f, "a message of unknown type {n}: update the older side"),
            Self::Range(field) => write!(f, "a message whose {field} is out of range: update the older side"),
            Self::Space => f.write_str("the buffer is too short for the message: lend CONTROL_PAYLOAD bytes"),
        }
    }
}

impl core::error::Error for ControlError {}
