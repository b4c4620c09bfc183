//! The executor, in an interrupt that nothing else uses, above a main loop that sleeps.
//!
//! In QEMU an executor in thread mode would use up a core of its host, as WFE does not wait there; WFI does.

use embassy_executor::{InterruptExecutor, SendSpawner, Spawner};

use crate::interrupt::{Interrupt, Priority, disable, enable};

static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

/// Starts the executor. Once.
pub fn start() -> SendSpawner {
    disable(Interrupt::Qei0);
    let spawner = EXECUTOR.start(Interrupt::Qei0);
    enable(Interrupt::Qei0, Priority::Work);
    spawner
}

/// What starts further tasks on the executor. For its tasks alone.
pub async fn spawner() -> Spawner {
    // SAFETY: there is no executor here but this one, so that the waker of whoever awaits it is one of embassy's.
    unsafe { Spawner::for_current_executor() }.await
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
    unsafe { EXECUTOR.on_interrupt() }
}
