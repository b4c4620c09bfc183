//! Consecutive data records of a stream, sealed or opened outside of the session: on other cores, several
//! batches at a time, in any order. The session says which records they are and counts them as its own.

use core::fmt;

use crate::crypto::counter::{CounterRange, Counters};
use crate::crypto::record::{OpenError, RecordKey, RecordKind, SealError};
use crate::limits::RECORD_OVERHEAD;
use crate::wire::{Answer, ErrorCode};

/// Consecutive data records: where in the drop they stand, and the counters that only they may use.
///
/// Not `Clone`: every record of it is sealed or opened once.
#[derive(Debug)]
pub struct Batch {
    offset: u64,
    record: u32,
    counters: CounterRange,
}

impl Batch {
    /// The next `records` records of `record` bytes; `None` if the key's counters do not suffice.
    pub(crate) fn take(counters: &mut Counters, offset: u64, record: u32, records: u64) -> Option<Self> {
        Some(Self { offset, record, counters: counters.take(records).ok()? })
    }

    /// Where in the drop the next record begins.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// How many records are left.
    pub const fn records(&self) -> u64 {
        self.counters.left()
    }

    /// Bytes of the drop in each record.
    pub const fn record(&self) -> usize {
        self.record as usize
    }

    /// Bytes of each record on the wire.
    pub const fn record_len(&self) -> usize {
        self.record as usize + RECORD_OVERHEAD
    }
}

/// Seals the batches of one stream. Wiped when dropped.
pub struct BatchSealer {
    key: RecordKey,
}

impl BatchSealer {
    pub(crate) const fn new(key: RecordKey) -> Self {
        Self { key }
    }

    /// Seals the first bytes of `buffer` in place as the batch's next record.
    ///
    /// # Errors
    /// If `buffer` has not the length of a record, or the batch has none left.
    pub fn seal(&self, batch: &mut Batch, buffer: &mut [u8]) -> Result<(), SealError> {
        if buffer.len() != batch.record_len() {
            return Err(SealError::RecordSize);
        }
        let counter = batch.counters.next().ok_or(SealError::Exhausted)?;
        self.key.seal_at(counter, buffer, RecordKind::Data, batch.record())?;
        batch.offset = batch.offset.saturating_add(u64::from(batch.record));
        Ok(())
    }

    /// Seals an error in the place of the batch's next record. The stream ends with it: nothing that was
    /// sealed for a later place may be sent.
    ///
    /// # Errors
    /// If `buffer` has not the length of a record, or the batch has none left.
    pub fn seal_error(&self, mut batch: Batch, code: ErrorCode, buffer: &mut [u8]) -> Result<(), SealError> {
        if buffer.len() != batch.record_len() {
            return Err(SealError::RecordSize);
        }
        let counter = batch.counters.next().ok_or(SealError::Exhausted)?;
        let len = Answer::Error(code).emit(buffer).map_err(|_| SealError::PayloadSize)?;
        self.key.seal_at(counter, buffer, RecordKind::Control, len)
    }
}

impl fmt::Debug for BatchSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchSealer(..)")
    }
}

/// What stood in a record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of the drop, which now fill the front of the buffer.
    Data {
        /// Where in the drop they belong.
        offset: u64,
    },
    /// The server ended the stream, and this is why. Nothing follows.
    Refused(ErrorCode),
}

/// Opens the batches of one stream. Wiped when dropped.
pub struct BatchOpener {
    key: RecordKey,
}

impl BatchOpener {
    pub(crate) const fn new(key: RecordKey) -> Self {
        Self { key }
    }

    /// Opens `buffer` in place as the batch's next record.
    ///
    /// # Errors
    /// If it does not open, or holds what no server sends there: the connection is to end.
    pub fn open(&self, batch: &mut Batch, buffer: &mut [u8]) -> Result<Content, OpenError> {
        if buffer.len() != batch.record_len() {
            return Err(OpenError::RecordSize);
        }
        let counter = batch.counters.next().ok_or(OpenError::Exhausted)?;
        let opened = self.key.open_at(counter, buffer)?;
        match opened.kind {
            RecordKind::Data if opened.len == batch.record() => {
                let offset = batch.offset;
                batch.offset = offset.saturating_add(u64::from(batch.record));
                Ok(Content::Data { offset })
            }
            RecordKind::Data => Err(OpenError::Length),
            // Withheld until we are ready for it: there is none in a batch.
            RecordKind::Final => Err(OpenError::Kind(RecordKind::Final as u8)),
            RecordKind::Control => match Answer::parse(buffer.get(..opened.len).unwrap_or_default()) {
                Ok(Answer::Error(code)) => Ok(Content::Refused(code)),
                _ => Err(OpenError::Kind(RecordKind::Control as u8)),
            },
        }
    }
}

impl fmt::Debug for BatchOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchOpener(..)")
    }
}
