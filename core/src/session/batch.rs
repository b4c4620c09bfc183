//! Batches: consecutive data records of a stream that are sealed or opened outside of the session, on other
//! cores, concurrently and in any order (decision 0015). The session assigns their positions and AEAD
//! counters.

use core::fmt;

use crate::crypto::counter::{CounterRange, Counters};
use crate::crypto::record::{OpenError, RecordKey, RecordKind, SealError};
use crate::limits::RECORD_OVERHEAD;
use crate::wire::{Answer, ErrorCode};

/// Consecutive data records: their offset in the drop, and the AEAD counters reserved for them.
///
/// Not `Clone`, so that each record is sealed or opened once.
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

    /// Offset in the drop of the next record.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Number of records left.
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

    /// Seals an error in place of the batch's next record. The stream ends with it: send no record that was
    /// sealed for a later position.
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

/// The content of a record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of the drop, now at the front of the buffer.
    Data {
        /// Their offset in the drop.
        offset: u64,
    },
    /// The server ended the stream with this error. Nothing follows.
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
    /// If authentication fails, or the content is illegal in a batch. End the connection.
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
            // The final record is never in a batch: the server withholds it until `ready`.
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
