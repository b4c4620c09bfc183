//! `__aeabi_lmul`, which compilers call for a product of 64 bits on the Cortex-M0 and M0+: their multiply keeps only the
//! low 32 bits.
//!
//! A handshake calls it half a million times. This one takes 28 cycles with its return, on a core whose multiply takes
//! one; the compiler's own takes about 58. It has no branch and no table, so its time tells nothing about the operands.
//! The linker prefers it, because the compiler's is a weak symbol in an archive. `use deaddrop_long_multiply as _;` is all
//! that a program needs; on other cores the crate is empty.
#![no_std]

// Of Arm's targets only Armv6-M has no compare-and-swap. The compiler names no other difference that this can ask for.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "ptr")))]
core::arch::global_asm!(
    ".section .text.__aeabi_lmul, \"ax\", %progbits",
    ".global __aeabi_lmul",
    ".type __aeabi_lmul, %function",
    ".p2align 2",
    ".thumb_func",
    // One factor is r1:r0, the other r3:r2, and r1:r0 is the product. With low words a and c, high words b and d:
    // a * c + ((b * c + a * d) << 32).
    "__aeabi_lmul:",
    "push {{r4, r5}}",
    "muls r1, r2, r1",
    "muls r3, r0, r3",
    "adds r1, r1, r3",
    // The halves of a in r3 (high) and r0 (low), those of c in r4 and r2.
    "lsrs r3, r0, #16",
    "lsrs r4, r2, #16",
    "uxth r0, r0",
    "uxth r2, r2",
    // Four products of 16 by 16 bits: low halves in r0, high halves onto r1, and crosswise in r3 and r5.
    "movs r5, r0",
    "muls r5, r4, r5",
    "muls r4, r3, r4",
    "adds r1, r1, r4",
    "muls r3, r2, r3",
    "muls r0, r2, r0",
    // Those crosswise belong 16 bits higher.
    "lsls r2, r3, #16",
    "lsrs r3, r3, #16",
    "adds r0, r0, r2",
    "adcs r1, r3",
    "lsls r2, r5, #16",
    "lsrs r5, r5, #16",
    "adds r0, r0, r2",
    "adcs r1, r5",
    "pop {{r4, r5}}",
    "bx lr",
    ".size __aeabi_lmul, . - __aeabi_lmul",
    ".text",
);
