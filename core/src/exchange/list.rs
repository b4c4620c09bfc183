//! All pages of one sender's list (protocol.md, section 7).

use crate::limits::REQUESTS_MAX;
use crate::offer::Offer;
use crate::session::{ClientError, ClientEvent, ClientSession, Misuse};
use crate::time::Instant;
use crate::token::Token;
use crate::wire::{Ending, ErrorCode};

/// Requests of a connection that a list leaves to the caller, to fetch what it has found.
const REQUESTS_LEFT: u8 = 1;

/// One line of a list, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum ListEvent {
    /// A drop that can be fetched.
    Offer(Offer),
    /// A drop that ended within the last minute.
    Ending(Ending),
    /// The list is over.
    End {
        /// The revision that its first page gave: what has changed since is listed again.
        revision: u32,
    },
}

/// A list that is being read, page after page, on one connection.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The last token so far.
    after: Option<Token>,
    revision: Option<u32>,
    /// Pages asked for.
    pages: u8,
}

impl List {
    /// A list of which nothing has been read.
    pub const fn new() -> Self {
        Self { after: None, revision: None, pages: 0 }
    }

    /// Asks for the first page. The session has to be [ready](ClientEvent::Ready).
    ///
    /// # Errors
    /// If it is not, or has asked for something else.
    pub fn start(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        self.pages = self.pages.saturating_add(1);
        session.list(now, self.after)
    }

    /// What the server said: a line or the end; `None` if it says nothing.
    ///
    /// # Errors
    /// If the server refuses, or answers something else. A list that broke off proves nothing about what it
    /// did not have.
    // One copy for a probe and a fetch.
    #[inline(never)]
    pub fn handle_event(
        &mut self,
        now: Instant,
        session: &mut ClientSession,
        event: ClientEvent,
    ) -> Result<Option<ListEvent>, ClientError> {
        match event {
            ClientEvent::Offer(offer) => {
                self.after = self.after.max(Some(offer.token));
                Ok(Some(ListEvent::Offer(offer)))
            }
            ClientEvent::Ending(ending) => {
                self.after = self.after.max(Some(ending.token));
                Ok(Some(ListEvent::Ending(ending)))
            }
            ClientEvent::ListEnd { revision, more } => {
                let revision = *self.revision.get_or_insert(revision);
                if more && self.pages.saturating_add(REQUESTS_LEFT) < REQUESTS_MAX {
                    self.start(now, session)?;
                    return Ok(None);
                }
                Ok(Some(ListEvent::End { revision }))
            }
            ClientEvent::Filler => Ok(None),
            ClientEvent::Refused(ErrorCode::Busy { .. }) => Err(ClientError::Busy),
            _ => Err(ClientError::Protocol),
        }
    }
}
