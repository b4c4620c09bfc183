//! Interrupt numbers, priorities and the vector table.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

/// Number of vectors behind those of the core.
const VECTORS: usize = 44;

/// An interrupt by the name of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Interrupt {
    /// The console.
    Uart0 = 5,
    /// Quadrature encoder 0, which nothing uses: it runs the executor.
    Qei0 = 13,
    /// The alarm.
    Timer0A = 19,
    /// The network.
    Ethernet = 42,
}

// SAFETY: the numbers are those of the data sheet's table of interrupts, and never change.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// Interrupt priorities, the higher one first. It preempts the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Handlers that serve hardware and return at once.
    Hardware,
    /// The executor, and so all computation.
    Work,
}

impl Priority {
    /// The NVIC's encoding: the top three bits of a byte, the lowest number first. 0 is left free.
    const fn level(self) -> u8 {
        match self {
            Self::Hardware => 1 << 5,
            Self::Work => 5 << 5,
        }
    }
}

/// Sets the priority of an interrupt and switches it on.
pub(crate) fn enable(interrupt: Interrupt, priority: Priority) {
    // SAFETY: priorities are set before the interrupt is on, and no critical section here is made of
    // priorities. Unmasking lets a handler run that is written for it: the table below names it.
    unsafe {
        let mut nvic = cortex_m::Peripherals::steal().NVIC;
        nvic.set_priority(interrupt, priority.level());
        NVIC::unmask(interrupt);
    }
}

/// Switches an interrupt off.
pub(crate) fn disable(interrupt: Interrupt) {
    NVIC::mask(interrupt);
}

/// An entry of the vector table.
#[derive(Clone, Copy)]
union Vector {
    handler: unsafe extern "C" fn(),
    reserved: usize,
}

unsafe extern "C" {
    fn UART0();
    fn QEI0();
    fn TIMER0A();
    fn ETHERNET();
    fn DefaultHandler();
}

/// Goes behind the core's vectors, where cortex-m-rt's linker script puts it by its name and section.
// SAFETY: the section and name are those that cortex-m-rt reserves for this table, whose length is that of
// the part's.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
#[used]
static __INTERRUPTS: [Vector; VECTORS] = vectors();

#[expect(clippy::indexing_slicing, reason = "a constant: an index out of range would not compile")]
const fn vectors() -> [Vector; VECTORS] {
    let mut table = [Vector { handler: DefaultHandler }; VECTORS];
    table[Interrupt::Uart0 as usize] = Vector { handler: UART0 };
    table[Interrupt::Qei0 as usize] = Vector { handler: QEI0 };
    table[Interrupt::Timer0A as usize] = Vector { handler: TIMER0A };
    table[Interrupt::Ethernet as usize] = Vector { handler: ETHERNET };
    // Reserved numbers.
    table[27] = Vector { reserved: 0 };
    table[39] = Vector { reserved: 0 };
    table[40] = Vector { reserved: 0 };
    table[41] = Vector { reserved: 0 };
    table
}
