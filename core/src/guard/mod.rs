//! Rate limits on passphrase guesses, and admission control of connections (protocol.md, sections 4.4 and
//! 4.5).
//!
//! CPace leaves nothing on the wire that tests a passphrase offline: a guess costs one live handshake. Both
//! sides limit those: the [`server`] because any host may connect to it, the [`client`] because any host may
//! pretend to be a server. A handshake that succeeds costs nothing, so members are not limited.

mod alarm;
pub mod bucket;
pub mod client;
pub mod server;
mod sources;

pub use client::ClientGuard;
pub use server::{Admission, Guard, Guess, Standing, Warning};
pub use sources::Source;
