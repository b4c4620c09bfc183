//! The checksum that ends each record: it tells damage. It is no defence against whoever can write the flash, for
//! they can compute it as well.

use sha2::{Digest, Sha512};

/// Bytes of a checksum.
pub(crate) const CHECKSUM_LEN: usize = 16;

/// Writes the checksum of all the bytes before it, which is the start of their SHA-512, to the record's end.
pub(crate) fn seal(record: &mut [u8]) {
    if let Some((content, checksum)) = record.split_last_chunk_mut::<CHECKSUM_LEN>() {
        let digest = Sha512::digest(content);
        for (to, from) in checksum.iter_mut().zip(digest) {
            *to = from;
        }
    }
}

/// What the record holds before its checksum, if the two agree.
pub(crate) fn open(record: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = record.split_last_chunk::<CHECKSUM_LEN>()?;
    Sha512::digest(content).starts_with(checksum).then_some(content)
}
