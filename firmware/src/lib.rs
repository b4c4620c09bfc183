//! deaddrop for boards with a network port, on embassy.
//!
//! - [`boot`]: from what a board was provisioned with to what it needs to talk, or a refusal with its words.
//! - [`addressing`]: the address settings of a page, as a network stack takes them.
//! - [`mac`]: a hardware address for boards that were not given one.
//!
//! There is no application here yet.
#![no_std]

pub mod addressing;
pub mod boot;
pub mod mac;

/// The budgets and sizes a board uses: small records, few connections, nothing parked.
pub use deaddrop_core::limits::BOARD as PROFILE;
