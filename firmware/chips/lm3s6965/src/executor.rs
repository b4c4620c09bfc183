//! The executor, in a spare interrupt above an idle loop of WFI.
//!
//! Embassy's thread-mode executor sleeps with WFE, which QEMU implements as a no-op: it would use a whole core of the
//! host. WFI does sleep there.

use embassy_executor::{InterruptExecutor, SendSpawner, Spawner};

use crate::interrupt::{Interrupt, Priority, disable, enable};

static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

/// Starts the executor. Call it once.
pub fn start() -> SendSpawner {
    disable(Interrupt::Qei0);
    let spawner = EXECUTOR.start(Interrupt::Qei0);
    enable(Interrupt::Qei0, Priority::Work);
    spawner
}

/// The spawner, for tasks of this executor.
pub async fn spawner() -> Spawner {
    // SAFETY: this is the only executor, so the waker of the awaiting task is one of embassy's.
    unsafe { Spawner::for_current_executor() }.await
}

/// Sleeps between interrupts, for ever: the idle loop of thread mode.
pub fn sleep() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

// SAFETY: the name is that of a place in our vector table, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn QEI0() {
    // SAFETY: the executor was started with this interrupt, which is unmasked only then.
    unsafe { EXECUTOR.on_interrupt() }
}
