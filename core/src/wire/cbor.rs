//! The common form of all control messages (protocol.md, section 6): a CBOR map with unsigned keys in the
//! deterministic encoding of RFC 8949, section 4.2.1. Key 0 is the message type.
//!
//! The codec is `minicbor`. It accepts more than the deterministic encoding, so every value is rejected whose
//! length differs from that of its shortest encoding.

use minicbor::data::Type;
use minicbor::encode::write::{Cursor, EndOfSlice};
use minicbor::{Decoder, Encoder, decode, encode};

use super::ControlError;
use crate::limits::{UNKNOWN_DEPTH_MAX, UNKNOWN_KEYS_MAX};

/// The key of the message type.
const TYPE: u64 = 0;

/// Length of the shortest head for `argument`: the only legal one.
const fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Decodes the fields of one message. Keys ascend, and the known keys of a message have no gaps. So the
/// caller asks for known keys in ascending order, and all that follow are unknown.
pub(super) struct Fields<'b> {
    decoder: Decoder<'b>,
    /// Map entries whose key has not been read.
    left: u64,
    /// Lookahead: a key that was read and not yet asked for.
    pending: Option<u64>,
    /// The last key that was read.
    last: Option<u64>,
}

impl<'b> Fields<'b> {
    /// Opens a message: its fields, and its type.
    pub(super) fn open(bytes: &'b [u8]) -> Result<(Self, u64), ControlError> {
        let mut decoder = Decoder::new(bytes);
        let left = decoder.map()?.ok_or(ControlError::Malformed)?;
        if decoder.position() != head_len(left) {
            return Err(ControlError::Malformed);
        }
        let mut fields = Self { decoder, left, pending: None, last: None };
        let kind = fields.need(TYPE)?.uint()?;
        Ok((fields, kind))
    }

    /// Whether the message has `key`; if so, its value comes next.
    pub(super) fn find(&mut self, key: u64) -> Result<bool, ControlError> {
        let found = self.peek()? == Some(key);
        if found {
            self.pending = None;
        }
        Ok(found)
    }

    /// Advances to a mandatory key.
    pub(super) fn need(&mut self, key: u64) -> Result<&mut Self, ControlError> {
        if self.find(key)? { Ok(self) } else { Err(ControlError::Malformed) }
    }

    /// The fields of the map that comes next. Nothing behind it can be read any more.
    pub(super) fn into_map(mut self) -> Result<Self, ControlError> {
        let left = self.shortest(Decoder::map, container_len)?.unwrap_or(0);
        Ok(Self { left, pending: None, last: None, ..self })
    }

    /// Skips unknown keys, whose values have at most `depth` levels.
    pub(super) fn skip_unknown(&mut self, depth: u8) -> Result<(), ControlError> {
        let mut unknown = 0;
        while self.peek()?.is_some() {
            unknown += 1;
            if unknown > UNKNOWN_KEYS_MAX {
                return Err(ControlError::Malformed);
            }
            self.pending = None;
            self.skip(depth)?;
        }
        Ok(())
    }

    /// Ends the message: skips unknown keys and rejects trailing bytes.
    pub(super) fn finish(mut self) -> Result<(), ControlError> {
        self.skip_unknown(UNKNOWN_DEPTH_MAX)?;
        if self.decoder.position() == self.decoder.input().len() {
            Ok(())
        } else {
            Err(ControlError::Malformed)
        }
    }

    /// Reads the next key.
    fn peek(&mut self) -> Result<Option<u64>, ControlError> {
        if self.pending.is_none() && self.left > 0 {
            self.left -= 1;
            let key = self.uint()?;
            if self.last.is_some_and(|last| last >= key) {
                return Err(ControlError::Malformed);
            }
            self.last = Some(key);
            self.pending = Some(key);
        }
        Ok(self.pending)
    }

