//! OpenSSL's ChaCha20-Poly1305, which uses AVX-512 for both halves where the processor has it; see decision 0014.

use deaddrop_core::crypto::cipher::{Cipher, CipherError};
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use openssl::cipher::{Cipher as Algorithm, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;

/// The cipher of the OpenSSL that is found when the program starts. Its nonces come from the core, which issues each once.
pub struct OpenSsl(Algorithm);

impl OpenSsl {
    /// Looks for the cipher, once: asking for it by name at every record takes a lock. `None` where that OpenSSL has none
    /// to give, as one that is held to FIPS 140 has not.
    pub fn find() -> Option<Self> {
        Algorithm::fetch(None, "ChaCha20-Poly1305", None).ok().map(Self)
    }
}

impl Cipher for OpenSsl {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let (plaintext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
        encrypt(&self.0, key, nonce, plaintext, tag).map_err(|_| CipherError)
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let (sealed, tag) = record.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
        decrypt(&self.0, key, nonce, sealed, tag).map_err(|_| CipherError)
    }
}

// A context for each record: OpenSSL wipes the key when it frees one, and what it saves to keep it is a microsecond.

fn encrypt(
    algorithm: &CipherRef,
    key: &Secret<32>,
    nonce: &[u8; 12],
    plaintext: &mut [u8],
    tag: &mut [u8; TAG],
) -> Result<(), ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    context.cipher_update_inplace(plaintext, plaintext.len())?;
    context.cipher_final(&mut [])?;
    context.tag(tag)
}

fn decrypt(
    algorithm: &CipherRef,
    key: &Secret<32>,
    nonce: &[u8; 12],
    sealed: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(), ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    context.set_tag(tag)?;
    context.cipher_update_inplace(sealed, sealed.len())?;
    context.cipher_final(&mut []).map(|_| ())
}
