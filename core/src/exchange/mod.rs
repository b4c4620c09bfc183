//! What takes more than one message, or more than one connection: a whole list, and a whole fetch.
//!
//! A [`session`](crate::session) is one connection. What protocol.md says about *several* messages stands here, once for
//! every front end:
//!
//! - [`List`]: all pages of one sender's list (section 7).
//! - [`Fetch`]: one drop, over as many connections as it takes: choose, claim, store, make durable, confirm, and what a
//!   lost connection means at each of these steps (sections 7 and 8).
//!
//! - [`Server`]: a table of drops, a guard, and the sessions of all who connect (sections 4.4, 4.5 and 8).
//!
//! None of them owns a connection or a buffer. A front end drives a session as [that module](crate::session)
//! says, and hands each [`ClientEvent`](crate::session::ClientEvent) and each error to the exchange, which asks the session
//! for what comes next.

pub mod fetch;
mod list;
pub mod server;

pub use fetch::{Chunk, Fetch, FetchError, Step, Wanted};
pub use list::{List, ListEvent};
pub use server::{Server, ServerEvent, ServerSession, SessionEvent};
