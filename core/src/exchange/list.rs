//! All pages of one sender's list (protocol.md, section 7).

use crate::limits::REQUESTS_MAX;
use crate::offer::Offer;
use crate::session::{ClientError, ClientEvent, ClientSession, Misuse};
use crate::time::Instant;
use crate::token::Token;
use crate::wire::{Ending, ErrorCode};

/// Requests of a connection that a list leaves to the caller, for a `fetch`.
const REQUESTS_LEFT: u8 = 1;

/// One line of a list, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum ListEvent {
    /// A drop that can be fetched.
    Offer(Offer),
    /// A drop that has ended within the last minute.
    Ending(Ending),
    /// The end of the list.
    End {
        /// The revision of its first page, so that a change since then causes another list.
        revision: u32,
    },
}

/// Reads one list, page after page, on one connection.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The last token read.
    after: Option<Token>,
    revision: Option<u32>,
    /// Pages requested.
    pages: u8,
}

impl List {
    /// A list before its first page.
    pub const fn new() -> Self {
        Self { after: None, revision: None, pages: 0 }
    }

    /// Requests the first page. The session has to be [ready](ClientEvent::Ready).
    ///
    /// # Errors
    /// If the session is not ready, or has another request.
    pub fn start(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        self.pages = self.pages.saturating_add(1);
        session.list(now, self.after)
    }

    /// Handles an event of the session. Returns a line or the end of the list; `None` for padding.
    ///
    /// # Errors
    /// If the server refuses, or its answer is illegal. A list that broke off proves nothing about drops that
    /// it did not have.
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
            ClientEvent::Refused(ErrorCode::Busy { .. }) => Err(ClientError::Busy),
            _ => Err(ClientError::Protocol),
        }
    }
}
