//! Handlers of panics, faults and unknown interrupts.
//!
//! Each notes what happened in [`Retained`] and resets the chip; the next start prints it. None of them waits or prints:
//! the console may be what failed.

use core::arch::naked_asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, Ordering};

use cortex_m::peripheral::SCB;
use deaddrop_firmware::board::Cause;
use deaddrop_firmware::board::restart::{self, ADDRESSES};

use crate::Retained;

/// Called before the chip is reset: a `fn()`, or null.
static BEFORE_RESET: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" {
    static _stext: u32;
    static __etext: u32;
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Has `act` called when something crashed, before the chip is reset.
pub fn before_reset(act: fn()) {
    BEFORE_RESET.store(act as *mut (), Ordering::Relaxed);
}

/// What a board's `#[panic_handler]` does.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let here = 0_u32;
    let addresses = return_addresses(&raw const here);
    #[cfg(feature = "panic-place")]
    if let Some(location) = info.location() {
        use core::fmt::Write as _;
        let mut place: heapless::String<200> = heapless::String::new();
        let _cut_short_at_worst = write!(place, "{}:{}", location.file(), location.line());
        reset(Cause::Panic, addresses, &place);
    }
    let _without_its_place = info;
    reset(Cause::Panic, addresses, "")
}

fn reset(cause: Cause, addresses: [u32; ADDRESSES], place: &str) -> ! {
    restart::note(&Retained, cause, addresses, place);
    let act = BEFORE_RESET.load(Ordering::Relaxed);
    if !act.is_null() {
        // SAFETY: only `before_reset` writes it, and that has a `fn()`.
        unsafe { core::mem::transmute::<*mut (), fn()>(act)() };
    }
    SCB::sys_reset()
}

/// The first words from `from` on up the stack that look like return addresses: odd, as those of Thumb code are, and
/// within the program.
fn return_addresses(from: *const u32) -> [u32; ADDRESSES] {
    let mut found = [0; ADDRESSES];
    let mut places = found.iter_mut();
    let mut at = from;
    let code = (&raw const _stext).addr()..(&raw const __etext).addr();
    while at < &raw const _stack_start {
        // SAFETY: the caller is on the stack or has checked that `from` is, so everything up to its start is readable.
        let word = unsafe { at.read_volatile() };
        if word & 1 == 1 && code.contains(&(word as usize)) {
            let Some(place) = places.next() else { break };
            *place = word & !1;
        }
        at = at.wrapping_add(1);
    }
    found
}

/// The handler of faults, given the address of the exception frame. If the stack has next to no room left, it goes on at
/// the stack's beginning: nothing returns there.
// SAFETY: the name is that of a place in cortex-m-rt's vector table, which nothing else defines.
#[unsafe(no_mangle)]
#[unsafe(naked)]
#[unsafe(link_section = ".HardFault.user")]
extern "C" fn HardFault() -> ! {
    naked_asm!(
        "mov r0, sp",
        "ldr r1, =_stack_end + 512",
        "cmp r0, r1",
        "bhi 1f",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "1: bl {fault}",
        fault = sym fault,
    )
}

extern "C" fn fault(frame: *const u32) -> ! {
    // An exception frame that is not within the stack was not written: the stack had no room for it.
    if frame <= &raw const _stack_end || frame >= &raw const _stack_start {
        reset(Cause::StackOverflow, [0; ADDRESSES], "");
    }
    /// Where the frame holds the program counter.
    const PC: usize = 6;
    // What was called from there: the frame holds the link register too.
    let [_, rest @ ..] = return_addresses(frame);
    // SAFETY: within the frame, which is on the stack.
    let pc = unsafe { frame.wrapping_add(PC).read_volatile() };
    let [a, b, c] = rest;
    reset(Cause::Fault, [pc, a, b, c], "")
}

/// Interrupts without a handler, and the non-maskable one, by which chips report errors of their clock or flash.
// SAFETY: as for `HardFault`.
#[unsafe(no_mangle)]
extern "C" fn DefaultHandler() -> ! {
    let here = 0_u32;
    reset(Cause::Interrupt, return_addresses(&raw const here), "")
}
