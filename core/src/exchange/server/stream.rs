//! The stream of a drop to a receiver, from the claim to the final record (protocol.md, sections 5.1 and 7).

use core::time::Duration;

use super::event::SessionEvent;
use super::reply::{Reject, Reply};
use super::tables::Server;
use crate::crypto::digest::PrefixDigest;
use crate::drops::{Claimed, Drops, Refusal};
use crate::limits::RECORD_MIN;
use crate::session::{RecordLayout, record_size};
use crate::time::Instant;
use crate::token::{ConnId, FetchId, Token};
use crate::wire::{Begin, ErrorCode, FetchRequest, Request};

/// A read that the session needs from a drop's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The drop.
    pub token: Token,
    /// The offset.
    pub offset: u64,
    /// Number of bytes; at most the length of the buffer less a record's overhead.
    pub len: usize,
    /// These are the last bytes: check first that the source is still what was offered.
    pub last: bool,
}

/// A stream of a drop to a receiver.
pub(super) struct Stream {
    pub(super) token: Token,
    pub(super) id: FetchId,
    pub(super) record: u32,
    pub(super) cut: RecordLayout,
    /// The next byte to send.
    pub(super) at: u64,
    /// `begin` has been sent: from now on every record has R + 20 bytes.
    pub(super) begun: bool,
    pub(super) phase: Phase,
}

#[expect(clippy::large_enum_variant, reason = "one of these lives in each session, never in a collection")]
pub(super) enum Phase {
    /// The receiver claims to hold the first bytes: compare their digest before the stream.
    Checking {
        digest: PrefixDigest,
        at: u64,
        end: u64,
        expected: [u8; 32],
    },
    Data,
    AwaitReady,
    Final,
}

impl Stream {
    /// Claims the drop for this receiver, unless `turn` has it wait.
    pub(super) fn begin<const D: usize, const F: usize, const S: usize, const C: usize>(
        now: Instant,
        server: &mut Server<D, F, S, C>,
        conn: ConnId,
        fetch: &FetchRequest,
        turn: impl FnOnce(&Drops<D, F>, &FetchRequest) -> Option<Duration>,
    ) -> Result<(Self, Option<Reply>), Reject> {
        let FetchRequest { token, id, record_max, offset, digest } = fetch;
        if let Some(retry_after) = turn(&server.drops, fetch) {
            server.drops.note_busy(now);
            return Err(Refusal::Busy { retry_after }.into());
        }
        let Claimed { size, given, .. } = server.drops.claim(now, token, id, conn)?;
        // No digest of bytes that were never handed out is compared: its answer would test a guess at them.
        if *offset > given || !offset.is_multiple_of(RECORD_MIN.into()) {
            server.drops.refute(now, token, id, conn)?;
            return Err(Reject::Say(ErrorCode::Malformed));
        }
        let record = record_size(server.profile().record_max, *record_max, size);
        let cut = RecordLayout::new(*offset, size, record);
        let mut stream =
            Self { token: *token, id: *id, record, cut, at: *offset, begun: false, phase: Phase::Data };
        let Some(expected) = *digest else { return Ok((stream, Some(Reply::Begin))) };
        let digest = PrefixDigest::new(*offset);
        let range = digest.range();
        stream.phase = Phase::Checking { digest, at: range.start, end: range.end, expected };
        Ok((stream, None))
    }

    /// The content of `begin`, unless the claim lapsed meanwhile.
    pub(super) fn words<const D: usize, const F: usize, const S: usize, const C: usize>(
        &self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        conn: ConnId,
    ) -> Result<Begin, Refusal> {
        let Claimed { kind, name, size, .. } = server.drops.claimed(now, &self.token, &self.id, conn)?;
        Ok(Begin { kind, name, size, offset: self.at, record: self.record })
    }

    /// The next read.
    pub(super) fn read(&self) -> Option<Read> {
        let (offset, len, last) = match &self.phase {
            Phase::Checking { at, end, .. } => {
                (*at, end.saturating_sub(*at).min(u64::from(self.record)), false)
            }
            Phase::Data => (self.at, u64::from(self.record), false),
            Phase::Final => (self.cut.last_at, u64::from(self.cut.last_len), true),
            Phase::AwaitReady => return None,
        };
        // At most a record, which fits a usize wherever a buffer for it does.
        Some(Read { token: self.token, offset, len: usize::try_from(len).unwrap_or(0), last })
    }

    /// After the whole prefix is read: whether its digest is the receiver's. The stream is then at its offset.
    pub(super) fn checked(&mut self) -> Option<bool> {
        if matches!(&self.phase, Phase::Checking { at, end, .. } if at < end) {
            return None;
        }
        match core::mem::replace(&mut self.phase, Phase::Data) {
            Phase::Checking { digest, expected, .. } => Some(digest.matches(&expected)),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// `begin` or a data record has been sent: notes whether it was the last before the final one.
    pub(super) fn data_given<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        conn: ConnId,
    ) {
        if self.at >= self.cut.last_at {
            self.phase = Phase::AwaitReady;
            // If the claim has lapsed meanwhile, the answer to `ready` says so.
            let _ = server.drops.all_sent(now, &self.token, &self.id, conn);
        }
    }

    pub(super) fn handle_request<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        conn: ConnId,
        request: &Request,
    ) -> Result<Option<SessionEvent>, Reject> {
        let ours = |token: &Token, id: &FetchId| *token == self.token && *id == self.id;
        match request {
            // A receiver cannot have stored what was not sent.
            Request::Progress { stored, .. } if *stored > self.at => Err(Reject::Say(ErrorCode::Malformed)),
            Request::Progress { token, id, stored } if ours(token, id) => {
                server.drops.progress(now, token, id, conn, *stored)?;
                Ok(None)
            }
            Request::Ready { token, id } if ours(token, id) && matches!(self.phase, Phase::AwaitReady) => {
                server.drops.holds(now, token, id, conn)?;
                self.phase = Phase::Final;
                Ok(None)
            }
            Request::Release { token, id } if ours(token, id) => {
                server.drops.release(now, token, id, conn);
                Err(Reject::End)
            }
            _ => Err(Reject::Say(ErrorCode::Malformed)),
        }
    }
}
