//! The shape all control messages share: one map with unsigned keys, in the deterministic encoding
//! of RFC 8949, section 4.2.1, where key 0 holds the message type.
//!
//! The codec is `minicbor`. It reads more than the deterministic encoding, so what it has read is
//! held against the length that the one legal spelling would have had.

use minicbor::data::Type;
use minicbor::encode::write::{Cursor, EndOfSlice};
use minicbor::{Decoder, Encoder, decode, encode};

use super::ControlError;
use crate::limits::UNKNOWN_KEYS_MAX;

/// How deep arrays, maps and tags may stand in one another inside the value of an unknown key.
const UNKNOWN_DEPTH_MAX: u8 = 4;

/// The key of the message type.
const TYPE: u64 = 0;

/// Bytes of the shortest head that carries `argument`: the only legal one.
const fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Reads the fields of one message. Keys ascend, so they are asked for in ascending order, and what
/// stands between two that are asked for is unknown.
pub(super) struct Fields<'b> {
    decoder: Decoder<'b>,
    /// Entries of the map whose key has not been read.
    left: u64,
    /// A key that was read and not yet asked for.
    pending: Option<u64>,
    /// The last key that was read.
    last: Option<u64>,
    /// Unknown keys skipped.
    unknown: usize,
}

impl<'b> Fields<'b> {
    /// Opens a message: its fields, and its type.
    pub(super) fn open(bytes: &'b [u8]) -> Result<(Self, u64), ControlError> {
        let mut decoder = Decoder::new(bytes);
        let left = decoder.map()?.ok_or(ControlError::Malformed)?;
        if decoder.position() != head_len(left) {
            return Err(ControlError::Malformed);
        }
        let mut fields = Self { decoder, left, pending: None, last: None, unknown: 0 };
        let kind = fields.need(TYPE)?.uint()?;
        Ok((fields, kind))
    }

    /// Whether the message has `key`; if so its value is to be read next.
    pub(super) fn find(&mut self, key: u64) -> Result<bool, ControlError> {
        while let Some(next) = self.peek()? {
            if next >= key {
                if next == key {
                    self.pending = None;
                }
                return Ok(next == key);
            }
            self.skip_unknown()?;
        }
        Ok(false)
    }

    /// Goes to a key that must be there.
    pub(super) fn need(&mut self, key: u64) -> Result<&mut Self, ControlError> {
        if self.find(key)? { Ok(self) } else { Err(ControlError::Malformed) }
    }

    /// Ends the message: unknown keys may follow, and then nothing.
    pub(super) fn finish(mut self) -> Result<(), ControlError> {
        while self.peek()?.is_some() {
            self.skip_unknown()?;
        }
        if self.decoder.position() == self.decoder.input().len() { Ok(()) } else { Err(ControlError::Malformed) }
    }

    /// The key that comes next.
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

    /// Skips the value of the pending key.
    fn skip_unknown(&mut self) -> Result<(), ControlError> {
        self.unknown += 1;
        if self.unknown > UNKNOWN_KEYS_MAX {
            return Err(ControlError::Malformed);
        }
        self.pending = None;
        self.skip(UNKNOWN_DEPTH_MAX)
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
            // Below 32 a simple value has no second byte, and from 32 on it has one.
            Type::Simple => {
                let len = |simple: &u8| if *simple < 24 { 1 } else { 2 };
                let simple = self.shortest(Decoder::simple, len)?;
                return if (24..32).contains(&simple) || simple_has_other_type(simple) {
                    Err(ControlError::Malformed)
                } else {
                    Ok(())
                };
            }
            Type::F16 => return self.advance(3),
            Type::F32 => return self.advance(5),
            Type::F64 => return self.advance(9),
            Type::Array => self.shortest(Decoder::array, container_len)?.unwrap_or(0),
            Type::Map => {
                let pairs = self.shortest(Decoder::map, container_len)?.unwrap_or(0);
                // A count that overflows is a count of more values than any message has bytes.
                pairs.checked_mul(2).ok_or(ControlError::Malformed)?
            }
            Type::Tag => {
                self.shortest(Decoder::tag, |tag| head_len(tag.as_u64()))?;
                1
            }
            _ => return Err(ControlError::Malformed),
        };
        let depth = depth.checked_sub(1).ok_or(ControlError::Malformed)?;
        // Each round takes a byte or fails, so a count beyond the message ends early.
        (0..children).try_for_each(|_| self.skip(depth))
    }

    /// Moves over `n` bytes.
    fn advance(&mut self, n: usize) -> Result<(), ControlError> {
        let to = self.decoder.position().checked_add(n).ok_or(ControlError::Malformed)?;
        if to > self.decoder.input().len() {
            return Err(ControlError::Malformed);
        }
        self.decoder.set_position(to);
        Ok(())
    }

    /// Reads a value and checks that it took as many bytes as its shortest spelling has.
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

    /// A truth value.
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

/// Bytes of a byte or text string in its shortest spelling.
fn string_len(content: &[u8]) -> usize {
    u64::try_from(content.len()).map_or(9, head_len).saturating_add(content.len())
}

/// Bytes of the shortest head of an array or map; none for one of indefinite length, so that it is
/// refused.
fn container_len(count: &Option<u64>) -> usize {
    count.map_or(0, head_len)
}

/// Whether a simple value has a type of its own: false, true, null, undefined.
fn simple_has_other_type(simple: u8) -> bool {
    (20..24).contains(&simple)
}

impl From<decode::Error> for ControlError {
    /// Which of the ways to break CBOR it was says nothing that helps.
    fn from(_: decode::Error) -> Self {
        Self::Malformed
    }
}

/// Writes the fields of one message; the caller gives them in ascending order.
pub(super) struct Writer<'o>(Encoder<Cursor<&'o mut [u8]>>);

impl<'o> Writer<'o> {
    /// Begins a message of type `kind` with `fields` fields beside the type.
    pub(super) fn begin(out: &'o mut [u8], kind: u64, fields: u64) -> Result<Self, ControlError> {
        let mut encoder = Encoder::new(Cursor::new(out));
        encoder.map(fields + 1)?.u64(TYPE)?.u64(kind)?;
        Ok(Self(encoder))
    }

    /// An unsigned integer.
    pub(super) fn uint(&mut self, key: u64, value: u64) -> Result<&mut Self, ControlError> {
        self.0.u64(key)?.u64(value)?;
        Ok(self)
    }

    /// A truth value.
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

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.0.writer().position()
    }
}

impl From<encode::Error<EndOfSlice>> for ControlError {
    /// Writing to a slice fails in one way only.
    fn from(_: encode::Error<EndOfSlice>) -> Self {
        Self::Space
    }
}
