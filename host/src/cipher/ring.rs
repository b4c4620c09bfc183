//! ring's ChaCha20-Poly1305: assembly for x86-64 and ARM, and no library to have beside the program.

use deaddrop_core::crypto::cipher::{Cipher, CipherError};
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// ring's cipher. Its nonces come from the core, which issues each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

fn keyed(key: &Secret<32>) -> Result<LessSafeKey, CipherError> {
    UnboundKey::new(&CHACHA20_POLY1305, key.expose()).map(LessSafeKey::new).map_err(|_| CipherError)
}

impl Cipher for Ring {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let (plaintext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = keyed(key)?.seal_in_place_separate_tag(nonce, Aad::empty(), plaintext);
        tag.copy_from_slice(sealed.map_err(|_| CipherError)?.as_ref());
        Ok(())
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        keyed(key)?.open_in_place(nonce, Aad::empty(), record).map(|_| ()).map_err(|_| CipherError)
    }
}
