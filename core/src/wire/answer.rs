//! What a server answers, inside control records.

use core::fmt;
use core::time::Duration;

use super::cbor::{Fields, Writer};
use super::{ControlError, retry};
use crate::limits::{FETCHES_MAX, RECORD_MAX, RECORD_MIN, TTL_MAX};
use crate::offer::{Kind, Name, Offer, Reason};
use crate::token::Token;

const OFFER: u64 = 16;
const ENDING: u64 = 17;
const FILLER: u64 = 18;
const END: u64 = 19;
const BEGIN: u64 = 20;
const BURNED: u64 = 21;
const ERROR: u64 = 22;

/// A drop that was there until not long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Which drop.
    pub token: Token,
    /// Why it is gone.
    pub reason: Reason,
}

/// The drop was claimed; its data records follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// What it holds.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// Where the data starts: before `size`, or both are 0.
    pub offset: u64,
    /// The size R of its data records: a power of two from [`RECORD_MIN`] to [`RECORD_MAX`].
    pub record: u32,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The drop was fetched or taken back, or this fetch id has had it.
    Gone,
    /// The drop's TTL passed.
    Expired,
    /// Another receiver has claimed the drop.
    Busy {
        /// It may be free again after this long. On the wire whole milliseconds, rounded up, from 1
        /// to `u32::MAX`.
        retry_after: Duration,
    },
    /// There is no such drop here.
    Unknown,
    /// The drop's source changed, so that it cannot be sent whole.
    Changed,
    /// The request was not a legal message.
    Malformed,
    /// The request is of a type the server does not know.
    Unsupported,
    /// An error of a later version. Writing one of this version's numbers this way is refused.
    Other(u64),
}

impl ErrorCode {
    /// The number that stands for it on the wire.
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

    fn parse(fields: &mut Fields<'_>) -> Result<Self, ControlError> {
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

/// An answer, or one record of an answer that has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `list`: a drop that can be fetched.
    Offer(Offer),
    /// To `list`: a drop that is gone.
    Ending(Ending),
    /// To `list`: nothing, so that all lists are equally long.
    Filler,
    /// To `list`: its last record.
    End {
        /// The revision of the server's set of drops.
        revision: u32,
        /// Whether there are drops after those listed.
        more: bool,
    },
    /// To `fetch`: data records follow.
    Begin(Begin),
    /// To `commit`: the drop is gone for good.
    Burned,
    /// To any request: it was refused.
    Error(ErrorCode),
}

impl Answer {
    /// Writes the message to `out` and says how many bytes it took:
    /// [`CONTROL_PAYLOAD`](crate::limits::CONTROL_PAYLOAD) is always enough.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, ControlError> {
        self.check()?;
        match self {
            Self::Offer(offer) => {
                let ttl_left = u64::try_from(offer.ttl_left.as_millis()).unwrap_or(u64::MAX);
                let mut w = Writer::begin(out, OFFER, 6)?;
                w.bytes(1, offer.token.as_bytes())?.uint(2, offer.kind.code().into())?;
                w.text(3, offer.name.as_str())?.uint(4, offer.size)?;
                Ok(w.uint(5, ttl_left)?.uint(6, offer.fetches_left.into())?.len())
            }
            Self::Ending(ending) => {
                let mut w = Writer::begin(out, ENDING, 2)?;
                Ok(w.bytes(1, ending.token.as_bytes())?.uint(2, ending.reason.code().into())?.len())
            }
            Self::Filler => Ok(Writer::begin(out, FILLER, 0)?.len()),
            Self::End { revision, more } => {
                Ok(Writer::begin(out, END, 2)?.uint(1, (*revision).into())?.bool(2, *more)?.len())
            }
            Self::Begin(begin) => {
                let mut w = Writer::begin(out, BEGIN, 5)?;
                w.uint(1, begin.kind.code().into())?.text(2, begin.name.as_str())?;
                Ok(w.uint(3, begin.size)?.uint(4, begin.offset)?.uint(5, begin.record.into())?.len())
            }
            Self::Burned => Ok(Writer::begin(out, BURNED, 0)?.len()),
            Self::Error(ErrorCode::Busy { retry_after }) => {
                let ms = retry::to_wire(*retry_after, u32::MAX);
                let mut w = Writer::begin(out, ERROR, 2)?;
                Ok(w.uint(1, ErrorCode::Busy { retry_after: *retry_after }.code())?.uint(2, ms.into())?.len())
            }
            Self::Error(code) => Ok(Writer::begin(out, ERROR, 1)?.uint(1, code.code())?.len()),
        }
    }

    /// The answer these bytes hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let (mut fields, kind) = Fields::open(bytes)?;
        let answer = match kind {
            OFFER => Self::Offer(Offer {
                token: Token::from_bytes(fields.need(1)?.array()?),
                kind: parse_kind(fields.need(2)?)?,
                name: parse_name(fields.need(3)?)?,
                size: fields.need(4)?.uint()?,
                ttl_left: Duration::from_millis(fields.need(5)?.uint()?),
                fetches_left: narrow(fields.need(6)?, "number of fetches")?,
            }),
            ENDING => {
                let token = Token::from_bytes(fields.need(1)?.array()?);
                let code = narrow(fields.need(2)?, "reason")?;
                let reason = Reason::from_code(code).ok_or(ControlError::Range("reason"))?;
                Self::Ending(Ending { token, reason })
            }
            FILLER => Self::Filler,
            END => Self::End { revision: narrow(fields.need(1)?, "revision")?, more: fields.need(2)?.bool()? },
            BEGIN => Self::Begin(Begin {
                kind: parse_kind(fields.need(1)?)?,
                name: parse_name(fields.need(2)?)?,
                size: fields.need(3)?.uint()?,
                offset: fields.need(4)?.uint()?,
                record: narrow(fields.need(5)?, "record size")?,
            }),
            BURNED => Self::Burned,
            ERROR => Self::Error(ErrorCode::parse(&mut fields)?),
            other => return Err(ControlError::UnknownType(other)),
        };
        fields.finish()?;
        answer.check()?;
        Ok(answer)
    }

    /// The rules that a value must keep both to be written and to be read.
    fn check(&self) -> Result<(), ControlError> {
        let broken = match self {
            Self::Offer(offer) if offer.ttl_left > TTL_MAX => "TTL",
            Self::Offer(offer) if !(1..=FETCHES_MAX).contains(&usize::from(offer.fetches_left)) => {
                "number of fetches"
            }
            Self::Begin(begin) if begin.offset >= begin.size && (begin.offset, begin.size) != (0, 0) => "offset",
            Self::Begin(begin)
                if !(RECORD_MIN..=RECORD_MAX).contains(&begin.record) || !begin.record.is_power_of_two() =>
            {
                "record size"
            }
            Self::Error(ErrorCode::Other(1..=7)) => "error code",
            _ => return Ok(()),
        };
        Err(ControlError::Range(broken))
    }
}

/// Reads an unsigned integer into a type that may be too narrow for it.
fn narrow<T: TryFrom<u64>>(fields: &mut Fields<'_>, name: &'static str) -> Result<T, ControlError> {
    T::try_from(fields.uint()?).map_err(|_| ControlError::Range(name))
}

fn parse_kind(fields: &mut Fields<'_>) -> Result<Kind, ControlError> {
    Kind::from_code(narrow(fields, "kind")?).ok_or(ControlError::Range("kind"))
}

fn parse_name(fields: &mut Fields<'_>) -> Result<Name, ControlError> {
    Name::new(fields.text()?).map_err(|_| ControlError::Range("name"))
}
