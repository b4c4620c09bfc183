//! Two executors, each in an interrupt that nothing else uses, above a main loop that sleeps.
//!
//! In QEMU an executor in thread mode would use up a core of its host, as WFE does not wait there; WFI does.

use embassy_executor::{InterruptExecutor, SendSpawner};

use crate::interrupt::{Interrupt, Priority, disable, enable};

static NETWORK: InterruptExecutor = InterruptExecutor::new();
static WORK: InterruptExecutor = InterruptExecutor::new();

/// Starts the executor for frames and connections, which interrupts the other. Once.
pub fn network() -> SendSpawner {
    launch(&NETWORK, Interrupt::Qei0, Priority::Network)
}

/// Starts the executor for what computes for long. Once.
pub fn work() -> SendSpawner {
    launch(&WORK, Interrupt::Qei1, Priority::Work)
}

fn launch(executor: &'static InterruptExecutor, interrupt: Interrupt, priority: Priority) -> SendSpawner {
    disable(interrupt);
    let spawner = executor.start(interrupt);
    enable(interrupt, priority);
    spawner
}

/// Sleeps between interrupts, for ever. What thread mode does once all is started.
pub fn sleep() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

// SAFETY: the name is that of a place in our vector table, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn QEI0() {
    // SAFETY: this is the interrupt that the executor was started with, and it is on only once it was.
    unsafe { NETWORK.on_interrupt() }
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn QEI1() {
    // SAFETY: as above.
    unsafe { WORK.on_interrupt() }
}