    /// Skips one well-formed value of definite lengths and shortest heads, with at most `depth`
    /// levels of arrays, maps and tags. `Decoder::skip` bounds neither.
    ///
    /// The order of keys in an unknown map, and whether a float has its shortest form, are left to
    /// the version that knows the key.
    fn skip(&mut self, depth: u8) -> Result<(), ControlError> {
        let children = match self.decoder.datatype()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => return self.uint().map(|_| ()),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                let int = self.shortest(Decoder::int, |int| {
                    // The head of a negative number n carries -1 - n.
                    u64::try_from(-1 - i128::from(*int)).map_or(0, head_len)
                });
                return int.map(|_| ());
            }
            Type::Bytes => return self.bytes().map(|_| ()),
            Type::String => return self.text().map(|_| ()),
            Type::Bool | Type::Null | Type::Undefined => return self.advance(1),
            Type::Simple => {
                // Simple values 24 to 31 have no legal encoding.
                let len = |simple: &u8| match simple {
                    0..=23 => 1,
                    24..=31 => 0,
                    32.. => 2,
                };
                return self.shortest(Decoder::simple, len).map(|_| ());
            }
            Type::F16 => return self.advance(3),
            Type::F32 => return self.advance(5),
            Type::F64 => return self.advance(9),
            Type::Array => self.shortest(Decoder::array, container_len)?.unwrap_or(0),
            Type::Map => {
                let pairs = self.shortest(Decoder::map, container_len)?.unwrap_or(0);
                // A count that overflows exceeds the number of bytes of any message.
                pairs.checked_mul(2).ok_or(ControlError::Malformed)?
            }
            Type::Tag => {
                self.shortest(Decoder::tag, |tag| head_len(tag.as_u64()))?;
                1
            }
            _ => return Err(ControlError::Malformed),
        };
        let depth = depth.checked_sub(1).ok_or(ControlError::Malformed)?;
        // Each round consumes a byte or fails, so a count beyond the message ends early.
        (0..children).try_for_each(|_| self.skip(depth))
    }

    /// Advances by `n` bytes. A position past the end fails at the next read or at the end of the message.
    fn advance(&mut self, n: usize) -> Result<(), ControlError> {
        self.decoder.set_position(self.decoder.position().saturating_add(n));
        Ok(())
    }

    /// Decodes a value and checks that it has its shortest encoding.
    fn shortest<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, decode::Error>,
        len: impl FnOnce(&T) -> usize,
    ) -> Result<T, ControlError> {
        let start = self.decoder.position();
        let value = read(&mut self.decoder)?;
        if self.decoder.position() - start == len(&value) { Ok(value) } else { Err(ControlError::Malformed) }
    }

    /// An unsigned integer.
    pub(super) fn uint(&mut self) -> Result<u64, ControlError> {
        self.shortest(Decoder::u64, |n| head_len(*n))
    }

    /// A boolean.
    pub(super) fn bool(&mut self) -> Result<bool, ControlError> {
        Ok(self.decoder.bool()?)
    }

    /// A byte string.
    fn bytes(&mut self) -> Result<&'b [u8], ControlError> {
        self.shortest(Decoder::bytes, |bytes| string_len(bytes))
    }

    /// A byte string of exactly `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ControlError> {
        self.bytes()?.try_into().map_err(|_| ControlError::Malformed)
    }

    /// A text string.
    pub(super) fn text(&mut self) -> Result<&'b str, ControlError> {
        self.shortest(Decoder::str, |text| string_len(text.as_bytes()))
    }
}

/// Length of the shortest encoding of a byte or text string.
fn string_len(content: &[u8]) -> usize {
    u64::try_from(content.len()).map_or(9, head_len).saturating_add(content.len())
}

/// Length of the shortest head of an array or map; `None` for indefinite length, which is rejected.
fn container_len(count: &Option<u64>) -> usize {
    count.map_or(0, head_len)
}

impl From<decode::Error> for ControlError {
    /// The kind of CBOR error is dropped, because no caller can act on it.
    fn from(_: decode::Error) -> Self {
        Self::Malformed
    }
}

/// Encodes the fields of one message; the caller passes them in ascending order of keys.
pub(super) struct Writer<'o>(Encoder<Cursor<&'o mut [u8]>>);

impl<'o> Writer<'o> {
    /// Begins a message of type `kind` with `fields` fields beside the type.
    pub(super) fn begin(out: &'o mut [u8], kind: u64, fields: u64) -> Result<Self, ControlError> {
        let mut encoder = Encoder::new(Cursor::new(out));
        encoder.map(fields + 1)?.u64(TYPE)?.u64(kind)?;
        Ok(Self(encoder))
    }

