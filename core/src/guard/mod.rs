//! How often anyone may guess, and how many connections may wait.
//!
//! Nothing on the wire tests a passphrase offline: a guess costs one live handshake. Both sides count
//! those, the [`server`] because anyone may connect to it, the [`client`] because anyone may pretend
//! to be a server. What proves to be no guess costs nothing, so members do not notice.

mod alarm;
pub mod bucket;
pub mod client;
pub mod server;
mod sources;

pub use client::ClientGuard;
pub use server::{Admission, Guard, Guess, Standing, Warning};
