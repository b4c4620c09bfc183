//! The source of the drop that is sent: what is needed of it, what came, and how it ends.

use super::{ServerSession, State};
use crate::crypto::record::RecordKind;
use crate::drops::Refusal;
use crate::exchange::server::reply::Reply;
use crate::exchange::server::request::{Dialogue, Task};
use crate::exchange::server::stream::{Phase, Read};
use crate::exchange::server::tables::Server;
use crate::limits::RECORD_OVERHEAD;
use crate::session::{Close, Misuse};
use crate::time::Instant;
use crate::wire::ErrorCode;
use rand_core::CryptoRng;

impl ServerSession {
    /// The bytes needed from a drop's source, when no message has to be sent first.
    pub fn poll_read(&self) -> Option<Read> {
        let State::Open(Dialogue { task: Task::Stream(stream), answer: None, .. }) = &self.state else {
            return None;
        };
        if self.close.is_some() {
            return None;
        }
        stream.read()
    }

    /// Handles the bytes that [`poll_read`](Self::poll_read) asked for, at the front of `buffer`. Returns the
    /// number of bytes of `buffer` to send: a sealed record, or none.
    ///
    /// The final record goes out only through here, after the table of drops has moved the claim to final.
    pub fn handle_read<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        buffer: &mut [u8],
    ) -> Result<usize, Misuse> {
        let read = self.poll_read().ok_or(Misuse::OutOfTurn)?;
        let State::Open(dialogue) = &mut self.state else { return Err(Misuse::OutOfTurn) };
        let Task::Stream(stream) = &mut dialogue.task else { return Err(Misuse::OutOfTurn) };
        let size = stream.record as usize + RECORD_OVERHEAD;
        // At most the drop's size, so it does not overflow.
        let end = read.offset.wrapping_add(read.len as u64);
        let allowed = if let Phase::Checking { digest, at, .. } = &mut stream.phase {
            digest.update(buffer.get(..read.len).ok_or(Misuse::Buffer)?);
            *at = end;
            match stream.checked() {
                None => return Ok(0),
                Some(true) => {
                    dialogue.answer = Some(Reply::Begin);
                    return Ok(0);
                }
                // Without the claim, a right digest and a wrong one get the same answer.
                Some(false) => {
                    server.drops.refute(now, &stream.token, &stream.id, self.conn).and(Err(Refusal::Changed))
                }
            }
        } else {
            // Before the claim becomes final.
            buffer.get(..size).ok_or(Misuse::Buffer)?;
            let data = (!read.last).then_some(end);
            server.drops.hand_out(now, &stream.token, &stream.id, self.conn, data)
        };
        if let Err(refusal) = allowed {
            dialogue.answer = Some(Reply::Error(refusal.into()));
            self.close = Some(Close::Clean);
            return Ok(0);
        }
        let record = buffer.get_mut(..size).ok_or(Misuse::Buffer)?;
        let kind = if read.last { RecordKind::Final } else { RecordKind::Data };
        if dialogue.channel.sealer.seal(record, kind, read.len).is_err() {
            self.close = Some(Close::Reset);
            return Ok(0);
        }
        if read.last {
            dialogue.task = Task::Idle;
            dialogue.committing = true;
        } else {
            stream.at = end;
            stream.data_given(now, server, self.conn);
        }
        Ok(size)
    }

    /// The drop ended while it was sent, and its source is gone: answers with the reason.
    pub fn handle_ended<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
    ) {
        if let State::Open(Dialogue { task: Task::Stream(stream), answer, .. }) = &mut self.state {
            let held = server.drops.holds(now, &stream.token, &stream.id, self.conn);
            *answer = Some(Reply::Error(held.err().map_or(ErrorCode::Gone, Into::into)));
            self.close = Some(Close::Clean);
        }
    }

    /// The source is no longer what was offered: answers `changed` and withdraws the drop.
    pub fn handle_changed<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
    ) {
        if let State::Open(Dialogue { task: Task::Stream(stream), answer, .. }) = &mut self.state {
            server.drops.changed(now, &stream.token, rng);
            *answer = Some(Reply::Error(ErrorCode::Changed));
            self.close = Some(Close::Clean);
        }
    }
}
