//! Memory for the batches of all streams of one sender: bounded in total, and shared out in equal parts.
//!
//! A receiver that is slow leaves the batches of its stream waiting for the socket. Without a bound 64 of them hold 320 MiB.

use std::sync::{Arc, Mutex};

use crate::lock::lock;

/// Bytes that the batches of all streams have together. Up to four streams on the largest pools, and up to six on the
/// smallest, it limits nothing.
const TOTAL: usize = 32 * 1024 * 1024;

/// What the streams of one sender have taken.
#[derive(Debug, Default)]
pub(crate) struct BatchMemory(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    streams: usize,
    bytes: usize,
}

/// What one stream has taken. Dropping it gives all of it back.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<BatchMemory>,
    taken: usize,
}

impl Share {
    /// One more stream.
    pub(super) fn join(memory: &Arc<BatchMemory>) -> Self {
        lock(&memory.0).streams += 1;
        Self { memory: memory.clone(), taken: 0 }
    }

    /// How many streams there are, this one among them.
    pub(super) fn streams(&self) -> usize {
        lock(&self.memory.0).streams
    }

    /// How many bytes this stream may have: an equal part of the total.
    pub(super) fn fair(&self) -> usize {
        TOTAL / self.streams().max(1)
    }

    /// Takes this many bytes, if the total and the part of this stream allow it. A stream that has none gets them in any
    /// case, so that none stands still; with `least`, the length of one record, that is all the total can be exceeded by.
    pub(super) fn take(&mut self, bytes: usize, least: usize) -> bool {
        let mut all = lock(&self.memory.0);
        let fair = TOTAL / all.streams.max(1);
        let fits = self.taken + bytes <= fair && all.bytes + bytes <= TOTAL;
        if !fits && (self.taken > 0 || bytes > least) {
            return false;
        }
        all.bytes += bytes;
        self.taken += bytes;
        true
    }

    /// Gives this many bytes back.
    pub(super) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.taken);
        self.taken -= bytes;
        lock(&self.memory.0).bytes -= bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.taken);
        lock(&self.memory.0).streams -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: usize = 65_556;

    /// Takes batches of this length until no more are given, and says how many bytes these are.
    fn fill(share: &mut Share, batch: usize) -> usize {
        let before = share.taken;
        while share.take(batch, RECORD) {}
        share.taken - before
    }

    #[test]
    fn streams_have_equal_parts_of_the_total() {
        let memory = Arc::new(BatchMemory::default());
        let mut shares: Vec<Share> = (0..64).map(|_| Share::join(&memory)).collect();
        for share in &mut shares {
            let had = fill(share, RECORD);
            assert!(had <= TOTAL / 64 && had + RECORD > TOTAL / 64, "{had}");
        }
        assert!(lock(&memory.0).bytes <= TOTAL);
        drop(shares);
        let all = lock(&memory.0);
        assert_eq!((all.streams, all.bytes), (0, 0));
    }

    #[test]
    fn streams_that_come_later_wait_for_what_earlier_ones_hold_and_never_stand_still() {
        let memory = Arc::new(BatchMemory::default());
        let mut first = Share::join(&memory);
        assert!(fill(&mut first, 1 << 20) == TOTAL);
        // It has all, and its receiver takes nothing.
        let mut others: Vec<Share> = (0..63).map(|_| Share::join(&memory)).collect();
        for share in &mut others {
            assert!(!share.take(2 * RECORD, RECORD), "more than one record");
            assert!(share.take(RECORD, RECORD) && !share.take(RECORD, RECORD), "one record, once");
        }
        assert_eq!(lock(&memory.0).bytes, TOTAL + 63 * RECORD);
        first.give_back(TOTAL);
        assert!(!others.iter_mut().any(|share| fill(share, RECORD) == 0));
        assert!(fill(&mut first, RECORD) <= TOTAL / 64);
        assert!(lock(&memory.0).bytes <= TOTAL);
    }
}
