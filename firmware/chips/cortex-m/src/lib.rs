//! What every Cortex-M board has, whatever its chip.
//!
//! - [`Retained`]: RAM that outlives a reset.
//! - [`crash`]: handlers of panics, faults and unknown interrupts, which note what happened there and reset the chip.
//! - On an Armv6-M core, a [multiply of 64 bits](deaddrop_long_multiply).
//!
//! The linker script gives both their memory: `deaddrop-memory-map` derives it from the regions `STACK` and `RETAINED` of
//! a board's `memory.x`. The stack is at the bottom of RAM, so that one that grows too deep is a fault, and not a change
//! of data that belongs to something else.
#![no_std]

pub mod crash;
mod retained;

pub use retained::Retained;

// Links its `__aeabi_lmul`.
use deaddrop_long_multiply as _;
