//! The error codes of the answer `error` (protocol.md, section 6).

use core::fmt;
use core::time::Duration;

use super::cbor::Fields;
use super::{ControlError, retry};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorCode {
    /// The drop was fetched or withdrawn, or this fetch id has committed.
    Gone,
    /// The drop's TTL passed.
    Expired,
    /// Another receiver has claimed the drop.
    Busy {
        /// A fetch may be free after this. On the wire in whole milliseconds, rounded up, from 1 to
        /// `u32::MAX`.
        retry_after: Duration,
    },
    /// There is no such drop, or no such claim on this connection.
    Unknown,
    /// The drop's source changed, so it cannot be sent.
    Changed,
    /// The request breaks the protocol.
    Malformed,
    /// The request is of a type the server does not know.
    Unsupported,
    /// An error of a later version. Encoding a code of this version as `Other` is rejected.
    Other(u64),
}

impl ErrorCode {
    /// Its code on the wire.
    pub const fn code(self) -> u64 {
        match self {
            Self::Gone => 1,
            Self::Expired => 2,
            Self::Busy { .. } => 3,
            Self::Unknown => 4,
            Self::Changed => 5,
            Self::Malformed => 6,
            Self::Unsupported => 7,
            Self::Other(code) => code,
        }
    }

    /// Its retry-after in milliseconds.
    pub(super) fn retry_after(self) -> Option<u32> {
        match self {
            Self::Busy { retry_after } => Some(retry::to_wire(retry_after, u32::MAX)),
            _ => None,
        }
    }

    /// Whether it is not a code of this version wrapped in [`Other`](Self::Other).
    pub(super) const fn is_canonical(self) -> bool {
        !matches!(self, Self::Other(1..=7))
    }

    /// Decodes the fields of an error.
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, ControlError> {
        let code = fields.need(1)?.uint()?;
        let retry_after = if fields.find(2)? { Some(fields.uint()?) } else { None };
        match (code, retry_after) {
            (3, Some(ms)) if (1..=u64::from(u32::MAX)).contains(&ms) => {
                Ok(Self::Busy { retry_after: Duration::from_millis(ms) })
            }
            (3, None) | (_, Some(_)) => Err(ControlError::Range("retry-after")),
            (1, None) => Ok(Self::Gone),
            (2, None) => Ok(Self::Expired),
            (4, None) => Ok(Self::Unknown),
            (5, None) => Ok(Self::Changed),
            (6, None) => Ok(Self::Malformed),
            (7, None) => Ok(Self::Unsupported),
            (other, None) => Ok(Self::Other(other)),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::Busy { .. } => "busy",
            Self::Unknown => "unknown",
            Self::Changed => "changed",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Other(code) => return write!(f, "error {code} of a later version"),
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::super::Answer;
    use super::*;

    fn emit(answer: &Answer) -> Result<Vec<u8>, ControlError> {
        let mut out = [0; 16];
        answer.emit(&mut out).map(|n| out[..n].to_vec())
    }

    #[test]
    fn retry_after_comes_with_busy_and_with_nothing_else() {
        let range = Err(ControlError::Range("retry-after"));
        assert_eq!(Answer::parse(b"\xa2\x00\x16\x01\x03"), range, "busy without it");
        for code in (0..=23).filter(|code| *code != 3) {
            assert_eq!(Answer::parse(&[0xa3, 0x00, 0x16, 0x01, code, 0x02, 0x01]), range, "{code}");
        }
        assert_eq!(Answer::parse(b"\xa3\x00\x16\x01\x03\x02\x00"), range, "zero");
        let over = b"\xa3\x00\x16\x01\x03\x02\x1b\x00\x00\x00\x01\x00\x00\x00\x00";
        assert_eq!(Answer::parse(over), range, "over 32 bits");

        let busy = |retry_after| Answer::Error(ErrorCode::Busy { retry_after });
        let through = |after| emit(&busy(after)).and_then(|bytes| Answer::parse(&bytes));
        assert_eq!(through(Duration::ZERO), Ok(busy(Duration::from_millis(1))));
        assert_eq!(through(Duration::from_micros(1_001)), Ok(busy(Duration::from_millis(2))));
        assert_eq!(through(Duration::MAX), Ok(busy(Duration::from_millis(u32::MAX.into()))));
    }

    #[test]
    fn a_known_error_is_not_written_as_an_unknown_one() {
        for code in 0..=20 {
            let expected =
                if (1..=7).contains(&code) { Err(ControlError::Range("error code")) } else { Ok(()) };
            assert_eq!(emit(&Answer::Error(ErrorCode::Other(code))).map(|_| ()), expected);
        }
    }
}
