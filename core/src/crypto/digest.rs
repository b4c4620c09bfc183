//! The prefix digest: on resume it proves that the receiver's bytes are those of the drop (protocol.md,
//! section 7).

use core::ops::Range;

use sha2::{Digest, Sha512_256};
use subtle::ConstantTimeEq;

use crate::limits::PREFIX_DIGEST_MAX;

/// SHA-512/256 over the offset (u64, big-endian) and the last `min(offset, 1 MiB)` bytes before it.
pub struct PrefixDigest {
    hash: Sha512_256,
    range: Range<u64>,
}

impl PrefixDigest {
    /// The digest of the first `offset` bytes of a drop.
    pub fn new(offset: u64) -> Self {
        Self {
            hash: Sha512_256::new_with_prefix(offset.to_be_bytes()),
            range: offset.saturating_sub(PREFIX_DIGEST_MAX)..offset,
        }
    }

    /// The range of the drop with which to [`update`](Self::update) it, in order.
    pub const fn range(&self) -> Range<u64> {
        self.range.start..self.range.end
    }

    /// Adds the next bytes of that range, in chunks of any size. More or fewer bytes give another digest.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    /// Whether it equals `other`, by constant-time comparison.
    pub fn matches(self, other: &[u8; 32]) -> bool {
        self.finish().ct_eq(other).into()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// Computed with Python's hashlib over bytes i of value (i * i + i / 256) mod 251.
    const KNOWN: [(u64, &str); 6] = [
        (0, "45ac134ffa7a54f7c40eeface107be5788b603621774295cd06e0b327a2baf95"),
        (1, "f6c33ca914092b7aaaf92212e4965ebf5268055aeb7e895e96045f0e3acd7f0c"),
        (1000, "fd0f419054604f00b8c25ae5e0ac55ec551b0926cf82c418c18aeff4ae31acd1"),
        (1048576, "3d14f2e0fb35c4e5a113283c35cc037ca2ee3b3485a099cda7ac1d966fe27df7"),
        (1048577, "0af7dce0470b6ca8802100390f9da2c015ba678593cb021b84cadc89f69dee8c"),
        (1049576, "1894131abe17f5f67c8eb1870210dbad13fa884bac08a093bea0b26af043186c"),
    ];

    fn data() -> Vec<u8> {
        (0..1_049_576_u64).map(|i| ((i * i + i / 256) % 251) as u8).collect()
    }

    fn digest(offset: u64, data: &[u8], piece: usize) -> PrefixDigest {
        let mut digest = PrefixDigest::new(offset);
        let Range { start, end } = digest.range();
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        for piece in data[range].chunks(piece) {
            digest.update(piece);
        }
        digest
    }

    #[test]
    fn digests_are_the_known_ones_in_pieces_of_any_size() {
        let data = data();
        for (offset, expected) in KNOWN {
            for piece in [1, 1_000, usize::MAX] {
                let bytes = digest(offset, &data, piece).finish();
                let text: String = bytes.iter().map(|b| std::format!("{b:02x}")).collect();
                assert_eq!(text, expected, "{offset}");
                assert!(digest(offset, &data, piece).matches(&bytes));
            }
        }
    }

    #[test]
    fn only_the_last_mebibyte_is_wanted() {
        assert_eq!(PrefixDigest::new(0).range(), 0..0);
        assert_eq!(PrefixDigest::new(1 << 20).range(), 0..1 << 20);
        assert_eq!(PrefixDigest::new((1 << 20) + 1).range(), 1..(1 << 20) + 1);
        assert_eq!(PrefixDigest::new(u64::MAX).range(), u64::MAX - (1 << 20)..u64::MAX);
    }

    #[test]
    fn another_byte_offset_or_count_is_another_digest() {
        let mut data = data();
        let known = digest(1_000, &data, 64).finish();
        assert!(!digest(1_001, &data, 64).matches(&known));
        let mut more = digest(1_000, &data, 64);
        more.update(&[0]);
        assert!(!more.matches(&known));
        let mut same_bytes = PrefixDigest::new(1_001);
        same_bytes.update(&data[..1_000]);
        assert!(!same_bytes.matches(&known));
        data[999] ^= 1;
        assert!(!digest(1_000, &data, 64).matches(&known));
        for byte in 0..32 {
            let mut wrong = digest(1_000, &data, 64).finish();
            wrong[byte] ^= 0x10;
            assert!(!digest(1_000, &data, 64).matches(&wrong));
        }
    }
}
