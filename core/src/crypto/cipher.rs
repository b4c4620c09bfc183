//! The record AEAD as a trait, so that a host can pass a faster implementation (decision 0014).
//!
//! Every implementation is ChaCha20-Poly1305 of RFC 8439: a peer cannot tell which one is in use.

use core::fmt;

use deaddrop_record_cipher as portable;

use crate::limits::TAG;
use crate::secret::Secret;

const _: () = assert!(TAG == portable::TAG_LEN);

/// The AEAD rejected a record: its tag does not match, or no record has its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherError;

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cipher rejected a record: it was altered, or sealed with another key")
    }
}

impl core::error::Error for CipherError {}

/// ChaCha20-Poly1305 (RFC 8439) over whole records in place, with no associated data.
///
/// `record` is the plaintext or the ciphertext, followed by the 16 bytes of the tag.
pub trait Cipher: Sync {
    /// Encrypts everything before the tag, and writes the tag.
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError>;

    /// Checks the tag, then decrypts everything before it. After an error the caller wipes `record`.
    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError>;
}

/// The default implementation, by RustCrypto's `chacha20poly1305`: portable and `no_std`, and constant-time
/// on every processor whose multiplication is. `deaddrop-record-cipher` says why it has a crate of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Cipher for RustCrypto {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let (plaintext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
        *tag = portable::seal(key.expose(), nonce, plaintext).map_err(|_| CipherError)?;
        Ok(())
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let (ciphertext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
        portable::open(key.expose(), nonce, ciphertext, tag).map_err(|_| CipherError)
    }
}
