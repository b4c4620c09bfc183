//! Whether the board still hears the network: a driver that has gone deaf leaves the link up and the address set.

use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};

/// Counts the frames that a driver received.
#[derive(Debug, Default)]
pub struct Wire(AtomicU32);

impl Wire {
    /// Nothing was received yet.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Frames received, modulo 2^32.
    pub(crate) fn received(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A network driver whose received frames are counted.
pub struct Counted<D> {
    driver: D,
    wire: &'static Wire,
}

impl<D> Counted<D> {
    /// `driver`, with its frames counted in `wire`.
    pub const fn new(driver: D, wire: &'static Wire) -> Self {
        Self { driver, wire }
    }
}

impl<D: Driver> Driver for Counted<D> {
    type RxToken<'a>
        = D::RxToken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = D::TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let received = self.driver.receive(cx)?;
        // Only this counts, so that load and store are enough; the Cortex-M0+ has no more.
        self.wire.0.store(self.wire.received().wrapping_add(1), Ordering::Relaxed);
        Some(received)
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.driver.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.driver.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}
