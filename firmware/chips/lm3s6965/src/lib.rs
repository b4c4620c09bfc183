//! Drivers for the LM3S6965: a Cortex-M3 with 256 KiB of flash, 64 KiB of SRAM and an Ethernet port of its
//! own.
//!
//! QEMU's `lm3s6965evb` is a model of this part on its evaluation kit, and one image serves both. Register
//! numbers are those of TI's data sheet (SPMS... *LM3S6965 Microcontroller Data Sheet*).
//!
//! [`clock::start`] comes first. This is the one crate of the firmware with unsafe code.
#![no_std]

pub mod clock;
pub mod console;
pub mod emulator;
pub mod ethernet;
pub mod executor;
pub mod flash;
pub mod interrupt;
pub mod led;
mod register;
mod time;
pub mod watchdog;
