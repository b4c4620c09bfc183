//! The CYW43439, the radio of Raspberry Pi's Pico W and Pico 2 W, as the network of a board.
//!
//! The chip is driven by embassy's `cyw43`. Here is what a board needs around it:
//!
//! - [`join`]: when to join the network of the provisioning record, and what to tell about it. No I/O, no clock.
//! - [`packet`]: the packets between radio and driver: the country that the driver leaves no choice of, and what would
//!   make it panic.
//! - `files`: the radio's own firmware, in a region of flash of its own.
//! - `radio`: the chip itself, with the feature `driver`.
//!
//! `firmware/docs/boards.md` has the wiring and how the radio's firmware gets there, decision 0049 the reasons.
#![no_std]

#[cfg(feature = "driver")]
mod bus;
#[cfg(feature = "driver")]
mod files;
pub mod join;
#[cfg(feature = "driver")]
mod lamp;
pub mod packet;
#[cfg(feature = "driver")]
mod radio;
#[cfg(feature = "driver")]
mod refusal;

#[cfg(feature = "driver")]
pub use {
    bus::Bus,
    files::files,
    lamp::{Guarded, Lamp, Shared},
    radio::{Device, Radio, Runner, State, new},
    refusal::{Refusal, settings},
};
