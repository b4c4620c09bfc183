//! What `begin` says of a file beside its content (protocol.md, section 6).
//!
//! Apart from [`Answer`](super::Answer), because boards neither write nor read it: to them, as to older hosts, it is a
//! key of a later version, which they skip.

use super::ControlError;
use super::answer::BEGIN;
use super::cbor::{Fields, Writer};
use crate::limits::UNKNOWN_DEPTH_MAX;

/// The latest modification time: the last second of the year 9999.
pub const MODIFIED_MAX: u64 = 253_402_300_799;

/// The key in `begin`.
const ATTRIBUTES: u64 = 6;

/// The attributes of a file that is sent by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether its owner may execute it.
    pub executable: bool,
    /// When it was last modified, in seconds since the beginning of 1970: at most [`MODIFIED_MAX`].
    pub modified: Option<u64>,
    /// How many bytes it takes on its sender's disk, if that are fewer than its size: it has holes.
    pub space: Option<u64>,
}

impl Attributes {
    /// Adds them to the `begin` in the first `len` bytes of `message`, and returns its new length. A `begin` with them
    /// is never longer than [`CONTROL_PAYLOAD`](crate::limits::CONTROL_PAYLOAD).
    ///
    /// # Errors
    /// If this is no message, or `message` has no room.
    pub fn append(&self, message: &mut [u8], len: usize) -> Result<usize, ControlError> {
        self.check()?;
        let fields = 1 + u64::from(self.modified.is_some()) + u64::from(self.space.is_some());
        let mut w = Writer::go_on(message, len)?;
        w.map(ATTRIBUTES, fields)?.bool(1, self.executable)?;
        if let Some(modified) = self.modified {
            w.uint(2, modified)?;
        }
        if let Some(space) = self.space {
            w.uint(3, space)?;
        }
        Ok(w.len())
    }

    /// Those in a `begin` that [`Answer::parse`](super::Answer::parse) takes; whatever comes after it is ignored. `None` if
    /// it says nothing of them.
    ///
    /// # Errors
    /// If they break the protocol.
    pub fn parse(begin: &[u8]) -> Result<Option<Self>, ControlError> {
        let (mut fields, kind) = Fields::open(begin)?;
        if kind != BEGIN {
            return Err(ControlError::UnknownType(kind));
        }
        fields.need(1)?.uint()?;
        fields.need(2)?.text()?;
        for number in 3..=5 {
            fields.need(number)?.uint()?;
        }
        if !fields.find(ATTRIBUTES)? {
            return Ok(None);
        }
        let mut fields = fields.into_map()?;
        let attributes = Self {
            executable: fields.need(1)?.bool()?,
            modified: if fields.find(2)? { Some(fields.uint()?) } else { None },
            space: if fields.find(3)? { Some(fields.uint()?) } else { None },
        };
        // One level is that of the map that they are in.
        fields.skip_unknown(UNKNOWN_DEPTH_MAX.saturating_sub(1))?;
        attributes.check()?;
        Ok(Some(attributes))
    }

