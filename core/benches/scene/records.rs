//! Records to seal and to open.

use deaddrop_core::crypto::record::{Opener, RecordKey, RecordKind, Sealer};
use deaddrop_core::limits::RECORD_OVERHEAD;
use deaddrop_core::secret::Secret;

/// Data record sizes, smallest to largest; 20 bytes more on the wire.
pub const SIZES: [usize; 5] = [512, 1_024, 4_096, 16_384, 65_536];

fn key() -> RecordKey {
    RecordKey::new(Secret::new([7; 32]))
}

/// Seals the same buffer repeatedly, as consecutive records.
pub struct Seal {
    sealer: Sealer,
    record: Vec<u8>,
}

impl Seal {
    /// Records of `size` bytes of a drop.
    pub fn new(size: usize) -> Self {
        Self { sealer: Sealer::new(key()), record: vec![1; size + RECORD_OVERHEAD] }
    }

    /// Seals once. The plaintext is the last ciphertext, in the same buffer, as in a sender.
    pub fn turn(&mut self) -> &[u8] {
        let payload = self.record.len() - RECORD_OVERHEAD;
        self.sealer.seal(&mut self.record, RecordKind::Data, payload).unwrap();
        &self.record
    }
}

/// Opens records that a [`Seal`] has sealed, in order.
pub struct Open(Opener);

impl Open {
    /// Starts at the first record.
    pub fn new() -> Self {
        Self(Opener::new(key()))
    }

    /// Opens one record in place.
    pub fn turn(&mut self, record: &mut [u8]) {
        self.0.open(record).unwrap();
    }
}
