//! The time driver of embassy-time, in microseconds.
//!
//! Time is the free-running SysTick, a 24-bit down-counter at the core clock, extended to 64 bits in software: it is
//! read at least twice a wrap. Ticks are not counted, because interrupts may come late or coalesce. The alarm is
//! timer 0 in one-shot mode, armed for at most half a wrap, which guarantees the reads.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use crate::clock::HERTZ;
use crate::interrupt::{Interrupt, Priority, enable};
use crate::register::registers;

registers! { 0x4003_0000;
    CONFIGURATION = 0x000,
    MODE_A = 0x004,
    CONTROL = 0x00C,
    INTERRUPT_MASK = 0x018,
    INTERRUPT_CLEAR = 0x024,
    LOAD_A = 0x028,
}

registers! { 0xE000_E010;
    SYSTICK_CONTROL = 0x0,
    SYSTICK_LOAD = 0x4,
    SYSTICK_VALUE = 0x8,
}

const CYCLES_PER_MICROSECOND: u32 = HERTZ / 1_000_000;
/// Cycles of one wrap of SysTick.
const ROUND: u32 = 1 << 24;
/// Half of that, in microseconds: the longest alarm.
const ALARM_MAX: u64 = (ROUND / 2 / CYCLES_PER_MICROSECOND) as u64;

const ONE_SHOT: u32 = 1;
const ENABLE: u32 = 1;
const TIMEOUT: u32 = 1;

struct Clock {
    /// The last reading of SysTick, inverted to count up.
    last: u32,
    /// Cycles since the start, up to `last`.
    cycles: u64,
    queue: Queue,
}

struct Time(Mutex<RefCell<Clock>>);

time_driver_impl!(static TIME: Time = Time(Mutex::new(RefCell::new(Clock {
    last: 0,
    cycles: 0,
    queue: Queue::new(),
}))));

/// Starts SysTick and the first alarm.
pub(crate) fn start() {
    SYSTICK_LOAD.write(ROUND - 1);
    SYSTICK_VALUE.write(0);
    // From the core's clock, and without an interrupt.
    SYSTICK_CONTROL.write(0b101);
    CONTROL.write(0);
    // One 32-bit timer.
    CONFIGURATION.write(0);
    MODE_A.write(ONE_SHOT);
    INTERRUPT_MASK.write(TIMEOUT);
    critical_section::with(|cs| TIME.rearm(cs));
    enable(Interrupt::Timer0A, Priority::Hardware);
}

/// Cycles since the start.
pub(crate) fn cycles() -> u64 {
    critical_section::with(|cs| TIME.0.borrow_ref_mut(cs).read())
}

impl Clock {
    /// Microseconds since the start.
    fn now(&mut self) -> u64 {
        self.read() / u64::from(CYCLES_PER_MICROSECOND)
    }

    /// Cycles since the start.
    fn read(&mut self) -> u64 {
        let up = (ROUND - 1) - (SYSTICK_VALUE.read() & (ROUND - 1));
        self.cycles += u64::from(up.wrapping_sub(self.last) % ROUND);
        self.last = up;
        self.cycles
    }
}

impl Time {
    /// Wakes what is due and sets the alarm for what is next.
    fn rearm(&self, cs: CriticalSection<'_>) {
        let mut clock = self.0.borrow_ref_mut(cs);
        let now = clock.now();
        let next = clock.queue.next_expiration(now);
        let wait = next.saturating_sub(now).clamp(1, ALARM_MAX);
        CONTROL.write(0);
        INTERRUPT_CLEAR.write(TIMEOUT);
        // At most half a wrap of SysTick, which has 24 bits.
        LOAD_A.write(u32::try_from(wait).unwrap_or(1) * CYCLES_PER_MICROSECOND);
        CONTROL.write(ENABLE);
    }
}

impl Driver for Time {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.0.borrow_ref_mut(cs).now())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let earlier = self.0.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if earlier {
                self.rearm(cs);
            }
        });
    }
}

// SAFETY: the name is that of a place in our vector table, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn TIMER0A() {
    critical_section::with(|cs| TIME.rearm(cs));
}
