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

/// Opens the first record of a connection again and again.
pub struct Open {
    sealed: Vec<u8>,
    record: Vec<u8>,
}

impl Open {
    /// Of `size` bytes of a drop.
    pub fn new(size: usize) -> Self {
        let sealed = Seal::new(size).turn().to_vec();
        Self { record: sealed.clone(), sealed }
    }

    /// Once. Opening is in place, so each turn copies the sealed record, as a socket would.
    pub fn turn(&mut self) -> &[u8] {
        self.record.copy_from_slice(&self.sealed);
        Opener::new(key()).open(&mut self.record).unwrap();
        &self.record
    }
}
