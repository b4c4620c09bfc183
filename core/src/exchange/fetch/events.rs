//! What each message of the server means for a fetch: choose the drop, claim it, receive it (protocol.md,
//! section 7).

use super::{Chunk, Fetch, FetchError, State, ended, misuse};
use crate::exchange::list::{List, ListEvent};
use crate::limits::{RECORD_MIN, RESUME_TIMEOUT};
use crate::offer::{EndReason, Kind};
use crate::session::{ClientError, ClientEvent, ClientSession, Close, FetchPlan, Misuse};
use crate::time::Instant;
use crate::trace::decision;
use crate::wire::{Begin, ErrorCode};

impl Fetch {
    pub(super) fn take(
        &mut self,
        now: Instant,
        session: &mut ClientSession,
        event: ClientEvent,
    ) -> Result<Option<Chunk>, FetchError> {
        match (&mut self.state, event) {
            (State::List { list, .. }, event) => {
                if let Some(line) = list.handle_event(now, session, event)? {
                    self.take_line(now, session, line)?;
                }
            }
            (_, ClientEvent::Refused(code)) => return Err(FetchError::Refused(code)),
            (State::Handshake, ClientEvent::Ready) => self.start(now, session).map_err(misuse)?,
            (State::Claim, ClientEvent::Begin(begin)) => self.begin(now, &begin)?,
            (State::Stream, ClientEvent::Data { len }) => {
                // The position of the session is the end of these bytes.
                let offset = session.position().unwrap_or_default().saturating_sub(len as u64);
                return Ok(Some(Chunk { offset, len }));
            }
            (State::Stream, ClientEvent::Final { len }) => {
                let size = self.offer.as_ref().map_or(0, |offer| offer.size);
                self.state = State::Persist { connected: true };
                return Ok(Some(Chunk { offset: size.saturating_sub(len as u64), len }));
            }
            (State::Commit, ClientEvent::Burned) => {
                decision!("fetch: confirmed");
                self.state = ended(true, Close::Clean, Ok(true));
            }
            _ => return Err(ClientError::Protocol.into()),
        }
        Ok(None)
    }

    /// The session is ready: sends the first request.
    fn start(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        if self.persisted {
            return self.commit(now, session);
        }
        if self.offer.is_none() {
            // The drops that match are the first ones.
            let mut list = List::after(self.prefix.before());
            list.start(now, session)?;
            self.state = State::List { list, ambiguous: false, ended: None };
            return Ok(());
        }
        if self.approved {
            return self.claim(now, session);
        }
        self.state = State::Approve;
        Ok(())
    }

    /// One line of the sender's list: chooses the drop whose token has the prefix.
    fn take_line(
        &mut self,
        now: Instant,
        session: &mut ClientSession,
        line: ListEvent,
    ) -> Result<(), FetchError> {
        let State::List { ambiguous, ended, .. } = &mut self.state else { return Ok(()) };
        match line {
            ListEvent::Offer(offer) if self.prefix.matches(&offer.token) => {
                *ambiguous |= self.offer.is_some();
                self.offer = Some(offer);
            }
            ListEvent::Ending(ending) if self.prefix.matches(&ending.token) => *ended = Some(ending.reason),
            ListEvent::Offer(_) | ListEvent::Ending(_) => {}
            // However many more there are, those that match were the first.
            ListEvent::End { .. } | ListEvent::More if *ambiguous => return Err(FetchError::Ambiguous),
            ListEvent::End { .. } | ListEvent::More if self.offer.is_none() => {
                return Err(FetchError::Refused(match ended {
                    Some(EndReason::Expired) => ErrorCode::Expired,
                    Some(_) => ErrorCode::Gone,
                    None => ErrorCode::Unknown,
                }));
            }
            ListEvent::End { .. } | ListEvent::More => self.start(now, session).map_err(misuse)?,
        }
        Ok(())
    }

    /// Claims the drop, at the resume offset.
    pub(super) fn claim(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        let token = self.token().ok_or(Misuse::OutOfTurn)?;
        let digest = self.digest.take();
        let offset = if digest.is_some() { self.resume_offset() } else { 0 };
        // The final record is asked for when nobody else can have the drop any more. So that its receiver knows by then
        // how much the entries take, a small bundle comes in small records.
        let small = self.offer.as_ref().is_some_and(|offer| {
            offer.kind == Kind::Directory && offer.size <= u64::from(self.profile.record_max)
        });
        let record_max = if small { RECORD_MIN } else { self.profile.record_max };
        session.fetch(now, &FetchPlan { token, id: self.id, record_max, offset, digest })?;
        self.state = State::Claim;
        Ok(())
    }

    /// Handles `begin`: the claim is granted, if it is of the chosen drop.
    fn begin(&mut self, now: Instant, begin: &Begin) -> Result<(), FetchError> {
        let same = self.offer.as_ref().is_some_and(|offer| {
            (offer.kind, &offer.name, offer.size) == (begin.kind, &begin.name, begin.size)
        });
        if !same {
            return Err(FetchError::Refused(ErrorCode::Changed));
        }
        decision!(
            "fetch: claimed: {} bytes from {} on, records of {}",
            begin.size,
            begin.offset,
            begin.record
        );
        if !core::mem::replace(&mut self.claimed, true) {
            // Once: a server that begins and breaks off again and again makes no progress.
            self.failures = 0;
            self.give_up = now + RESUME_TIMEOUT;
        }
        (self.stored, self.begun) = (begin.offset, (begin.offset, begin.record));
        self.told = now;
        self.state = State::Stream;
        Ok(())
    }
}
