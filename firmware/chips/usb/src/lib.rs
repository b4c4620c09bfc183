//! A console and a network over one USB cable: a composite device of CDC-ACM and CDC-NCM, on any chip with a driver for
//! embassy-usb.
//!
//! The host sees a serial port and an Ethernet interface at whose other end is the board. The link is up while the host has
//! chosen the alternate setting of the network's data interface that carries frames, and the bus is not suspended.
//!
//! Nothing here waits for a host: what is printed while no terminal is open is dropped, and so are frames without a link.
//! `firmware/docs/boards.md` has how each system takes the device, decision 0048 the reasons.
#![no_std]

mod console;
mod link;
mod ncm;
mod ntb;
mod runner;

use core::fmt::Write;

use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::HardwareAddress;
use embassy_usb::class::cdc_acm::{self, CdcAcmClass};
use embassy_usb::driver::Driver;
use embassy_usb::{Builder, Config};

pub use console::Console;
use link::Link;
use ncm::Control;
pub use ntb::MTU;
pub use runner::Runner;

/// The ids of a device that is nobody's product: pid.codes keeps them for tests. A product has its own.
pub const TEST_IDS: (u16, u16) = (0x1209, 0x0001);

/// The stack's side of the network.
pub type Device = channel::Device<'static, MTU>;

/// Bytes in a packet of a bulk endpoint at full speed.
const PACKET: u16 = 64;

/// What the device's descriptors say of it.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its vendor id and product id.
    pub ids: (u16, u16),
    /// Its name in the host's list.
    pub product: &'static str,
    /// The chip's number: makes the serial number, by which a host knows the device again.
    pub chip: [u8; 8],
    /// The hardware address of the board.
    pub board: [u8; 6],
    /// The hardware address of the host's end of the cable. Another than the board's.
    pub host: [u8; 6],
}

/// What the device keeps in memory.
pub struct State {
    configuration: [u8; 256],
    capabilities: [u8; 16],
    /// A name in UTF-16, and two bytes before it: embassy-usb panics where one does not fit.
    control: [u8; 128],
    serial: heapless::String<16>,
    acm: cdc_acm::State<'static>,
    ncm: Option<Control>,
    link: Link,
    frames: channel::State<MTU, 2, 2>,
}

impl State {
    /// Of a device that was not made yet.
    pub const fn new() -> Self {
        Self {
            configuration: [0; 256],
            capabilities: [0; 16],
            control: [0; 128],
            serial: heapless::String::new(),
            acm: cdc_acm::State::new(),
            ncm: None,
            link: Link::new(),
            frames: channel::State::new(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the device. The first part of the result is for a person, the second for the stack, and the third must run beside
/// them in a task of its own.
pub fn new<D: Driver<'static>>(
    driver: D,
    identity: Identity,
    state: &'static mut State,
) -> (Console<D>, Device, Runner<D>) {
    let (vendor, product) = identity.ids;
    for byte in identity.chip {
        // Fits.
        let _ = write!(state.serial, "{byte:02X}");
    }
    let mut config = Config::new(vendor, product);
    config.manufacturer = Some("deaddrop");
    config.product = Some(identity.product);
    config.serial_number = Some(&state.serial);
    config.max_power = 250;
    let (configuration, capabilities) = (&mut state.configuration, &mut state.capabilities);
    let mut builder = Builder::new(driver, config, configuration, capabilities, &mut [], &mut state.control);
    let serial = CdcAcmClass::new(&mut builder, &mut state.acm, PACKET);
    let network = ncm::add(&mut builder, &mut state.ncm, &state.link, identity.host, PACKET);
    let address = HardwareAddress::Ethernet(identity.board);
    let (frames, device) = channel::new(&mut state.frames, address);
    (Console::new(serial), device, Runner::new(builder.build(), network, &state.link, frames))
}
