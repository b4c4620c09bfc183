//! Data records that are sealed outside of the session.

use super::request::{Dialogue, Reply, Task};
use super::stream::Phase;
use super::{ServerSession, State};
use crate::exchange::server::Server;
use crate::session::Close;
use crate::session::{Batch, BatchSealer};
use crate::time::Instant;
use crate::token::Token;

impl ServerSession {
    /// How many data records stand before the final one, while they are what is to be sent next; else 0.
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

    /// What seals the batches of this stream; `None` when there is none.
    pub fn batch_sealer(&self) -> Option<BatchSealer> {
        match &self.state {
            State::Open(Dialogue { task: Task::Stream(_), channel, .. }) => {
                Some(BatchSealer::new(channel.sealer.key().duplicate()))
            }
            _ => None,
        }
    }

    /// The next data records, at most `most` of them, and the drop they are of. They go to the peer in the
    /// order in which they were taken, before anything that [`poll_transmit`](Self::poll_transmit) gives
    /// from then on.
    ///
    /// `None` when there are none to take: all are, or the claim has ended, and then there is an answer.
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
        if let Err(refusal) = server.drops.holds(now, &stream.token, &stream.id, self.conn) {
            dialogue.answer = Some(Reply::Error(refusal.into()));
            self.close = Some(Close::Clean);
            return None;
        }
        let counters = dialogue.channel.sealer.counters();
        let Some(batch) = Batch::take(counters, stream.at, stream.record, records) else {
            self.close = Some(Close::Reset);
            return None;
        };
        // No more than what lies before the final record, so it does not overflow.
        stream.at = stream.at.saturating_add(records.saturating_mul(u64::from(stream.record)));
        let token = stream.token;
        stream.data_given(now, server, self.conn);
        Some((batch, token))
    }

    /// An error stands in the place of a record of a batch, and is all that is still to be said: the stream is
    /// over once it has been given out.
    pub fn handle_batch_ended(&mut self) {
        if let State::Open(Dialogue { task: Task::Stream(_), answer, .. }) = &mut self.state {
            *answer = None;
            self.close = Some(Close::Clean);
        }
    }
}
