//! Requests of an authenticated client, one after the other (protocol.md, section 7).

use core::time::Duration;

use rand_core::CryptoRng;

use super::event::SessionEvent;
use super::reply::{Reject, Reply};
use super::stream::Stream;
use super::tables::Server;
use crate::crypto::record::RecordKind;
use crate::drops::{Committed, Drops, Listed};
use crate::limits::LIST_RECORDS;
use crate::session::Channel;
use crate::time::Instant;
use crate::token::{ConnId, Token};
use crate::wire::{Answer, ControlError, Ending, ErrorCode, FetchRequest, Request};

/// An authenticated connection.
pub(super) struct Dialogue {
    pub(super) channel: Channel,
    pub(super) requests: u8,
    pub(super) answer: Option<Reply>,
    pub(super) task: Task,
    /// A final claim waits for `commit`, on this connection or another.
    pub(super) committing: bool,
}

#[expect(clippy::large_enum_variant, reason = "one of these lives in each session, never in a collection")]
pub(super) enum Task {
    Idle,
    Listing { after: Option<Token>, sent: usize, revision: u32, filled: bool },
    Stream(Stream),
}

impl From<Listed> for Answer {
    fn from(listed: Listed) -> Self {
        match listed {
            Listed::Offer(offer) => Self::Offer(offer),
            Listed::Ending { token, reason } => Self::Ending(Ending { token, reason }),
        }
    }
}

/// The request in a record.
pub(super) fn parse(kind: RecordKind, payload: &[u8]) -> Result<Request, ControlError> {
    match kind {
        RecordKind::Control => Request::parse(payload),
        _ => Err(ControlError::Malformed),
    }
}

impl Dialogue {
    pub(super) fn handle_request<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        rng: &mut impl CryptoRng,
        conn: ConnId,
        request: &Request,
        turn: impl FnOnce(&Drops<D, F>, &FetchRequest) -> Option<Duration>,
    ) -> Result<Option<SessionEvent>, Reject> {
        match request {
            Request::List { after } => {
                let revision = server.drops.revision();
                self.task = Task::Listing { after: *after, sent: 0, revision, filled: false };
            }
            Request::Fetch(fetch) => {
                let (stream, answer) = Stream::begin(now, server, conn, fetch, turn)?;
                self.task = Task::Stream(stream);
                self.answer = answer;
            }
            Request::Commit { token, id } => {
                let committed = server.drops.commit(now, token, id, rng)?;
                let first = matches!(committed, Committed::Burned { .. });
                self.answer = Some(Reply::Burned);
                self.committing = false;
                return Ok(first.then_some(SessionEvent::Fetched { token: *token }));
            }
            // The receiver still sends `progress` while it makes its copy durable.
            Request::Progress { token, id, stored } => {
                server.drops.progress(now, token, id, conn, *stored)?;
            }
            Request::Release { token, id } => {
                server.drops.release(now, token, id, conn);
                return Err(Reject::End);
            }
            Request::Ready { .. } => return Err(Reject::Say(ErrorCode::Malformed)),
        }
        Ok(None)
    }

    /// The control message to send next.
    pub(super) fn next_answer<const D: usize, const F: usize, const S: usize, const C: usize>(
        &mut self,
        now: Instant,
        server: &mut Server<D, F, S, C>,
        conn: ConnId,
    ) -> Option<Answer> {
        match (self.answer.take(), &mut self.task) {
            (Some(Reply::Begin), Task::Stream(stream)) => {
                let begin = stream.words(now, server, conn);
                Some(begin.map_or_else(|refusal| Answer::Error(refusal.into()), Answer::Begin))
            }
            (Some(Reply::Burned), _) => Some(Answer::Burned),
            (Some(Reply::Error(code)), _) => Some(Answer::Error(code)),
            (None, Task::Listing { after, sent, revision, filled }) => {
                // A drop that is put on the table now is not listed behind a filler.
                let next = if *filled { None } else { server.drops.listed_after(now, *after) };
                if *sent + 1 == LIST_RECORDS {
                    let end = Answer::End { revision: *revision, more: next.is_some() };
                    self.task = Task::Idle;
                    return Some(end);
                }
                *sent += 1;
                Some(match next {
                    Some(listed) => {
                        *after = Some(listed.token());
                        listed.into()
                    }
                    None => {
                        *filled = true;
                        Answer::Filler
                    }
                })
            }
            _ => None,
        }
    }
}
