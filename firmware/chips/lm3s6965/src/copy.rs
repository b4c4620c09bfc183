//! `memcpy` and `memmove`, in 52 bytes.
//!
//! Those of the compiler's library take 2,486 bytes of flash, most of it to align their accesses. The Cortex-M3 needs no
//! alignment, and a loop over words that may be unaligned is as fast.

use core::arch::global_asm;

// Both return the destination, so it stays in r0. r1 is the source, r2 the number of bytes.
global_asm!(
    ".pushsection .text.copy,\"ax\",%progbits",
    ".syntax unified",
    ".global memcpy, __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8",
    ".type memcpy,%function",
    ".type __aeabi_memcpy,%function",
    ".type __aeabi_memcpy4,%function",
    ".type __aeabi_memcpy8,%function",
    "memcpy:",
    "__aeabi_memcpy:",
    "__aeabi_memcpy4:",
    "__aeabi_memcpy8:",
    "    mov r12, r0",
    "1:  subs r2, #4",
    "    blo 2f",
    "    ldr r3, [r1], #4",
    "    str r3, [r12], #4",
    "    b 1b",
    "2:  adds r2, #4",
    "3:  subs r2, #1",
    "    blo 4f",
    "    ldrb r3, [r1], #1",
    "    strb r3, [r12], #1",
    "    b 3b",
    "4:  bx lr",
    ".size memcpy, . - memcpy",
    // A destination above the source is filled from its end, because its beginning may hold the source's end. The other
    // way round memcpy does it right too: it goes upwards and reads each word before it writes it.
    ".global memmove, __aeabi_memmove, __aeabi_memmove4, __aeabi_memmove8",
    ".type memmove,%function",
    ".type __aeabi_memmove,%function",
    ".type __aeabi_memmove4,%function",
    ".type __aeabi_memmove8,%function",
    "memmove:",
    "__aeabi_memmove:",
    "__aeabi_memmove4:",
    "__aeabi_memmove8:",
    "    cmp r0, r1",
    "    bls memcpy",
    "1:  subs r2, #1",
    "    blo 2f",
    "    ldrb r3, [r1, r2]",
    "    strb r3, [r0, r2]",
    "    b 1b",
    "2:  bx lr",
    ".size memmove, . - memmove",
    ".popsection",
);
