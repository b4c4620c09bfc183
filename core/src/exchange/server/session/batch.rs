//! Batches on the server: data records that are sealed outside of the session.

use super::{ServerSession, State};
use crate::exchange::server::reply::Reply;
use crate::exchange::server::request::{Dialogue, Task};
use crate::exchange::server::stream::Phase;
use crate::exchange::server::tables::Server;
use crate::session::Close;
use crate::session::{Batch, BatchSealer};
use crate::time::Instant;
use crate::token::Token;

impl ServerSession {
    /// Number of data records before the final one, while they are next to be sent; else 0.
    pub fn data_records(&self) -> u64 {
        match &self.state {
            State::Open(Dialogue { task: Task::Stream(stream), answer: None, .. })
                if self.close.is_none() =>
            {
                match &stream.phase {
                    Phase::Data => {
                        stream.cut.last_at.saturating_sub(stream.at) / u64::from(stream.record.max(1))
                    }
                    _ => 0,
                }
            }
            _ => 0,
        }
    }

    /// The sealer of this stream's batches; `None` while no drop streams.
    pub fn batch_sealer(&self) -> Option<BatchSealer> {
        match &self.state {
            State::Open(Dialogue { task: Task::Stream(_), channel, .. }) => {
                Some(BatchSealer::new(channel.sealer.key().duplicate()))
            }
            _ => None,
        }
    }

    /// Takes the next data records, at most `most` of them, and returns them with their drop. Send batches in
    /// the order in which they were taken, and before any later message of
    /// [`poll_transmit`](Self::poll_transmit).
    ///
    /// `None` if all are taken, or if the claim has ended, which is then answered.
    pub fn take_batch<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        most: u64,
    ) -> Option<(Batch, Token)> {
        let records = self.data_records().min(most);
        if records == 0 {
            return None;
        }
        let State::Open(dialogue) = &mut self.state else { return None };
        let Task::Stream(stream) = &mut dialogue.task else { return None };
        // Within the data before the final record, so it does not overflow.
        let end = stream.at.saturating_add(records.saturating_mul(u64::from(stream.record)));
        if let Err(refusal) = server.drops.give(now, &stream.token, &stream.id, self.conn, end) {
            dialogue.answer = Some(Reply::Error(refusal.into()));
            self.close = Some(Close::Clean);
            return None;
        }
        let counters = dialogue.channel.sealer.counters();
        let Some(batch) = Batch::take(counters, stream.at, stream.record, records) else {
            self.close = Some(Close::Reset);
            return None;
        };
        stream.at = end;
        let token = stream.token;
        stream.data_given(now, server, self.conn);
        Some((batch, token))
    }

    /// An error has taken the place of a record of a batch and is the last message: the stream is over once
    /// it is sent.
    pub fn handle_batch_ended(&mut self) {
        if let State::Open(Dialogue { task: Task::Stream(_), answer, .. }) = &mut self.state {
            *answer = None;
            self.close = Some(Close::Clean);
        }
    }
}
