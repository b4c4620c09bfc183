//! Ends the emulator with an exit status, over ARM semihosting.

use core::arch::asm;

/// `SYS_EXIT` of the ARM semihosting specification.
const SYS_EXIT: u32 = 0x18;

/// How the run ended: the reason codes of `SYS_EXIT`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Status {
    /// `ADP_Stopped_RunTimeErrorUnknown`: QEMU exits with 1.
    Failed = 0x2_0023,
    /// `ADP_Stopped_ApplicationExit`: QEMU exits with 0.
    Done = 0x2_0026,
}

/// Ends the emulator.
pub(crate) fn exit(status: Status) -> ! {
    // SAFETY: a semihosting call reads the two registers and no memory; QEMU does not return from this one.
    unsafe {
        asm!("bkpt #0xAB", in("r0") SYS_EXIT, in("r1") status as u32, options(nostack));
    }
    loop {}
}
