//! ChaCha20-Poly1305 (RFC 8439) over one record in place, with a detached tag and no associated data.
//!
//! Every byte of a drop goes through these two functions, so a board builds them for speed and all else for size.
//! Cargo sets an optimisation level for a whole crate, and generic code takes the level of the crate that instantiates
//! it: the block functions of the `chacha20` and `poly1305` crates are generic, so in a small-code crate they would be
//! compiled small. This crate therefore has no generic item, and its functions are never inlined into a caller. The
//! level stands in `firmware/Cargo.toml`; the measured gain is in `firmware/docs/emulator.md`.
//!
//! Nonces are the caller's: never seal two records under one key and nonce.
#![no_std]

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;

/// The plaintext is longer than one nonce can encrypt: 2^32 - 1 blocks of 64 bytes. The buffer is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record is longer than one nonce can encrypt: split it")
    }
}

impl core::error::Error for TooLong {}

/// The tag does not match: another key or nonce, or the record was altered. The buffer was not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record's tag does not match: it was altered, or sealed with another key or nonce")
    }
}

impl core::error::Error for Forged {}

/// Encrypts `record` in place and returns its tag.
#[inline(never)]
pub fn seal(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    record: &mut [u8],
) -> Result<[u8; TAG_LEN], TooLong> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), &[], record.into());
    tag.map(Into::into).map_err(|_| TooLong)
}

/// Checks `tag` in constant time, then decrypts `record` in place.
#[inline(never)]
pub fn open(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    record: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let opened = cipher.decrypt_inout_detached(&Nonce::from(*nonce), &[], record.into(), &Tag::from(*tag));
    opened.map_err(|_| Forged)
}

#[cfg(test)]
mod tests;
