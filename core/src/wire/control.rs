//! Errors of encoding and decoding control messages.

use core::fmt;

/// Why a control message could not be decoded or encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// Not the deterministic CBOR of a message: a wrong type, a missing key, a key out of order, an encoding
    /// that is not the shortest, trailing bytes, or too many unknown keys.
    Malformed,
    /// A message type that is unknown in this version or in this direction.
    UnknownType(u64),
    /// The named field is out of range.
    Range(&'static str),
    /// The buffer is too short for the message.
    Space,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("a malformed message"),
            Self::UnknownType(n) => write!(f, "a message of unknown type {n}"),
            Self::Range(field) => write!(f, "a message whose {field} is out of range"),
            Self::Space => f.write_str("the buffer is shorter than CONTROL_PAYLOAD bytes"),
        }
    }
}

impl core::error::Error for ControlError {}
