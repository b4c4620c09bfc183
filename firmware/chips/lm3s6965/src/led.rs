//! The status LED of the evaluation kit, at PF0.

use crate::register::registers;

registers! { 0x4002_5000;
    /// Data, of pin 0 alone: the address masks the others.
    DATA_0 = 0x001 << 2,
    DIRECTION = 0x400,
    DIGITAL = 0x51C,
}

const PIN: u32 = 1 << 0;

/// The LED.
pub struct Led(());

impl Led {
    /// Makes its pin an output, dark.
    pub fn new() -> Self {
        DIRECTION.set(PIN);
        DIGITAL.set(PIN);
        let mut led = Self(());
        led.set(false);
        led
    }

    /// Lights it, or not.
    pub fn set(&mut self, lit: bool) {
        DATA_0.write(if lit { PIN } else { 0 });
    }
}

impl Default for Led {
    fn default() -> Self {
        Self::new()
    }
}
