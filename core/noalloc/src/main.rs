//! Proof that core needs no allocator: a Cortex-M3 image that runs the protocol end to end and has none.
//!
//! [`exchange`] carries a drop from a server session to a client session, with the guard on both sides;
//! [`discovery`] has a browser find an advertiser. Everything lives on the stack and in statics.
//!
//! Two checks fail when an allocation gets in, and one when the image does not do its work:
//!
//! 1. The compiler refuses to link a program that has `alloc` anywhere below it and no
//!    `#[global_allocator]`: "no global memory allocator found but one is required". A dependency of a
//!    dependency that only names `alloc` is enough; nothing has to call it.
//! 2. `cargo xtask noalloc` searches the image's symbols for the allocator's (`__rust_alloc` and its kin)
//!    and for any function of the `alloc` crate.
//! 3. The stage `noalloc-run` of `cargo xtask test` runs the image in QEMU, which exits with 0 when the drop
//!    has arrived and with 1 after a panic.
//!
//! `core/tests/no_alloc.rs` covers the rest at run time: it counts the allocations of many more paths.
#![no_std]
#![no_main]

mod discovery;
mod exchange;
mod random;
mod semihosting;

use core::panic::PanicInfo;

use semihosting::{Status, exit};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(Status::Failed)
}

/// The entry point, which the vector table in `noalloc.ld` points to.
#[unsafe(no_mangle)]
pub extern "C" fn reset() -> ! {
    exchange::run();
    discovery::run();
    exit(Status::Done)
}
