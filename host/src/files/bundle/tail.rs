//! The latest bytes of a stream, for the digest by which a sender tells that they are its drop's.

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::limits::PREFIX_DIGEST_MAX;
use zeroize::Zeroizing;

/// How many of the latest bytes are kept: those of the digest, and as many again, because threads may be ahead of what is
/// counted.
const KEPT: u64 = 2 * PREFIX_DIGEST_MAX;

/// A position in a stream, and the bytes before it.
#[derive(Debug)]
pub(super) struct Tail {
    position: u64,
    /// A ring.
    bytes: Zeroizing<Vec<u8>>,
}

impl Tail {
    /// Of a stream of `size` bytes. `None` if that is more than memory has addresses for.
    pub(super) fn new(size: u64) -> Option<Self> {
        let kept = usize::try_from(size.min(KEPT)).ok()?;
        Some(Self { position: 0, bytes: Zeroizing::new(vec![0; kept]) })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Adds the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.bytes.len());
        let kept = bytes.get(skipped..).unwrap_or_default();
        let at = self.at(self.position.saturating_add(skipped as u64));
        let (front, back) = self.bytes.split_at_mut(at);
        let (first, rest) = kept.split_at(kept.len().min(back.len()));
        back.get_mut(..first.len()).unwrap_or_default().copy_from_slice(first);
        front.get_mut(..rest.len()).unwrap_or_default().copy_from_slice(rest);
        self.position = self.position.saturating_add(bytes.len() as u64);
    }

    /// From which position on bytes are kept, once `end` is reached.
    pub(super) fn kept_from(&self, end: u64) -> u64 {
        end.saturating_sub(self.bytes.len() as u64)
    }

    /// Passes over bytes that will not be among the kept ones.
    pub(super) fn pass(&mut self, bytes: u64) {
        self.position = self.position.saturating_add(bytes);
    }

    /// The digest of the first `offset` bytes; `None` if they are not at hand any more.
    pub(super) fn digest(&self, offset: u64) -> Option<[u8; 32]> {
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        if range.start < self.kept_from(self.position) || range.end > self.position {
            return None;
        }
        let (front, back) = self.bytes.split_at(self.at(range.start));
        let len = usize::try_from(range.end - range.start).ok()?;
        let first = back.get(..len.min(back.len()))?;
        digest.update(first);
        digest.update(front.get(..len - first.len())?);
        Some(digest.finish())
    }

    /// Where a position of the stream is in the ring.
    fn at(&self, position: u64) -> usize {
        let at = position.checked_rem(self.bytes.len() as u64).unwrap_or(0);
        usize::try_from(at).unwrap_or(0)
    }
}
