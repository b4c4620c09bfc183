//! Answers: control messages from server to client (protocol.md, section 6).

use core::time::Duration;

use super::cbor::{Fields, Writer};
use super::{ControlError, ErrorCode};
use crate::limits::{FETCHES_MAX, RECORD_MAX, RECORD_MIN, TTL_MAX};
use crate::offer::{EndReason, Kind, Name, Offer};
use crate::token::Token;

const OFFER: u64 = 16;
const ENDING: u64 = 17;
const FILLER: u64 = 18;
const END: u64 = 19;
pub(super) const BEGIN: u64 = 20;
const BURNED: u64 = 21;
const ERROR: u64 = 22;

/// A drop that has ended recently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The drop.
    pub token: Token,
    /// Why it ended.
    pub reason: EndReason,
}

/// `begin`: the drop is claimed, and its data records follow (protocol.md, section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// Offset of the first data byte: below `size`, or both are 0.
    pub offset: u64,
    /// The size R of its data records: a power of two from [`RECORD_MIN`] to [`RECORD_MAX`].
    pub record: u32,
}

/// An answer, or one record of an answer of several records (protocol.md, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `list`: a drop that can be fetched.
    Offer(Offer),
    /// To `list`: a drop that has ended.
    Ending(Ending),
    /// To `list`: padding, so that all lists have the same length.
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
    /// To `commit`: this fetch is burned.
    Burned,
    /// To any request: the error for which it failed.
    Error(ErrorCode),
}

impl Answer {
    /// Encodes the message into `out` and returns its length;
    /// [`CONTROL_PAYLOAD`](crate::limits::CONTROL_PAYLOAD) bytes are always enough.
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
                let code = ending.reason.code().ok_or(ControlError::Range("reason"))?;
                let mut w = Writer::begin(out, ENDING, 2)?;
                Ok(w.bytes(1, ending.token.as_bytes())?.uint(2, code.into())?.len())
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
            Self::Error(code) => {
                let retry_after = code.retry_after();
                let mut w = Writer::begin(out, ERROR, 1 + u64::from(retry_after.is_some()))?;
                w.uint(1, code.code())?;
                if let Some(ms) = retry_after {
                    w.uint(2, ms.into())?;
                }
                Ok(w.len())
            }
        }
    }

    /// Decodes an answer.
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
                let reason = EndReason::from_code(code).ok_or(ControlError::Range("reason"))?;
                Self::Ending(Ending { token, reason })
            }
            FILLER => Self::Filler,
            END => {
                Self::End { revision: narrow(fields.need(1)?, "revision")?, more: fields.need(2)?.bool()? }
            }
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

    /// Checks the rules that hold both for encoding and for decoding.
    fn check(&self) -> Result<(), ControlError> {
        let broken = match self {
            Self::Offer(offer) if offer.ttl_left > TTL_MAX => "TTL",
            Self::Offer(offer) if !(1..=FETCHES_MAX).contains(&usize::from(offer.fetches_left)) => {
                "number of fetches"
            }
            Self::Begin(begin) if begin.offset >= begin.size && (begin.offset, begin.size) != (0, 0) => {
                "offset"
            }
            Self::Begin(begin)
                if !(RECORD_MIN..=RECORD_MAX).contains(&begin.record) || !begin.record.is_power_of_two() =>
            {
                "record size"
            }
            Self::Error(code) if !code.is_canonical() => "error code",
            _ => return Ok(()),
        };
        Err(ControlError::Range(broken))
    }
}

/// Decodes an unsigned integer into a narrower type, with a range check.
fn narrow<T: TryFrom<u64>>(fields: &mut Fields<'_>, name: &'static str) -> Result<T, ControlError> {
    T::try_from(fields.uint()?).map_err(|_| ControlError::Range(name))
}

fn parse_kind(fields: &mut Fields<'_>) -> Result<Kind, ControlError> {
    Kind::from_code(narrow(fields, "kind")?).ok_or(ControlError::Range("kind"))
}

