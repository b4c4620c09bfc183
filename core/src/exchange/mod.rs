//! Exchanges: a whole list, a whole fetch and a whole server, as sans-IO state machines above one connection
//! (decision 0019).
//!
//! A [`session`](crate::session) is one connection. This module has the rules of protocol.md about *several*
//! messages and connections, once for every front end:
//!
//! - [`List`]: all pages of one sender's list (section 7).
//! - [`Fetch`]: one drop, over as many connections as it takes: choose, claim, store, make durable, confirm,
//!   and what a lost connection means at each step (sections 7 and 8).
//!
//! - [`Server`]: a table of drops, a guard, and the sessions of all connections (sections 4.4, 4.5 and 8).
//!
//! None of them owns a connection or a buffer. A front end drives a session as [that module](crate::session)
//! describes, and passes each [`ClientEvent`](crate::session::ClientEvent) and each error to the exchange,
//! which makes the session send the next request.

pub mod fetch;
mod list;
pub mod server;

pub use fetch::{Chunk, Fetch, FetchError, Step, Wanted};
pub use list::{List, ListEvent};
pub use server::{Server, ServerEvent, ServerSession, SessionEvent};
