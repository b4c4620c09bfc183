//! The environment of tests of whole programs. The tests of `host` use it, and the demo and the tests of the
//! emulated board in `xtask`.
//!
//! - [`lan`]: hosts in network namespaces on one switch. [`capture`]: every packet that passes the switch.
//! - [`process`]: a child process, its events (JSON lines) and its exit. [`events`]: the schema of deaddrop's events, with
//!   which each of them is compared. [`neighbour`]: a part of a test that runs
//!   on another host.
//! - [`emulator`]: a board in QEMU. [`serial_line`]: the text of its console. [`board_console`]: the firmware's
//!   commands and messages on it.
//! - [`actor`]: a relay that stalls, servers that do not serve. [`adversary`]: forged beacons and handshakes.
//!   [`flood`]: many of either.
//! - [`terminal`]: a terminal that a program is run at. [`screen`]: what it shows, emulated.
//! - [`tunnel`]: a point-to-point link, on a network that may be bad.
//! - [`scratch`], [`secret_file`], [`noise`]: temporary folders, files that only their owner can read, content.
//!
//! Namespaces take root or unprivileged user namespaces, and `ip` of iproute2. No packet leaves the machine.
//!
//! A command of `xtask` reports a [`Failure`]; a test panics. Where both need a step, the method that returns
//! `Result` does the work and the one that panics calls it.

pub mod actor;
pub mod adversary;
pub mod board_console;
#[cfg(target_os = "linux")]
pub mod capture;
pub mod command;
pub mod emulator;
pub mod events;
pub mod failure;
pub mod fifo;
pub mod flood;
pub mod lan;
pub mod neighbour;
pub mod noise;
pub mod process;
pub mod scratch;
pub mod screen;
pub mod secret_file;
pub mod serial_line;
pub mod terminal;
pub mod tunnel;

pub use failure::Failure;

use std::time::Duration;

/// The passphrase of the room in which most tests meet.
pub const ROOM: &str = "copper lantern harbour ninety";

/// How long a test waits for what should happen at once. After that it fails; it does not measure.
pub const PATIENCE: Duration = Duration::from_secs(60);
