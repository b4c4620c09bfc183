//! The checksum at the end of each record. It detects damage, not forgery: it has no key.

use sha2::{Digest, Sha512};

/// Bytes of a checksum.
pub(crate) const CHECKSUM_LEN: usize = 16;

/// Writes the checksum, the first bytes of SHA-512 over all bytes before it, to the end of the record.
pub(crate) fn seal(record: &mut [u8]) {
    if let Some((content, checksum)) = record.split_last_chunk_mut::<CHECKSUM_LEN>() {
        let digest = Sha512::digest(content);
        for (to, from) in checksum.iter_mut().zip(digest) {
            *to = from;
        }
    }
}

/// The content before the checksum, if that matches.
pub(crate) fn open(record: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = record.split_last_chunk::<CHECKSUM_LEN>()?;
    Sha512::digest(content).starts_with(checksum).then_some(content)
}
