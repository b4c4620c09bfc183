//! deaddrop for boards with a network port, on embassy.
//!
//! - [`app`]: a member of the room on a network stack: hears offers, fetches, and serves drops of its own.
//! - [`boot`]: from what a board was provisioned with to what it needs to talk, or a refusal with its words.
//! - [`store`]: what was received and what is to be offered, in bounded RAM, wiped when it goes.
//! - [`console`]: the serial console: line editing, commands, and news in words.
//! - [`desk`]: what the person at the console and the network side say to each other.
#![no_std]

pub mod app;
pub mod boot;
pub mod console;
pub mod desk;
pub mod store;

/// The budgets and sizes a board uses: small records, few connections, nothing parked.
pub use deaddrop_core::limits::BOARD as PROFILE;
