//! A driver for WIZnet's W5500 and W6100 as Ethernet ports under embassy-net: it uses socket 0 in raw mode
//! (MACRAW), and nothing of the chips' own TCP/IP.
//!
//! It reads until the chip's receive buffer is empty, checks every length before it uses it, and bounds
//! every wait. A chip that does not answer, or is no longer set up, is reset and set up again; until then
//! the link is down. A lost interrupt costs up to 100 ms, because the chip is looked at that often anyway.
//! `firmware/docs/boards.md` has the wiring, decision 0031 the reasons.
#![no_std]

mod fault;
mod port;
mod registers;
mod runner;

use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::HardwareAddress;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::digital::Wait;
use embedded_hal_async::spi::SpiDevice;

pub use fault::Fault;
use port::{MTU, Port};
pub use registers::{Chip, W5500, W6100};
pub use runner::Runner;

/// The stack's side of the driver.
pub type Device<'d> = channel::Device<'d, MTU>;

/// The queues between driver and stack: `RX` received frames and `TX` frames to send, of 1,514 bytes each.
pub struct State<const RX: usize, const TX: usize>(channel::State<MTU, RX, TX>);

impl<const RX: usize, const TX: usize> State<RX, TX> {
    /// Empty queues.
    pub const fn new() -> Self {
        Self(channel::State::new())
    }
}

impl<const RX: usize, const TX: usize> Default for State<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// Resets a chip and sets it up. The first part of the result is for the stack, and the second must run
/// beside it.
///
/// `spi` is the chip in SPI mode 0, `interrupt` its line INTn, `reset` its line RSTn.
///
/// # Errors
///
/// A [`Fault`], after at most a second, if the chip does not answer as this chip does.
pub async fn new<'d, const RX: usize, const TX: usize, S: SpiDevice, I: Wait, R: OutputPin>(
    chip: &'static Chip,
    hardware_address: [u8; 6],
    state: &'d mut State<RX, TX>,
    spi: S,
    interrupt: I,
    mut reset: R,
) -> Result<(Device<'d>, Runner<'d, S, I, R>), Fault> {
    let mut port = Port::new(spi, chip);
    runner::start(&mut port, &mut reset, hardware_address).await?;
    let (channel, device) = channel::new(&mut state.0, HardwareAddress::Ethernet(hardware_address));
    Ok((device, Runner::new(port, interrupt, reset, hardware_address, channel)))
}
