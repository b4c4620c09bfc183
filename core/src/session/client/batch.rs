//! Batches on the client: data records that are opened outside of the session.

use super::{Awaits, ClientError, ClientEvent, ClientSession, Dialogue, State};
use crate::session::Misuse;
use crate::session::batch::{Batch, BatchOpener};
use crate::time::Instant;
use crate::wire::{Answer, ErrorCode};

impl ClientSession {
    /// Number of data records still to come before the final one; 0 while no drop streams.
    pub fn data_records(&self) -> u64 {
        match &self.state {
            State::Open(Dialogue { awaits: Awaits::Stream { record, cut, at, .. }, .. }) => {
                cut.last_at.saturating_sub(*at) / u64::from((*record).max(1))
            }
            _ => 0,
        }
    }

    /// The opener of this stream's batches; `None` while no drop streams.
    pub fn batch_opener(&self) -> Option<BatchOpener> {
        match &self.state {
            State::Open(Dialogue { awaits: Awaits::Stream { .. }, channel, .. }) => {
                Some(BatchOpener::new(channel.opener.key().duplicate()))
            }
            _ => None,
        }
    }

    /// Takes the next `records` data records, which have been read whole, as a batch. Whatever they contain,
    /// later messages come after them.
    ///
    /// # Errors
    /// If a stream does not have that many left before its final record.
    pub fn take_batch(&mut self, now: Instant, records: u64) -> Result<Batch, Misuse> {
        if records == 0 || records > self.data_records() {
            return Err(Misuse::OutOfTurn);
        }
        let State::Open(dialogue) = &mut self.state else { return Err(Misuse::OutOfTurn) };
        let Awaits::Stream { record, at, .. } = &mut dialogue.awaits else { return Err(Misuse::OutOfTurn) };
        let batch = Batch::take(dialogue.channel.opener.counters(), *at, *record, records);
        let batch = batch.ok_or(Misuse::OutOfTurn)?;
        // Within the data before the final record, so it does not overflow.
        *at = at.saturating_add(records.saturating_mul(u64::from(*record)));
        self.heard = now;
        Ok(batch)
    }

    /// A record of a batch contained an error, which ends the stream.
    ///
    /// # Errors
    /// If no drop streams.
    pub fn handle_refused(&mut self, code: ErrorCode) -> Result<ClientEvent, ClientError> {
        match &mut self.state {
            State::Open(dialogue) if matches!(dialogue.awaits, Awaits::Stream { .. }) => {
                dialogue.handle_answer(Answer::Error(code)).flatten().ok_or(ClientError::Protocol)
            }
            _ => Err(ClientError::Protocol),
        }
    }
}
