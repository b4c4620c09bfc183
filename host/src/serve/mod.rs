//! Serving drops: the state of a sender, its TCP port, and its connections.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod listen;
pub(crate) mod server;
