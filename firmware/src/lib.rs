//! deaddrop for boards with a network port, to be built on embassy.
//!
//! There is no application here yet: no network, no storage, no entropy. What stands here is the
//! profile of the protocol that boards keep to, and with it the certainty that core builds for bare
//! metal. The application, generic over network device, console, store and entropy, comes with the
//! firmware work.
#![no_std]

/// The budgets and sizes a board uses: small records, few connections, nothing parked.
pub use deaddrop_core::limits::BOARD as PROFILE;
