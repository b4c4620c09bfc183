//! All pages of one sender's list (protocol.md, section 7).

use crate::limits::REQUESTS_MAX;
use crate::offer::Offer;
use crate::session::{ClientError, ClientEvent, ClientSession, Misuse};
use crate::time::Instant;
use crate::token::Token;
use crate::wire::{Ending, ErrorCode};

/// Pages that are asked for on one connection. The last request that a server allows is kept free, so that the caller can
/// `fetch` on the same connection.
const PAGES: u8 = REQUESTS_MAX - 1;

/// One line of a list, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum ListEvent {
    /// A drop that can be fetched.
    Offer(Offer),
    /// A drop that has ended within the last minute.
    Ending(Ending),
    /// The connection has had as many requests as it may have, and the list goes on: close it, and
    /// [`start`](List::start) again on another.
    More,
    /// The end of the whole list.
    End {
        /// The revision of its first page, so that a change since then causes another list.
        revision: u32,
    },
}

/// Reads one list, page after page, on as many connections as it takes.
#[derive(Clone, Debug)]
pub struct List {
    /// The last token read; at first one of zeros, which is never drawn.
    after: Token,
    revision: Option<u32>,
    /// Pages requested on this connection.
    pages: u8,
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// A list before its first page.
    pub const fn new() -> Self {
        Self::after(Token::from_bytes([0; 16]))
    }

    /// A list that begins after this token.
    pub const fn after(token: Token) -> Self {
        Self { after: token, revision: None, pages: 0 }
    }

    /// Requests the first page, or the next one on a new connection. The session has to be
    /// [ready](ClientEvent::Ready).
    ///
    /// # Errors
    /// If the session is not ready, or has another request.
    pub fn start(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Misuse> {
        self.pages = self.pages.saturating_add(1);
        session.list(now, Some(self.after))
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
                self.pass(offer.token)?;
                Ok(Some(ListEvent::Offer(offer)))
            }
            ClientEvent::Ending(ending) => {
                self.pass(ending.token)?;
                Ok(Some(ListEvent::Ending(ending)))
            }
            ClientEvent::ListEnd { revision, more } => {
                let revision = *self.revision.get_or_insert(revision);
                if !more {
                    return Ok(Some(ListEvent::End { revision }));
                }
                if self.pages < PAGES {
                    self.start(now, session)?;
                    return Ok(None);
                }
                self.pages = 0;
                Ok(Some(ListEvent::More))
            }
            ClientEvent::Refused(ErrorCode::Busy { .. }) => Err(ClientError::Busy),
            _ => Err(ClientError::Protocol),
        }
    }

    /// Notes a line. Each has a higher token than the one before.
    fn pass(&mut self, token: Token) -> Result<(), ClientError> {
        let ascends = self.after < token;
        self.after = token;
        if ascends { Ok(()) } else { Err(ClientError::Protocol) }
    }
}
