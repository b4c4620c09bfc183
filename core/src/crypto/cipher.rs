//! The cipher under the records, as a seam: boards and every proof use RustCrypto's, a host may plug in a
//! faster one. All are ChaCha20-Poly1305 of RFC 8439, so that nobody on the wire can tell them apart.

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};

use crate::limits::TAG;
use crate::secret::Secret;

/// A record did not open, or its size is none that the cipher takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cipher refused a record: it was altered, or sealed with another key")
    }
}

impl core::error::Error for Refused {}

/// ChaCha20-Poly1305 over whole records in place, with no associated data.
///
/// `record` is the plaintext, or what it was sealed to, followed by the 16 bytes of the tag.
pub trait Cipher: Sync {
    /// Encrypts all but the tag, and writes the tag.
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused>;

    /// Checks the tag and decrypts all else. What `record` holds after an error is for the caller to wipe.
    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused>;
}

/// The `chacha20poly1305` crate: portable, `no_std`, in constant time where multiplication is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Cipher for RustCrypto {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused> {
        let (plaintext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(Refused)?;
        let cipher = ChaCha20Poly1305::new(key.expose().into());
        let sealed = cipher.encrypt_inout_detached(&Nonce::from(*nonce), &[], plaintext.into());
        *tag = sealed.map_err(|_| Refused)?.into();
        Ok(())
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused> {
        let (sealed, tag) = record.split_last_chunk_mut::<TAG>().ok_or(Refused)?;
        let cipher = ChaCha20Poly1305::new(key.expose().into());
        let opened =
            cipher.decrypt_inout_detached(&Nonce::from(*nonce), &[], sealed.into(), &Tag::from(*tag));
        opened.map_err(|_| Refused)
    }
}