    /// Goes on with the message in the first `len` bytes of `out`, which gets one more field.
    pub(super) fn go_on(out: &'o mut [u8], len: usize) -> Result<Self, ControlError> {
        // The head of a map of up to 23 fields is one byte.
        let head = out.first_mut().filter(|head| (0xa0..0xb7).contains(*head));
        *head.ok_or(ControlError::Malformed)? += 1;
        let mut cursor = Cursor::new(out);
        cursor.set_position(len);
        Ok(Self(Encoder::new(cursor)))
    }

    /// A map of so many fields, which come next.
    pub(super) fn map(&mut self, key: u64, fields: u64) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.map(fields)?;
        Ok(self)
    }

    /// An unsigned integer.
    pub(super) fn uint(&mut self, key: u64, value: u64) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.u64(value)?;
        Ok(self)
    }

    /// A boolean.
    pub(super) fn bool(&mut self, key: u64, value: bool) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.bool(value)?;
        Ok(self)
    }

    /// A byte string.
    pub(super) fn bytes(&mut self, key: u64, value: &[u8]) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.bytes(value)?;
        Ok(self)
    }

    /// A text string.
    pub(super) fn text(&mut self, key: u64, value: &str) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.str(value)?;
        Ok(self)
    }

    /// Number of bytes written.
    pub(super) fn len(&self) -> usize {
        self.0.writer().position()
    }
}

