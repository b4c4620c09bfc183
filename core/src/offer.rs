//! A drop as others see it: its kind, its name, and the offer in a list (protocol.md, section 6).

use core::fmt;
use core::time::Duration;

use heapless::String;

use crate::limits::NAME_MAX;
use crate::token::Token;

mod numbered;

pub use numbered::numbered;

/// What a drop holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Text, or any bytes, meant to be read at once.
    Message,
    /// One file.
    File,
    /// A folder, or several files and folders, as one stream: a bundle (protocol.md, section 11).
    Directory,
}

impl Kind {
    /// Its code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::File => 1,
            Self::Directory => 2,
        }
    }

    /// The kind with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Message),
            1 => Some(Self::File),
            2 => Some(Self::Directory),
            _ => None,
        }
    }

    /// Its name in text and JSON.
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
/// It may still be hostile: `..`, escape sequences, names that a system reserves. Escape it before it is
/// displayed, and sanitise it before a file is created under it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Name(String<NAME_MAX>);

impl Name {
    /// Checks a name and takes it over.
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

/// Why a text is not a legal name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// More than 255 bytes.
    Length,
    /// It contains NUL or `/`.
    Character,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a drop's name has at most 255 bytes: give a shorter one",
            Self::Character => "a drop's name has no NUL and no slash: give another",
        })
    }
}

impl core::error::Error for NameError {}

/// One line of a sender's list: a drop that can be fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Names the drop.
    pub token: Token,
    /// Its kind.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// Remaining TTL.
    pub ttl_left: Duration,
    /// Fetches left.
    pub fetches_left: u8,
}

/// Why a drop has ended (protocol.md, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EndReason {
    /// Its last fetch was burned.
    Fetched,
    /// Its TTL passed.
    Expired,
    /// Its sender withdrew it, or its source changed.
    Withdrawn,
    /// Its sender no longer answers. A local conclusion of a listener, never on the wire.
    Lost,
    /// A listener has given its place to the offer of another sender, because the table was full. It can still be
    /// fetched by its token from its sender's address. Never on the wire.
    Displaced,
}

impl EndReason {
    /// Its code on the wire (protocol.md, section 6); `None` for what a listener concludes.
    pub const fn code(self) -> Option<u8> {
        match self {
            Self::Fetched => Some(0),
            Self::Expired => Some(1),
            Self::Withdrawn => Some(2),
            Self::Lost | Self::Displaced => None,
        }
    }

    /// The reason with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Fetched),
            1 => Some(Self::Expired),
            2 => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// Its name in text and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Lost => "lost",
            Self::Displaced => "displaced",
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
        assert!(Name::new("..").is_ok(), "core keeps every legal name; the writer sanitises it");
    }

    #[test]
    fn codes_round_trip() {
        for code in 0..=255 {
            assert!(Kind::from_code(code).is_none_or(|k| k.code() == code));
            assert!(EndReason::from_code(code).is_none_or(|r| r.code() == Some(code)));
        }
    }
}
