//! The key schedule: room secret -> PRS -> (CPace) -> ISK -> one record key per direction (protocol.md,
//! section 2).

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

/// The room secret, shared by all members. A host derives it from the passphrase; a board is provisioned with
/// it.
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

/// The password-related string (PRS) of CPace: all that a device needs to be a member of its room.
pub struct Prs(Secret<32>);

impl Prs {
    /// Takes the bytes over, on a device that is provisioned with the PRS alone.
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

/// The two record keys of one connection.
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
    /// Derive once per handshake: a second set of the same keys would restart its counters and reuse nonces.
    pub fn derive(isk: Isk, transcript: &[u8; 64]) -> Self {
        let hkdf = Hkdf::new(Some(transcript), isk.expose());
        Self { c2s: RecordKey::new(expand(&hkdf, INFO_C2S)), s2c: RecordKey::new(expand(&hkdf, INFO_S2C)) }
    }
}

/// Transcript hash: SHA-512 of the messages 1 to 3 as sent.
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    // Expected values computed with Python's hmac and hashlib.

    #[test]
    fn the_prs_is_the_known_one() {
        let room = RoomSecret::new(core::array::from_fn(|i| i.try_into().unwrap()));
        assert_eq!(
            *room.prs().expose(),
            [
                0x54, 0x08, 0xbf, 0x31, 0x31, 0x45, 0x7b, 0x5b, 0x41, 0x89, 0x3d, 0x4a, 0xb2, 0x76, 0xcb,
                0x90, 0xb1, 0x60, 0x33, 0x8a, 0x64, 0x7c, 0x02, 0xff, 0xd5, 0xbd, 0x35, 0x7b, 0xc1, 0xa4,
                0x5d, 0x65
            ]
        );
    }

    #[test]
    fn the_record_keys_are_the_known_ones_and_differ_by_direction() {
        let isk: [u8; 64] = core::array::from_fn(|i| i.try_into().unwrap());
        let salt = transcript(b"one", b"two", b"three");
        assert_eq!(
            salt,
            [
                0x0a, 0x83, 0x98, 0x43, 0x05, 0x58, 0x13, 0x25, 0x6c, 0x8c, 0xfe, 0x2d, 0xbe, 0x74, 0x89,
                0x57, 0xb6, 0x6a, 0x10, 0xed, 0x44, 0x07, 0xd4, 0x60, 0x7c, 0x10, 0xbc, 0xc1, 0x0b, 0x95,
                0xe2, 0xe8, 0x0d, 0x01, 0x0e, 0x18, 0x10, 0xc4, 0xc9, 0xd4, 0xc9, 0xcc, 0x4d, 0x99, 0x64,
                0xb0, 0xd0, 0x7b, 0x06, 0xc4, 0xc8, 0xe9, 0xd4, 0x3b, 0xbc, 0xa7, 0x9b, 0x22, 0x2a, 0x5c,
                0x9d, 0x3f, 0xe8, 0x03
            ]
        );
        let hkdf = Hkdf::new(Some(&salt), &isk);
        assert_eq!(
            *expand(&hkdf, INFO_C2S).expose(),
            [
                0xf4, 0x52, 0x23, 0xb5, 0x2c, 0xb7, 0x58, 0x26, 0xb9, 0xdf, 0x6a, 0xee, 0x84, 0xa9, 0x9e,
                0x9f, 0xa9, 0x40, 0xf7, 0x05, 0x35, 0xe8, 0x01, 0xe2, 0x84, 0x2d, 0x4f, 0x61, 0x5b, 0xe6,
                0x3f, 0x18
            ]
        );
        assert_eq!(
            *expand(&hkdf, INFO_S2C).expose(),
            [
                0x84, 0x4c, 0x4a, 0x38, 0x1a, 0xbe, 0xeb, 0xfe, 0xa7, 0x90, 0xbe, 0x9b, 0xde, 0x59, 0x48,
                0xde, 0x73, 0x08, 0x28, 0x79, 0xd8, 0x35, 0x45, 0x55, 0x5c, 0xa2, 0xdb, 0x0e, 0x10, 0x0c,
                0x26, 0x2a
            ]
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let room = RoomSecret::new([7; 32]);
        assert_eq!(std::format!("{room:?} {:?}", room.prs()), "RoomSecret(..) Prs(..)");
        assert_eq!(std::format!("{:?}", RecordKey::new(Secret::new([7; 32]))), "RecordKey(..)");
    }
}
