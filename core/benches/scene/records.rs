//! Records to seal and to open.

use deaddrop_core::crypto::record::{Opener, RecordKey, RecordKind, Sealer};
use deaddrop_core::limits::RECORD_OVERHEAD;
use deaddrop_core::secret::Secret;

/// Bytes of a drop in a record, from the least to the most. Each goes over the wire with 20 bytes more.
pub const SIZES: [usize; 5] = [512, 1_024, 4_096, 16_384, 65_536];

fn key() -> RecordKey {
    RecordKey::new(Secret::new([7; 32]))
}

/// Seals one record again and again, each time as the next.
pub struct Seal {
    sealer: Sealer,
    record: Vec<u8>,
}

impl Seal {
    /// Of `size` bytes of a drop.
    pub fn new(size: usize) -> Self {
        Self { sealer: Sealer::new(key()), record: vec![1; size + RECORD_OVERHEAD] }
    }

    /// Once. What is sealed is what the last time left, in the same buffer, as a sender has it.
    pub fn turn(&mut self) -> &[u8] {
        let payload = self.record.len() - RECORD_OVERHEAD;
        self.sealer.seal(&mut self.record, RecordKind::Data, payload).unwrap();
        &self.record
    }
}

/// Opens what a [`Seal`] has sealed, in the same order.
pub struct Open(Opener);

impl Open {
    /// From the first record on.
    pub fn new() -> Self {
        Self(Opener::new(key()))
    }

    /// One record, in place.
    pub fn turn(&mut self, record: &mut [u8]) {
        self.0.open(record).unwrap();
    }
}
