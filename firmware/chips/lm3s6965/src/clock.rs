//! The core clock and the clock gates of the peripherals.

use crate::register::registers;

registers! { 0x400F_E000;
    /// Raw interrupt status, in which the PLL says that it has locked.
    RIS = 0x050,
    RCC = 0x060,
    RCGC0 = 0x100,
    RCGC1 = 0x104,
    RCGC2 = 0x108,
}

/// The core's clock, from [`start`] on.
pub const HERTZ: u32 = 50_000_000;

const PLL_LOCKED: u32 = 1 << 6;

const MAIN_OSCILLATOR_OFF: u32 = 1 << 0;
const SOURCE: u32 = 0b11 << 4;
const CRYSTAL: u32 = 0b1111 << 6;
const CRYSTAL_8_MHZ: u32 = 0xE << 6;
const BYPASS: u32 = 1 << 11;
const PLL_OFF: u32 = 1 << 13;
const USE_DIVIDER: u32 = 1 << 22;
const DIVIDER: u32 = 0b1111 << 23;
/// 200 MHz by 4.
const DIVIDER_4: u32 = 3 << 23;

const WATCHDOG: u32 = 1 << 3;
const UART0: u32 = 1 << 0;
const TIMER0: u32 = 1 << 16;
const GPIO_A: u32 = 1 << 0;
const GPIO_F: u32 = 1 << 5;
const ETHERNET_MAC: u32 = 1 << 28;
const ETHERNET_PHY: u32 = 1 << 30;

/// Switches the core from the internal 12 MHz oscillator to [`HERTZ`], by the 8 MHz crystal and the PLL, and opens the
/// clock gates of all peripherals that have a driver here. Call it first. The order of the steps is that of the data
/// sheet's section on the PLL.
pub fn start() {
    RCC.set(BYPASS);
    RCC.clear(USE_DIVIDER);
    RCC.clear(MAIN_OSCILLATOR_OFF);
    // The crystal takes some milliseconds to start; this is over 20 ms at 12 MHz.
    cortex_m::asm::delay(1 << 18);
    let rest = RCC.read() & !(SOURCE | CRYSTAL | PLL_OFF);
    RCC.write(rest | CRYSTAL_8_MHZ);
    let rest = RCC.read() & !DIVIDER;
    RCC.write(rest | DIVIDER_4 | USE_DIVIDER);
    // The PLL locks within 0.5 ms. If it does not, the core stays on the crystal: slow, and with a wrong baud rate, but
    // running.
    let locked = (0..100_000).any(|_| RIS.read() & PLL_LOCKED != 0);
    if locked {
        RCC.clear(BYPASS);
    }
    RCGC0.set(WATCHDOG);
    RCGC1.set(UART0 | TIMER0);
    RCGC2.set(GPIO_A | GPIO_F | ETHERNET_MAC | ETHERNET_PHY);
    // A peripheral's registers are accessible three cycles after its clock gate opens.
    cortex_m::asm::delay(16);
    crate::time::start();
}

/// Cycles of the core since [`start`].
pub fn cycles() -> u64 {
    crate::time::cycles()
}
