//! The seed record: what a seed slot in flash holds, and what each start replaces.
//!
//! ```text
//! 0       4       8     40    48        64
//! "DDSD"  number  seed  zero  checksum
//! ```
//!
//! Of two valid records the one with the higher number counts. Another layout would have another magic.

use deaddrop_core::secret::Secret;

use crate::checksum;
use crate::field::{Put, take};

/// 32 secret bytes, from which the next start derives its randomness.
pub type Seed = Secret<32>;

/// Bytes of a seed record: a multiple of the write size of every supported flash.
pub const SEED_RECORD_LEN: usize = 64;

const MAGIC: [u8; 4] = *b"DDSD";

/// A seed and its number in the order of writing.
#[derive(Debug)]
pub struct SeedRecord {
    /// One more than the record it replaces. Flashing writes 0.
    pub number: u32,
    /// The seed.
    pub seed: Seed,
}

impl SeedRecord {
    /// Encodes it. The bytes are secret: wipe them after use.
    pub fn emit(&self, record: &mut [u8; SEED_RECORD_LEN]) {
        Put::new(record)
            .field(&MAGIC)
            .field(&self.number.to_be_bytes())
            .field(self.seed.expose())
            .field(&[0; 8]);
        checksum::seal(record);
    }

    /// Decodes the record at the start of `slot`; `None` if it is erased, altered or cut short.
    pub fn parse(slot: &[u8]) -> Option<Self> {
        let mut content = checksum::open(slot.get(..SEED_RECORD_LEN)?)?;
        let magic: &[u8; 4] = take(&mut content)?;
        let number = u32::from_be_bytes(*take(&mut content)?);
        let seed: &[u8; 32] = take(&mut content)?;
        let zero: &[u8; 8] = take(&mut content)?;
        (*magic == MAGIC && *zero == [0; 8]).then(|| Self { number, seed: Seed::fill_with(|to| *to = *seed) })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn record(number: u32, byte: u8) -> [u8; SEED_RECORD_LEN] {
        let mut bytes = [0xAA; SEED_RECORD_LEN];
        SeedRecord { number, seed: Seed::new([byte; 32]) }.emit(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_emitted_is_parsed() {
        for number in [0, 1, 0x0102_0304, u32::MAX] {
            let mut slot = std::vec![0xFF; 256];
            slot[..SEED_RECORD_LEN].copy_from_slice(&record(number, 7));
            let parsed = SeedRecord::parse(&slot).unwrap();
            assert_eq!((parsed.number, parsed.seed), (number, Seed::new([7; 32])));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let whole = record(3, 7);
        for bit in 0..SEED_RECORD_LEN * 8 {
            let mut bytes = whole;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SeedRecord::parse(&bytes).is_none(), "{bit}");
        }
    }

    #[test]
    fn a_write_cut_short_is_no_record() {
        let whole = record(3, 7);
        for written in 0..SEED_RECORD_LEN {
            let mut bytes = [0xFF; SEED_RECORD_LEN];
            bytes[..written].copy_from_slice(&whole[..written]);
            assert!(SeedRecord::parse(&bytes).is_none(), "{written}");
            assert!(SeedRecord::parse(&whole[..written]).is_none(), "{written}");
        }
    }

    #[test]
    fn whole_records_of_something_else_are_refused() {
        for (at, byte) in [(0, b'E'), (40, 1), (47, 1)] {
            let mut bytes = record(3, 7);
            bytes[at] = byte;
            checksum::seal(&mut bytes);
            assert!(SeedRecord::parse(&bytes).is_none(), "{at}");
        }
    }

    #[test]
    fn a_seed_is_not_shown() {
        let record = SeedRecord { number: 9, seed: Seed::new(*b"marker marker marker marker mark") };
        assert_eq!(std::format!("{record:?}"), "SeedRecord { number: 9, seed: Secret(..) }");
    }
}
