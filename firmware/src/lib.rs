//! deaddrop for boards with a network port, on embassy.
//!
//! - [`app`]: a member of the room on a network stack: receives beacons, fetches drops, and serves its own.
//! - [`board`]: a board from its start on: the order of the steps, restarts, refusals.
//! - [`signal`]: the blink codes of the lamp.
//! - [`boot`]: reads the provisioning record and ratchets the seed, or says why the board must not talk.
//! - [`addressing`]: the address settings of a provisioning record as embassy-net's configuration.
//! - [`mac`]: a MAC address for boards without one.
//! - [`store`]: received and offered drops, in RAM of fixed size, wiped when removed.
//! - [`console`]: the serial console: line editing, commands, and events as text.
//! - [`mailbox`]: commands from the console to the app, and events back.
#![no_std]

pub mod addressing;
pub mod app;
pub mod board;
pub mod boot;
pub mod console;
pub mod mac;
pub mod mailbox;
pub mod signal;
pub mod store;

/// The budgets and sizes a board uses: small records, few connections, nothing parked.
pub use deaddrop_core::limits::BOARD as PROFILE;
