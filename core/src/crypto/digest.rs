//! The digest by which a receiver shows, and a sender checks, that what is held already is the drop's.

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
    /// The digest of a drop of which the first `offset` bytes are held.
    pub fn new(offset: u64) -> Self {
        Self {
            hash: Sha512_256::new_with_prefix(offset.to_be_bytes()),
            range: offset.saturating_sub(PREFIX_DIGEST_MAX)..offset,
        }
    }

    /// Which bytes of the drop to [`update`](Self::update) it with, from the first to the last.
    pub const fn range(&self) -> Range<u64> {
        self.range.start..self.range.end
    }

    /// The next bytes of that range, in pieces of any size. More or fewer give another digest.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    /// Whether it is `other`, in constant time: the bytes it covers are the drop's.
    pub fn matches(self, other: &[u8; 32]) -> bool {
        self.finish().ct_eq(other).into()
    }
}