    fn check(&self) -> Result<(), ControlError> {
        match self.modified {
            Some(modified) if modified > MODIFIED_MAX => Err(ControlError::Range("modification time")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::limits::CONTROL_PAYLOAD;
    use crate::offer::{Kind, Name};
    use crate::wire::{Answer, Begin};

    const ALL: Attributes =
        Attributes { executable: true, modified: Some(1_600_000_000), space: Some(4_096) };

    fn begin(name: &str) -> (Begin, Vec<u8>) {
        let name = Name::new(name).unwrap();
        let begin = Begin { kind: Kind::File, name, size: u64::MAX, offset: 1, record: 65_536 };
        let mut out = [0; CONTROL_PAYLOAD];
        let len = Answer::Begin(begin.clone()).emit(&mut out).unwrap();
        (begin, out[..len].to_vec())
    }

    fn with(attributes: &Attributes, name: &str) -> Result<Vec<u8>, ControlError> {
        let (_, message) = begin(name);
        let mut out = [0; CONTROL_PAYLOAD];
        out[..message.len()].copy_from_slice(&message);
        attributes.append(&mut out, message.len()).map(|len| out[..len].to_vec())
    }

    /// A `begin` with this value of the key.
    fn of(value: &[u8]) -> Result<Option<Attributes>, ControlError> {
        let (_, mut message) = begin("a");
        message[0] += 1;
        Attributes::parse(&[&message, &b"\x06"[..], value].concat())
    }

    #[test]
    fn they_come_back_and_a_reader_without_them_skips_them() {
        let none = Attributes::default();
        let early = Attributes { modified: Some(0), ..none };
        for attributes in [ALL, none, early, Attributes { space: Some(0), ..none }] {
            for name in ["", "a", &"n".repeat(255)] {
                let message = with(&attributes, name).unwrap();
                assert_eq!(Attributes::parse(&message), Ok(Some(attributes)));
                // The rest of a record is padding.
                assert_eq!(Attributes::parse(&[&message[..], &[0; 9]].concat()), Ok(Some(attributes)));
                assert_eq!(Answer::parse(&message), Ok(Answer::Begin(begin(name).0)));
                assert_eq!(Attributes::parse(&begin(name).1), Ok(None));
            }
        }
        assert!(
            with(&ALL, "a").unwrap().ends_with(b"\x06\xa3\x01\xf5\x02\x1a\x5f\x5e\x10\x00\x03\x19\x10\x00")
        );
    }

    #[test]
    fn their_rules_hold_both_ways() {
        let range = Err(ControlError::Range("modification time"));
        let late = Attributes { modified: Some(MODIFIED_MAX + 1), ..ALL };
        assert_eq!(with(&late, "a").map(|_| ()), range);
        assert_eq!(of(b"\xa2\x01\xf4\x02\x1b\0\0\0\x3a\xff\xf4\x41\x80").map(|_| ()), range);
        let refused: [&[u8]; 9] = [
            b"\xa0",                                       // nothing in it
            b"\xa1\x02\x00",                               // without the first
            b"\xa1\x01\x01",                               // no bool
            b"\xa2\x01\xf4\x01\xf4",                       // twice
            b"\xa3\x01\xf4\x03\x00\x02\x00",               // out of order
            b"\xa2\x01\xf4\x02\x18\x01",                   // longer than needed
            b"\xb8\x01\x01\xf4",                           // the same of the map
            b"\xbf\x01\xf4\xff",                           // of indefinite length
            b"\xa6\x01\xf4\x04\0\x05\0\x06\0\x07\0\x08\0", // five unknown keys
        ];
        for value in refused {
            assert_eq!(of(value), Err(ControlError::Malformed), "{value:02x?}");
        }
        let later = b"\xa5\x01\xf4\x04\0\x05\0\x06\0\x07\x81\x81\x81\0";
        assert_eq!(of(later), Ok(Some(Attributes::default())), "four unknown keys");
        let deep = b"\xa2\x01\xf4\x04\x81\x81\x81\x81\0";
        assert_eq!(of(deep), Err(ControlError::Malformed), "deeper than a message goes");
    }

    #[test]
    fn a_short_buffer_is_not_enough() {
        let (_, message) = begin("a");
        let len = with(&ALL, "a").unwrap().len();
        for room in message.len()..len {
            let mut out = std::vec![0; room];
            out[..message.len()].copy_from_slice(&message);
            assert_eq!(ALL.append(&mut out, message.len()), Err(ControlError::Space));
        }
    }

    #[test]
    fn only_a_begin_has_them() {
        assert_eq!(Attributes::parse(b"\xa1\x00\x15"), Err(ControlError::UnknownType(21)));
        assert_eq!(ALL.append(&mut [], 0), Err(ControlError::Malformed));
    }
}
