//! What the tasks of app and stack must know of the network's driver, and the wrapper around it that notes it.
//!
//! A driver that has gone deaf leaves the link up and the address set, so received frames are counted.

use core::net::Ipv4Addr;
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time::{Instant, Timer};

use crate::addressing::link_local::LinkLocal;

/// Between the driver, the stack and the app. Each part has one writer, so that load and store are enough; the
/// Cortex-M0+ has no more.
#[derive(Debug, Default)]
pub struct Wire {
    received: AtomicU32,
    /// Addresses; 0 is none.
    chosen: AtomicU32,
    current: AtomicU32,
    taken: AtomicU32,
}

impl Wire {
    /// Nothing was received yet.
    pub const fn new() -> Self {
        let [received, chosen, current, taken] = [const { AtomicU32::new(0) }; 4];
        Self { received, chosen, current, taken }
    }

    /// Frames received, modulo 2^32.
    pub(crate) fn received(&self) -> u32 {
        self.received.load(Ordering::Relaxed)
    }

    /// The address of this board that another device has too; unspecified if there is none.
    pub(crate) fn taken(&self) -> Ipv4Addr {
        self.taken.load(Ordering::Relaxed).into()
    }

    /// The link-local address that the stack should use; unspecified if it should do as provisioned.
    pub(crate) fn chosen(&self) -> Ipv4Addr {
        self.chosen.load(Ordering::Relaxed).into()
    }

    /// Tells the driver the stack's address. Whether it is another than before.
    pub(super) fn set_current(&self, address: Ipv4Addr) -> bool {
        let changed = self.current.load(Ordering::Relaxed) != address.to_bits();
        self.current.store(address.to_bits(), Ordering::Relaxed);
        changed
    }

    fn count(&self) {
        self.received.store(self.received().wrapping_add(1), Ordering::Relaxed);
    }

    fn note(&self, link_local: &LinkLocal) {
        self.chosen.store(link_local.chosen().to_bits(), Ordering::Relaxed);
        self.taken.store(link_local.taken().to_bits(), Ordering::Relaxed);
    }
}

/// A network driver whose received frames are counted, and that chooses and checks the board's address.
pub(super) struct Addressed<D> {
    driver: D,
    wire: &'static Wire,
    link_local: LinkLocal,
}

impl<D: Driver> Addressed<D> {
    pub(super) const fn new(driver: D, wire: &'static Wire, link_local: LinkLocal) -> Self {
        Self { driver, wire, link_local }
    }

    /// Does what is due about the address.
    fn address(&mut self, cx: &mut Context<'_>, link: LinkState) {
        let now = Instant::now();
        // While the stack has another address than it should, there is nothing to conclude from it.
        if self.wire.chosen() == self.link_local.chosen() {
            let current = self.wire.current.load(Ordering::Relaxed).into();
            self.link_local.observe(now, link == LinkState::Up, current);
        }
        // Without space for a frame, the driver wakes this task when there is some.
        if now >= self.link_local.next()
            && let Some(token) = self.driver.transmit(cx)
            && let Some(frame) = self.link_local.poll(now)
        {
            token.consume(frame.len(), |to| self.link_local.write(frame, to));
        }
        self.wire.note(&self.link_local);
        let next = self.link_local.next();
        if next > now && next != Instant::MAX {
            let _ = pin!(Timer::at(next)).poll(cx);
        }
    }
}

/// A received frame that is looked at on its way to the stack.
pub(super) struct Received<'a, T> {
    token: T,
    link_local: &'a mut LinkLocal,
}

impl<T: RxToken> RxToken for Received<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.token.consume(|frame| {
            self.link_local.receive(Instant::now(), frame);
            f(frame)
        })
    }
}

impl<D: Driver> Driver for Addressed<D> {
    type RxToken<'a>
        = Received<'a, D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = D::TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (token, answer) = self.driver.receive(cx)?;
        self.wire.count();
        Some((Received { token, link_local: &mut self.link_local }, answer))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.driver.transmit(cx)
    }

    /// Asked by the stack at the end of each of its rounds.
    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        let link = self.driver.link_state(cx);
        self.address(cx, link);
        link
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}
