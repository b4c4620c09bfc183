//! Key derivation from a passphrase to the room secret (protocol.md, section 2.1). Needs an allocator and 32
//! MiB, so only hosts use it.
//!
//! Boards are given the room secret. No other module of the crate uses `alloc`.

extern crate alloc;

use alloc::string::String;
use core::cell::Cell;
use core::fmt;

use precis_core::{DerivedPropertyValue, FreeformClass, StringClass};
use scrypt::Params;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::crypto::keys::RoomSecret;
use crate::limits::PASSPHRASE_MAX;

/// The salt of scrypt (protocol.md, section 2.1). Members share nothing but the passphrase, so the salt is
/// the same everywhere.
pub const LABEL: &[u8] = b"deaddrop/1 room";
/// log2 of scrypt's N.
pub const SCRYPT_LOG_N: u8 = 15;
/// scrypt's r.
pub const SCRYPT_R: u32 = 8;
/// scrypt's p.
pub const SCRYPT_P: u32 = 1;

/// Why a text cannot be a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseError {
    /// The text is empty.
    Empty,
    /// More than 1,024 bytes, as given or as prepared.
    TooLong,
    /// A character that RFC 8265 rejects. The error does not hold the character, which is part of a secret.
    Character {
        /// Position of the character in the text, counted from 1.
        position: usize,
    },
    /// scrypt rejected its parameters. They are constants, so this is a bug.
    Parameters,
}

impl fmt::Display for PassphraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the passphrase is empty: choose one of several words"),
            Self::TooLong => {
                write!(f, "the passphrase is longer than {PASSPHRASE_MAX} bytes: choose a shorter one")
            }
            Self::Character { position } => write!(
                f,
                "character {position} of the passphrase is one that not every system writes alike \
                 (a tab, another control character, a recent emoji): choose a passphrase without it"
            ),
            Self::Parameters => f.write_str("the room secret cannot be derived in this build: report a bug"),
        }
    }
}

impl core::error::Error for PassphraseError {}

/// Drops one trailing line end (LF or CR LF), as text files have it.
pub fn strip_line_end(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// RFC 8265 OpaqueString: checks the characters, makes every space U+0020, and composes (NFC).
pub fn prepare(passphrase: &str) -> Result<Zeroizing<String>, PassphraseError> {
    if passphrase.is_empty() {
        return Err(PassphraseError::Empty);
    }
    if passphrase.len() > PASSPHRASE_MAX {
        return Err(PassphraseError::TooLong);
    }
    let class = Counting::default();
    if class.allows(passphrase).is_err() {
        return Err(PassphraseError::Character { position: class.seen.get() });
    }
    // Preallocated, so that it never reallocates and leaves an unwiped copy behind.
    let mut prepared = Zeroizing::new(String::with_capacity(PASSPHRASE_MAX));
    for c in passphrase.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc() {
        if prepared.len() + c.len_utf8() > PASSPHRASE_MAX {
            return Err(PassphraseError::TooLong);
        }
        prepared.push(c);
    }
    Ok(prepared)
}

/// Derives the room secret of a passphrase: [`prepare`], then scrypt (protocol.md, section 2.1). Takes some
/// 65 ms of one core.
pub fn room_secret(passphrase: &str) -> Result<RoomSecret, PassphraseError> {
    let prepared = prepare(passphrase)?;
    let params = Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|_| PassphraseError::Parameters)?;
    let mut derived = Ok(());
    let secret = RoomSecret::fill_with(|out| {
        derived = scrypt::scrypt(prepared.as_bytes(), LABEL, &params, out);
    });
    derived.map_err(|_| PassphraseError::Parameters)?;
    Ok(secret)
}

/// The FreeformClass of RFC 8264, counting the characters it has checked: the last one is the one rejected.
#[derive(Default)]
struct Counting {
    class: FreeformClass,
    seen: Cell<usize>,
}

impl StringClass for Counting {
    fn get_value_from_char(&self, c: char) -> DerivedPropertyValue {
        self.seen.set(self.seen.get() + 1);
        self.class.get_value_from_char(c)
    }

    fn get_value_from_codepoint(&self, cp: u32) -> DerivedPropertyValue {
        self.class.get_value_from_codepoint(cp)
    }
}

/// Unicode general category Zs.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests;
