//! deaddrop for boards with a network port, on embassy.
//!
//! - [`app`]: a member of the room on a network stack: receives beacons, fetches drops, and serves its own.
//! - [`board`]: a board from its start on: the order of the steps, restarts, refusals.
//! - [`signal`]: the blink codes of the lamp.
//! - [`boot`]: reads the provisioning record and ratchets the seed, or says why the board must not talk.
//! - [`addressing`]: the board's address: as provisioned, or chosen where nobody gives one.
//! - [`mac`]: a MAC address for boards without one.
//! - [`store`]: received and offered drops, in RAM of fixed size, wiped when removed.
//! - [`console`]: the serial console: line editing, commands, and events as text.
//! - [`mailbox`]: commands from the console to the app, and events back.
//! - [`sizes`]: what a product chooses in the environment of its build.
//! - [`events`]: the same events for several listeners.
//! - [`values`]: small values that outlive a reset, in flash or in RAM.
//!
//! A product of its own uses the room by [`app::Room`]. Types of other crates that this one's functions take are in
//! [`embassy_net`], [`chacha20`] and the others re-exported below, so that their versions agree.
#![no_std]

pub mod addressing;
pub mod app;
pub mod board;
pub mod boot;
pub mod console;
pub mod events;
pub mod mac;
pub mod mailbox;
pub mod signal;
pub mod sizes;
pub mod store;
pub mod values;

pub use sizes::PROFILE;

pub use {
    chacha20, deaddrop_core, deaddrop_provisioning, embassy_net, embassy_net_driver, embedded_io_async,
    embedded_storage, rand_core,
};
