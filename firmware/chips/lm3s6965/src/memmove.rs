//! `memmove` in 34 bytes.
//!
//! That of the compiler's library takes 1,586 bytes of flash, to be fast on long buffers. Here it moves less than a
//! record, a few times for each, so a loop over bytes is fast enough. `memcpy` is the library's.

use core::arch::global_asm;

// The destination stays in r0, because `memmove` returns it; r1 is the source, r2 the number of bytes. A destination
// above the source is filled from its end, because its beginning may hold the source's end.
global_asm!(
    ".pushsection .text.memmove,\"ax\",%progbits",
    ".syntax unified",
    ".thumb_func",
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
    "    bhi 2f",
    "    movs r3, #0",
    "1:  cmp r3, r2",
    "    beq 3f",
    "    ldrb r12, [r1, r3]",
    "    strb r12, [r0, r3]",
    "    adds r3, #1",
    "    b 1b",
    "2:  subs r2, #1",
    "    bmi 3f",
    "    ldrb r3, [r1, r2]",
    "    strb r3, [r0, r2]",
    "    b 2b",
    "3:  bx lr",
    ".size memmove, . - memmove",
    ".popsection",
);
