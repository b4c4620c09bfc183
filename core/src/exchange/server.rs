//! A server: a table of drops, a guard, and the connections that share them (protocol.md, sections 4.4, 4.5
//! and 8).
//!
//! # Use
//!
//! For each accepted connection, [`Server::open`] returns a [`ServerSession`] to drive. After every call into
//! the server or one of its sessions, call [`Server::poll_event`] until `None`. A [`Wake`](ServerEvent::Wake)
//! names a connection whose [`ServerSession::handle_wake`] has to be called; all other events are for the
//! front end. At [`Server::poll_timeout`], call [`Server::handle_timeout`].

mod event;
mod reply;
mod request;
mod session;
mod stream;
mod tables;
mod turns;

pub use event::{ServerEvent, SessionEvent};
pub use session::ServerSession;
pub use stream::Read;
pub use tables::Server;
pub use turns::Turns;
