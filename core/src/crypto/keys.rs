//! The key schedule: room secret -> PRS -> (CPace) -> ISK -> one record key for each direction.

use core::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha512};

use crate::crypto::cpace::Isk;
use crate::crypto::record::RecordKey;
use crate::secret::Secret;

/// HKDF info of the PRS.
pub const INFO_PRS: &[u8] = b"deaddrop/1 prs";
/// HKDF info of the key from client to server.
pub const INFO_C2S: &[u8] = b"deaddrop/1 c2s";
/// HKDF info of the key from server to client.
pub const INFO_S2C: &[u8] = b"deaddrop/1 s2c";

/// What the members of a room share. A host derives it from the passphrase; a board is given it.
pub struct RoomSecret(Secret<32>);

impl RoomSecret {
    /// Takes the bytes over.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// A room secret that `fill` writes in place.
    pub fn fill_with(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        Self(Secret::fill_with(fill))
    }

    /// The bytes, for provisioning a board.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The password-related string of CPace: HKDF-SHA-512(room secret, no salt, [`INFO_PRS`]).
    pub fn prs(&self) -> Prs {
        Prs(expand(&Hkdf::new(None, self.0.expose()), INFO_PRS))
    }
}

impl fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomSecret(..)")
    }
}

/// The password-related string of CPace: all a device needs to meet its room.
pub struct Prs(Secret<32>);

impl Prs {
    /// Takes the bytes over, for a device that holds nothing but these.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes, for provisioning a device.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for Prs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prs(..)")
    }
}

/// The two keys of one connection.
#[derive(Debug)]
pub struct SessionKeys {
    /// Seals what the client sends.
    pub c2s: RecordKey,
    /// Seals what the server sends.
    pub s2c: RecordKey,
}

impl SessionKeys {
    /// HKDF-SHA-512(ISK, salt = `transcript`), [`INFO_C2S`] and [`INFO_S2C`].
    ///
    /// Derive once per handshake: a second set of the same keys would start its counters at zero again.
    pub fn derive(isk: &Isk, transcript: &[u8; 64]) -> Self {
        let hkdf = Hkdf::new(Some(transcript), isk.expose());
        Self {
            c2s: RecordKey::new(&expand(&hkdf, INFO_C2S)),
            s2c: RecordKey::new(&expand(&hkdf, INFO_S2C)),
        }
    }
}

/// SHA-512 of the three messages in clear, as they went over the wire.
pub fn transcript(msg1: &[u8], msg2: &[u8], msg3: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(msg1).chain_update(msg2).chain_update(msg3).finalize().into()
}

/// HKDF-Expand to 32 bytes.
fn expand(hkdf: &Hkdf<Sha512>, info: &[u8]) -> Secret<32> {
    Secret::fill_with(|out| {
        // Fails only above 255 blocks of 64 bytes; this is half a block.
        let _never_too_long = hkdf.expand(info, out);
    })
}
