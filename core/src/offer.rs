//! What a drop is from the outside: its kind, its name, and the offer a listener sees.

use core::fmt;
use core::time::Duration;

use heapless::String;

use crate::limits::NAME_MAX;
use crate::token::Token;

/// What a drop holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Text, or any bytes, meant to be read at once.
    Message,
    /// One file.
    File,
    /// A folder, packed into one stream.
    Directory,
}

impl Kind {
    /// The number that stands for it on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::File => 1,
            Self::Directory => 2,
        }
    }

    /// The kind a number stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Message),
            1 => Some(Self::File),
            2 => Some(Self::Directory),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::File => "file",
            Self::Directory => "directory",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A drop's name: up to 255 bytes of UTF-8 without NUL or `/`. Empty for a message without one.
///
/// It may still be hostile in every other way: `..`, escape sequences, names a system reserves.
/// Whoever shows it escapes it, and whoever writes a file by it makes it safe first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Name(String<NAME_MAX>);

impl Name {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.contains(['\0', '/']) {
            return Err(NameError::Character);
        }
        String::try_from(name).map(Self).map_err(|_| NameError::Length)
    }

    /// The name as its sender wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot name a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// More than 255 bytes.
    Length,
    /// It has a NUL or a `/`.
    Character,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a drop's name has at most 255 bytes: give a shorter one with --name",
            Self::Character => "a drop's name has no NUL and no slash: give another with --name",
        })
    }
}

impl core::error::Error for NameError {}

/// One line of a sender's list: a drop that can be fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Names the drop.
    pub token: Token,
    /// What it holds.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// What is left of its TTL.
    pub ttl_left: Duration,
    /// How many more receivers may take it.
    pub fetches_left: u8,
}

/// Why a drop is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EndReason {
    /// Its last allowed fetch was confirmed.
    Fetched,
    /// Its TTL passed.
    Expired,
    /// Its sender took it back, or its source changed.
    Withdrawn,
    /// Its sender no longer answers. A listener concludes this by itself: it is never on the wire.
    Lost,
}

impl EndReason {
    /// The number that stands for it on the wire (protocol.md, section 6); `None` for [`Lost`](Self::Lost).
    pub const fn code(self) -> Option<u8> {
        match self {
            Self::Fetched => Some(0),
            Self::Expired => Some(1),
            Self::Withdrawn => Some(2),
            Self::Lost => None,
        }
    }

    /// The reason a number stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Fetched),
            1 => Some(Self::Expired),
            2 => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(Name::new(&"é".repeat(127)).is_ok());
        assert_eq!(Name::new(&"a".repeat(256)), Err(NameError::Length));
        assert_eq!(Name::new("a/b"), Err(NameError::Character));
        assert_eq!(Name::new("a\0b"), Err(NameError::Character));
        assert_eq!(Name::new("../..").map(|n| n.as_str().len()), Err(NameError::Character));
        assert!(Name::new("..").is_ok(), "core keeps what is legal; the writer makes it safe");
    }

    #[test]
    fn codes_round_trip() {
        for code in 0..=255 {
            assert!(Kind::from_code(code).is_none_or(|k| k.code() == code));
            assert!(EndReason::from_code(code).is_none_or(|r| r.code() == Some(code)));
        }
    }
}
