//! The watchdog.

use crate::clock::HERTZ;
use crate::register::registers;

registers! { 0x4000_0000;
    LOAD = 0x000,
    CONTROL = 0x008,
    INTERRUPT_CLEAR = 0x00C,
    LOCK = 0xC00,
}

registers! { 0x400F_E05C;
    /// Causes of the resets since it was last cleared.
    RESET_CAUSE = 0x0,
}

const BY_WATCHDOG: u32 = 1 << 3;

const UNLOCK: u32 = 0x1ACC_E551;
const COUNT: u32 = 1 << 0;
const RESET: u32 = 1 << 1;

/// Half the time after which it resets the part: it counts down twice.
const HALF: u32 = 4 * HERTZ;

/// A running watchdog.
pub struct Watchdog(());

/// Whether the last reset was the watchdog's. Forgets the cause, which otherwise stays until the power goes.
pub fn was_the_cause() -> bool {
    let cause = RESET_CAUSE.read();
    RESET_CAUSE.write(0);
    cause & BY_WATCHDOG != 0
}

impl Watchdog {
    /// Starts it. From now on it resets the part 8 s after it was last fed, and cannot be stopped.
    pub fn start() -> Self {
        LOCK.write(UNLOCK);
        LOAD.write(HALF);
        CONTROL.set(RESET);
        CONTROL.set(COUNT);
        LOCK.write(0);
        Self(())
    }

    /// Starts its time anew.
    pub fn feed(&mut self) {
        LOCK.write(UNLOCK);
        INTERRUPT_CLEAR.write(1);
        LOAD.write(HALF);
        LOCK.write(0);
    }
}