fn parse_name(fields: &mut Fields<'_>) -> Result<Name, ControlError> {
    Name::new(fields.text()?).map_err(|_| ControlError::Range("name"))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::limits::CONTROL_PAYLOAD;

    const TOKEN: Token = Token::from_bytes([b'T'; 16]);

    fn offer() -> Offer {
        Offer {
            token: TOKEN,
            kind: Kind::File,
            name: Name::new("a.txt").unwrap(),
            size: 1_000_000,
            ttl_left: Duration::from_secs(60),
            fetches_left: 1,
        }
    }

    fn begin() -> Begin {
        let name = Name::new("é").unwrap();
        Begin { kind: Kind::Directory, name, size: 0x1_0000_0000, offset: 24, record: 1_024 }
    }

    fn emit(answer: &Answer) -> Result<Vec<u8>, ControlError> {
        let mut out = [0; CONTROL_PAYLOAD];
        answer.emit(&mut out).map(|n| out[..n].to_vec())
    }

    #[test]
    fn known_answers() {
        let ending = |reason| Answer::Ending(Ending { token: TOKEN, reason });
        let error = Answer::Error;
        let busy = ErrorCode::Busy { retry_after: Duration::from_millis(1_500) };
        let known: [(Answer, &[u8]); 18] = [
            (
                Answer::Offer(offer()),
                b"\xa7\x00\x10\x01\x50TTTTTTTTTTTTTTTT\x02\x01\x03\x65a.txt\x04\x1a\x00\x0f\x42\x40\
                \x05\x19\xea\x60\x06\x01",
            ),
            (ending(EndReason::Fetched), b"\xa3\x00\x11\x01\x50TTTTTTTTTTTTTTTT\x02\x00"),
            (ending(EndReason::Expired), b"\xa3\x00\x11\x01\x50TTTTTTTTTTTTTTTT\x02\x01"),
            (ending(EndReason::Withdrawn), b"\xa3\x00\x11\x01\x50TTTTTTTTTTTTTTTT\x02\x02"),
            (Answer::Filler, b"\xa1\x00\x12"),
            (Answer::End { revision: 7, more: false }, b"\xa3\x00\x13\x01\x07\x02\xf4"),
            (
                Answer::End { revision: 0xdead_beef, more: true },
                b"\xa3\x00\x13\x01\x1a\xde\xad\xbe\xef\x02\xf5",
            ),
            (
                Answer::Begin(begin()),
                b"\xa6\x00\x14\x01\x02\x02\x62\xc3\xa9\x03\x1b\x00\x00\x00\x01\x00\x00\x00\x00\
                \x04\x18\x18\x05\x19\x04\x00",
            ),
            (Answer::Burned, b"\xa1\x00\x15"),
            (error(ErrorCode::Gone), b"\xa2\x00\x16\x01\x01"),
            (error(ErrorCode::Expired), b"\xa2\x00\x16\x01\x02"),
            (error(busy), b"\xa3\x00\x16\x01\x03\x02\x19\x05\xdc"),
            (error(ErrorCode::Unknown), b"\xa2\x00\x16\x01\x04"),
            (error(ErrorCode::Changed), b"\xa2\x00\x16\x01\x05"),
            (error(ErrorCode::Malformed), b"\xa2\x00\x16\x01\x06"),
            (error(ErrorCode::Unsupported), b"\xa2\x00\x16\x01\x07"),
            (error(ErrorCode::Other(0)), b"\xa2\x00\x16\x01\x00"),
            (error(ErrorCode::Other(300)), b"\xa2\x00\x16\x01\x19\x01\x2c"),
        ];
        for (answer, bytes) in known {
            assert_eq!(emit(&answer).as_deref(), Ok(bytes), "{answer:?}");
            assert_eq!(Answer::parse(bytes), Ok(answer));
        }
    }

    #[test]
    fn the_largest_messages_fit_a_control_record() {
        let name = Name::new(&"n".repeat(255)).unwrap();
        let largest = Offer {
            name: name.clone(),
            size: u64::MAX,
            ttl_left: TTL_MAX,
            fetches_left: 64,
            kind: Kind::Directory,
            ..offer()
        };
        let bytes = emit(&Answer::Offer(largest.clone())).unwrap();
        assert_eq!(Answer::parse(&bytes), Ok(Answer::Offer(largest)));

        let largest =
            Begin { name, size: u64::MAX, offset: u64::MAX - 1, record: RECORD_MAX, kind: Kind::Directory };
        let bytes = emit(&Answer::Begin(largest.clone())).unwrap();
        assert_eq!(Answer::parse(&bytes), Ok(Answer::Begin(largest)));
    }

    /// Decodes `answer` with its bytes `from` replaced.
    fn altered(answer: &Answer, from: &[u8], to: &[u8]) -> Result<Answer, ControlError> {
        let bytes = emit(answer).unwrap();
        let at = bytes.windows(from.len()).rposition(|w| w == from).unwrap();
        Answer::parse(&[&bytes[..at], to, &bytes[at + from.len()..]].concat())
    }

    #[test]
    fn an_offer_keeps_its_rules_both_ways() {
        let emitted = |change: fn(&mut Offer)| {
            let mut offer = offer();
            change(&mut offer);
            emit(&Answer::Offer(offer)).map(|_| ())
        };
        let range = |field| Err(ControlError::Range(field));
        assert_eq!(emitted(|o| o.ttl_left = TTL_MAX), Ok(()));
        assert_eq!(emitted(|o| o.ttl_left = TTL_MAX + Duration::from_nanos(1)), range("TTL"));
        assert_eq!(emitted(|o| o.ttl_left = Duration::MAX), range("TTL"));
        assert_eq!(emitted(|o| o.fetches_left = 64), Ok(()));
        for n in [0, 65, 255] {
            let mut offer = offer();
            offer.fetches_left = n;
            assert_eq!(emit(&Answer::Offer(offer)).map(|_| ()), range("number of fetches"));
        }

        let parsed = |from, to| altered(&Answer::Offer(offer()), from, to).map(|_| ());
        let ttl = b"\x05\x19\xea\x60";
        assert_eq!(parsed(ttl, b"\x05\x1a\x24\x0c\x84\x00"), Ok(()), "seven days");
        assert_eq!(parsed(ttl, b"\x05\x1a\x24\x0c\x84\x01"), range("TTL"));
        assert_eq!(parsed(ttl, b"\x05\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), range("TTL"));
        assert_eq!(parsed(b"\x06\x01", b"\x06\x00"), range("number of fetches"));
        assert_eq!(parsed(b"\x06\x01", b"\x06\x18\x41"), range("number of fetches"));
        assert_eq!(parsed(b"\x06\x01", b"\x06\x19\x01\x01"), range("number of fetches"));
        assert_eq!(parsed(b"\x02\x01", b"\x02\x03"), range("kind"));
        assert_eq!(parsed(b"\x02\x01", b"\x02\x19\x01\x01"), range("kind"));
        assert_eq!(parsed(b"\x65a.txt", b"\x63a/b"), range("name"));
        assert_eq!(parsed(b"\x65a.txt", b"\x63a\0b"), range("name"));
        let long = [&b"\x79\x01\x00"[..], &[b'n'; 256]].concat();
        assert_eq!(parsed(b"\x65a.txt", &long), range("name"));
        assert_eq!(parsed(b"\x65a.txt", b"\x61\xff"), Err(ControlError::Malformed), "not UTF-8");
        assert_eq!(parsed(b"\x65a.txt", b"\x45a.txt"), Err(ControlError::Malformed), "bytes, not text");
        assert_eq!(
            parsed(b"\x65a.txt", b"\x78\x05a.txt"),
            Err(ControlError::Malformed),
            "a head that is not the shortest"
        );
    }

    #[test]
    fn an_ending_and_an_end_keep_their_ranges() {
        let ending = Answer::Ending(Ending { token: TOKEN, reason: EndReason::Fetched });
        assert_eq!(altered(&ending, b"\x02\x00", b"\x02\x03"), Err(ControlError::Range("reason")));
        let end = Answer::End { revision: 7, more: true };
        let wide = b"\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00";
        assert_eq!(altered(&end, b"\x01\x07", wide), Err(ControlError::Range("revision")));
        assert_eq!(altered(&end, b"\x02\xf5", b"\x02\x01"), Err(ControlError::Malformed));
        assert_eq!(altered(&end, b"\x02\xf5", b"\x02\xf8\x15"), Err(ControlError::Malformed));
    }

    #[test]
    fn a_begin_keeps_its_rules_both_ways() {
        let check = |size, offset, record| {
            let answer = Answer::Begin(Begin { size, offset, record, ..begin() });
            let emitted = emit(&answer).map(|_| ());
            // The same values, encoded without the checks.
            let mut out = [0; CONTROL_PAYLOAD];
            let mut w = Writer::begin(&mut out, BEGIN, 5).unwrap();
            w.uint(1, 2).unwrap().text(2, "é").unwrap();
            let n = w.uint(3, size).unwrap().uint(4, offset).unwrap().uint(5, record.into()).unwrap().len();
            assert_eq!(Answer::parse(&out[..n]), emitted.map(|()| answer));
            emitted
        };
        let range = |field| Err(ControlError::Range(field));
        assert_eq!(check(0, 0, 512), Ok(()), "an empty drop");
        assert_eq!(check(1, 0, 512), Ok(()));
        assert_eq!(check(2, 1, 512), Ok(()));
        assert_eq!(check(1, 1, 512), range("offset"));
        assert_eq!(check(0, 1, 512), range("offset"));
        assert_eq!(check(u64::MAX, u64::MAX, 512), range("offset"));
        for record in 0..=RECORD_MAX * 2 {
            let legal = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536].contains(&record);
            assert_eq!(check(1, 0, record), if legal { Ok(()) } else { range("record size") });
        }
    }

    #[test]
    fn unknown_types_are_reported_by_their_number() {
        for n in (0..=255_u8).filter(|n| !(16..=22).contains(n)) {
            let bytes: &[u8] = if n < 24 { &[0xa1, 0x00, n] } else { &[0xa1, 0x00, 0x18, n] };
            assert_eq!(Answer::parse(bytes), Err(ControlError::UnknownType(n.into())));
        }
    }
}
