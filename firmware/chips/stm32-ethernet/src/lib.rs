//! The Ethernet port of STM32H5 and STM32H7.
//!
//! embassy-stm32 0.6 sets up pins, clocks, MAC and DMA. Three things of its driver are replaced here, and
//! decision 0031 says why: the rings of descriptors ([`rings`]), whose tail pointers it sets to addresses
//! outside of them; the speed and duplex of the MAC ([`link`]), which it leaves at 100 Mbit/s and full; and
//! its PHY driver ([`phy`]), which panics if no PHY answers.
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(feature = "chip")]
mod chip;
pub mod link;
pub mod phy;
pub mod rings;

#[cfg(feature = "chip")]
pub use chip::{Phy, Port, Receiving, Sending};
