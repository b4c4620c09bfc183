//! The deaddrop protocol, version 1: bytes in, bytes out, time and randomness handed in.
//!
//! No allocator, no clock, no sockets, no global randomness, no unsafe code. A front end owns all of
//! those and drives what stands here. From the bottom up:
//!
//! - [`limits`]: every capacity and deadline. [`time`], [`secret`], [`token`], [`offer`]: the types.
//! - [`wire`]: what the bytes mean; parse and emit, nothing else.
//! - [`crypto`]: CPace, the key schedule, and the sealing of records.
//! - [`drops`]: the table of drops; who may take one, and when it is gone.
//! - [`guard`]: how often anyone may guess, and how many connections may wait.
//! - [`discovery`]: beacons to send, senders heard, offers known.
//! - [`session`]: one connection: the handshake, and the fetching end.
//! - [`exchange`]: whole lists, whole fetches and a whole server, over as many messages and connections as it takes.
//!
//! The normative text is `docs/protocol.md` in this crate.
#![no_std]

#[cfg(feature = "derive")]
extern crate alloc;

pub mod crypto;
#[cfg(feature = "derive")]
pub mod derive;
pub mod discovery;
pub mod drops;
pub mod exchange;
pub mod guard;
pub mod limits;
pub mod offer;
mod random;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod token;
pub mod wire;
