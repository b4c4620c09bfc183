//! A room: the people and programs that share a passphrase.

use std::future::Future;

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::derive::{PassphraseError, room_secret};
use zeroize::Zeroizing;

use crate::cipher::cipher;

/// A room: its members share a passphrase. It holds the secret derived from the passphrase, wiped when dropped, and not
/// the passphrase.
#[derive(Debug)]
pub struct Room {
    pub(crate) secret: RoomSecret,
}

impl Room {
    /// The room of this passphrase, 1 to 1,024 bytes. Takes about a tenth of a second and 32 MiB of memory on purpose
    /// (protocol.md, section 5): derive once for a program, not once for a drop. Blocks; see [`derive`](Self::derive).
    ///
    /// # Errors
    /// If the passphrase is empty, too long, or has characters that RFC 8265 does not allow.
    ///
    /// ```
    /// use deaddrop::{PassphraseError, Room};
    ///
    /// assert_eq!(Room::from_passphrase("").unwrap_err(), PassphraseError::Empty);
    /// ```
    pub fn from_passphrase(passphrase: &str) -> Result<Self, PassphraseError> {
        Ok(Self { secret: room_secret(passphrase)? })
    }

    /// The same on a thread of its own, which starts at once. The passphrase is wiped when it is done.
    ///
    /// # Errors
    /// As [`from_passphrase`](Self::from_passphrase).
    ///
    /// ```
    /// use deaddrop::{PassphraseError, Room, Zeroizing};
    ///
    /// let deriving = Room::derive(Zeroizing::new(String::new()));
    /// // Other work goes here.
    /// assert_eq!(smol::block_on(deriving).unwrap_err(), PassphraseError::Empty);
    /// ```
    pub fn derive(
        passphrase: Zeroizing<String>,
    ) -> impl Future<Output = Result<Self, PassphraseError>> + Send {
        let deriving = smol::unblock(move || Self::from_passphrase(&passphrase));
        // OpenSSL takes milliseconds to initialise, which pass beside the derivation.
        cipher();
        deriving
    }
}
