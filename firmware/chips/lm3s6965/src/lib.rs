//! Drivers for the LM3S6965: a Cortex-M3 with 256 KiB of flash, 64 KiB of SRAM, and Ethernet MAC and PHY on chip.
//!
//! QEMU's machine `lm3s6965evb` models this part on its evaluation kit, and one image serves both. Register addresses
//! and bits are those of Texas Instruments, *Stellaris LM3S6965 Microcontroller Data Sheet* (DS-LM3S6965).
//!
//! Call [`clock::start`] first. This is the only crate of the firmware with unsafe code.
#![no_std]

pub mod clock;
pub mod console;
mod copy;
pub mod emulator;
pub mod ethernet;
pub mod executor;
pub mod flash;
pub mod interrupt;
pub mod led;
mod register;
mod time;
pub mod watchdog;
