//! The PHY, through its management registers (MDIO).

use core::sync::atomic::{AtomicBool, Ordering};

use crate::register::registers;

registers! { 0x4004_8000;
    STATUS = 0x000,
    CONTROL = 0x020,
    DIVIDER = 0x024,
    TO_PHY = 0x02C,
    FROM_PHY = 0x030,
}

const PHY_EVENT: u32 = 1 << 6;
const START: u32 = 1 << 0;
const WRITE: u32 = 1 << 1;

/// MDIO clock: 50 MHz / (2 x (9 + 1)) = 2.5 MHz, the fastest allowed.
const MANAGEMENT_DIVIDER: u32 = 9;

const BASIC_STATUS: u32 = 1;
const EVENTS: u32 = 17;
const DIAGNOSTIC: u32 = 18;

const LINK_UP: u32 = 1 << 2;
const LINK_CHANGED_OR_NEGOTIATED: u32 = (1 << 10) | (1 << 8);
const NEGOTIATED_FULL_DUPLEX: u32 = 1 << 11;

/// Set by the interrupt at a change of the link.
static EVENT: AtomicBool = AtomicBool::new(true);

/// Called by the interrupt at a change of the link.
pub(super) fn event() {
    EVENT.store(true, Ordering::Relaxed);
}

/// The link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Link {
    // Zero, so that a static port is in `.bss`.
    Down = 0,
    HalfDuplex,
    FullDuplex,
}

/// The PHY and the link state that was last read.
pub(super) struct Phy {
    link: Link,
}

impl Phy {
    pub(super) const fn new() -> Self {
        Self { link: Link::Down }
    }

    /// Enables its interrupts. It auto-negotiates without help.
    pub(super) fn start(&mut self) {
        DIVIDER.write(MANAGEMENT_DIVIDER);
        write(EVENTS, LINK_CHANGED_OR_NEGOTIATED);
    }

    /// The current state of the link.
    pub(super) fn link(&mut self) -> Link {
        if EVENT.swap(false, Ordering::Relaxed) {
            // Acknowledge the interrupt, first in the PHY, by reading, then in the MAC.
            read(EVENTS);
            STATUS.write(PHY_EVENT);
            // The link bit latches low: the first read shows a past loss of the link, the second the present state.
            read(BASIC_STATUS);
            self.link = match read(BASIC_STATUS) {
                // No PHY reads as 0. This is QEMU, which models none: the link is always up there.
                0 => Link::FullDuplex,
                status if status & LINK_UP == 0 => Link::Down,
                _ if read(DIAGNOSTIC) & NEGOTIATED_FULL_DUPLEX == 0 => Link::HalfDuplex,
                _ => Link::FullDuplex,
            };
        }
        self.link
    }
}

fn read(register: u32) -> u32 {
    transfer((register << 3) | START);
    FROM_PHY.read() & 0xFFFF
}

fn write(register: u32, value: u32) {
    TO_PHY.write(value);
    transfer((register << 3) | WRITE | START);
}

/// One MDIO transaction: 64 bits at 2.5 MHz take 26 us.
fn transfer(what: u32) {
    CONTROL.write(what);
    for _ in 0..10_000 {
        if CONTROL.read() & START == 0 {
            return;
        }
    }
}