impl From<encode::Error<EndOfSlice>> for ControlError {
    /// Writing to a slice fails only when the slice is full.
    fn from(_: encode::Error<EndOfSlice>) -> Self {
        Self::Space
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::super::{Answer, ControlError, Request};
    use super::head_len;
    use crate::token::Token;

    /// A filler with more keys: the head of the map, the type, and `rest`.
    fn filler(keys: u8, rest: &[u8]) -> Result<Answer, ControlError> {
        Answer::parse(&[&[0xa0 + keys, 0x00, 0x12], rest].concat())
    }

    const MALFORMED: Result<Answer, ControlError> = Err(ControlError::Malformed);

    #[test]
    fn heads_have_the_lengths_of_rfc_8949() {
        let lengths = [
            (0, 1),
            (23, 1),
            (24, 2),
            (0xff, 2),
            (0x100, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX, 9),
        ];
        for (argument, len) in lengths {
            assert_eq!(head_len(argument), len, "{argument:#x}");
        }
    }

    #[test]
    fn only_the_canonical_map_is_accepted() {
        assert_eq!(Answer::parse(b"\xa1\x00\x12"), Ok(Answer::Filler));
        let refused: [&[u8]; 15] = [
            b"",                 // nothing
            b"\xa0",             // no type
            b"\x81\x00",         // an array
            b"\xbf\x00\x12\xff", // an indefinite map
            b"\xbf\x00\x12",     // without its end
            b"\xb8\x01\x00\x12", // longer heads than needed: of the map
            b"\xb9\x00\x01\x00\x12",
            b"\xa1\x18\x00\x12", // of a key
            b"\xa1\x00\x18\x12", // of a value
            b"\xa1\x00\x19\x00\x12",
            b"\xa1\x00\x32",                                 // a negative type
            b"\xa1\x00\xf9\x4c\x80",                         // 18 as a float
            b"\xa1\x00\x61\x12",                             // a text
            b"\xa1\x60\x12",                                 // a key that is no unsigned integer
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x00\x12", // more keys than there can be
        ];
        for bytes in refused {
            assert_eq!(Answer::parse(bytes), MALFORMED, "{bytes:02x?}");
        }
    }

    #[test]
    fn trailing_and_missing_bytes_are_rejected() {
        assert_eq!(filler(1, b"\x00"), MALFORMED, "a trailing byte");
        assert_eq!(filler(1, b"\xf6"), MALFORMED, "a trailing null");
        assert_eq!(filler(2, b""), MALFORMED, "a key short");
        assert_eq!(filler(2, b"\x01"), MALFORMED, "a value short");
    }

    #[test]
    fn keys_ascend() {
        assert_eq!(filler(3, b"\x01\x00\x02\x00"), Ok(Answer::Filler));
        assert_eq!(filler(3, b"\x02\x00\x01\x00"), MALFORMED, "out of order");
        assert_eq!(filler(3, b"\x02\x00\x02\x00"), MALFORMED, "an unknown key twice");
        assert_eq!(filler(2, b"\x00\x12"), MALFORMED, "the type twice");
        assert_eq!(Answer::parse(b"\xa2\x01\x00\x00\x12"), MALFORMED, "the type last");
        assert_eq!(Answer::parse(b"\xa3\x00\x13\x02\xf4\x01\x05"), MALFORMED, "known keys in another order");
        assert_eq!(Answer::parse(b"\xa4\x00\x13\x01\x05\x01\x05\x02\xf4"), MALFORMED, "a known key twice");
    }

    #[test]
    fn four_unknown_keys_are_skipped_and_five_are_not() {
        for n in 0..=5 {
            let rest: Vec<u8> = (1..=n).flat_map(|key| [key, 0xf6]).collect();
            let expected = if n <= 4 { Ok(Answer::Filler) } else { MALFORMED };
            assert_eq!(filler(n + 1, &rest), expected);
        }
        // A message with fields, and a key far away.
        let mut list = b"\xa3\x00\x01\x01\x50TTTTTTTTTTTTTTTT".to_vec();
        list.extend(b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x82\x01\x61z");
        let after = Some(Token::from_bytes([b'T'; 16]));
        assert_eq!(Request::parse(&list), Ok(Request::List { after }));
    }

    #[test]
    fn every_kind_of_unknown_value_is_skipped() {
        let values: [&[u8]; 22] = [
            b"\x17",
            b"\x18\x18",
            b"\x1b\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\x20",
            b"\x38\x18",
            b"\x38\xff",
            b"\x39\xff\xff",
            b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x40",
            b"\x42\x00\xff",
            b"\x63\xe2\x82\xac",
            b"\x80",
            b"\x83\x01\x20\x60",
            b"\xa2\x01\x02\x61a\xa0",
            b"\xc1\x00",
            b"\xd8\x20\x60",
            b"\xe0",
            b"\xf8\x20",
            b"\xf5",
            b"\xf9\x3c\x00",
            b"\xfa\x00\x00\x00\x01",
            b"\xfb\x00\x00\x00\x00\x00\x00\x00\x01",
        ];
        for value in values {
            let rest = [b"\x01", value].concat();
            assert_eq!(filler(2, &rest), Ok(Answer::Filler), "{value:02x?}");
            assert_eq!(filler(2, &rest[..rest.len() - 1]), MALFORMED, "{value:02x?} cut short");
            assert_eq!(filler(2, &[&rest[..], b"\x00"].concat()), MALFORMED, "{value:02x?} and a byte");
        }
    }

    #[test]
    fn unknown_values_keep_the_rules() {
        let values: [&[u8]; 22] = [
            b"\x18\x17", // longer heads than needed
            b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
            b"\x38\x17",
            b"\x39\x00\xff",
            b"\x3b\x00\x00\x00\x00\xff\xff\xff\xff",
            b"\x58\x01\x00",
            b"\x78\x01a",
            b"\x98\x01\x00",
            b"\xb8\x01\x00\x00",
            b"\xd8\x01\x00",
            b"\xf8\x13", // simple values that have no such encoding
            b"\xf8\x14",
            b"\xf8\x18",
            b"\xf8\x1f",
            b"\x9f\xff", // indefinite lengths
            b"\xbf\xff",
            b"\x5f\xff",
            b"\x7f\xff",
            b"\xff", // a break, and a head that is reserved
            b"\x1c",
            b"\x61\xff",                             // not UTF-8
            b"\xbb\x80\x00\x00\x00\x00\x00\x00\x00", // twice this is zero
        ];
        for value in values {
            assert_eq!(filler(2, &[b"\x01", value].concat()), MALFORMED, "{value:02x?}");
            // The same inside of an array.
            assert_eq!(filler(2, &[b"\x01\x81", value].concat()), MALFORMED, "[{value:02x?}]");
        }
    }

    #[test]
    fn unknown_values_nest_four_deep_and_no_deeper() {
        for container in [&b"\x81"[..], b"\xa1\x00", b"\xc1"] {
            for depth in 0..=6 {
                let value = [b"\x01", &container.repeat(depth)[..], b"\x00"].concat();
                let expected = if depth <= 4 { Ok(Answer::Filler) } else { MALFORMED };
                assert_eq!(filler(2, &value), expected, "{value:02x?}");
            }
        }
        assert_eq!(filler(2, &[b"\x01", &[0x81; 400][..]].concat()), MALFORMED);
    }
}
