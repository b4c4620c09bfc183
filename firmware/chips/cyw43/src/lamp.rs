//! What the board's runner and the radio's task share: the LED, which is on the radio, and whether the radio answers.

use core::sync::atomic::{AtomicBool, Ordering};

use deaddrop_firmware::app::Watchdog;
use deaddrop_firmware::signal::Indicator;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;

/// Between the board's runner and the radio's task. In a static of the board.
pub struct Shared {
    /// The LED is to be lit, or not.
    pub(crate) lit: Signal<CriticalSectionRawMutex, bool>,
    /// The radio does not answer any more.
    pub(crate) deaf: AtomicBool,
    /// The radio does not know the country in the provisioning record.
    pub(crate) country_unknown: AtomicBool,
}

impl Shared {
    /// At a board's start.
    pub const fn new() -> Self {
        Self { lit: Signal::new(), deaf: AtomicBool::new(false), country_unknown: AtomicBool::new(false) }
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// The LED. It is dark until the radio runs, and stays as it is while the radio joins the network.
pub struct Lamp {
    shared: &'static Shared,
    lit: bool,
}

impl Lamp {
    /// Dark.
    pub const fn new(shared: &'static Shared) -> Self {
        Self { shared, lit: false }
    }
}

impl Indicator for Lamp {
    fn set(&mut self, lit: bool) {
        if lit != self.lit {
            self.lit = lit;
            self.shared.lit.signal(lit);
        }
    }
}

/// A watchdog that is not fed any more once the radio does not answer, so that the board starts again.
pub struct Guarded<W> {
    watchdog: W,
    shared: &'static Shared,
}

impl<W> Guarded<W> {
    /// Fed while the radio answers.
    pub const fn new(watchdog: W, shared: &'static Shared) -> Self {
        Self { watchdog, shared }
    }
}

impl<W: Watchdog> Watchdog for Guarded<W> {
    fn feed(&mut self) {
        if !self.shared.deaf.load(Ordering::Relaxed) {
            self.watchdog.feed();
        }
    }
}
