//! The proof that core needs no allocator: an image for a Cortex-M3 that holds every public entry of
//! `deaddrop-core`, and has none.
//!
//! Three things would fail, each seen to fail when an `extern crate alloc` and a `vec![]` were planted
//! in core:
//!
//! 1. The compiler refuses to link a program with `alloc` anywhere below it and no
//!    `#[global_allocator]`: "no global memory allocator found but one is required". It is enough
//!    that a dependency of a dependency names `alloc`; nothing need call it.
//! 2. `cargo xtask check` looks through the symbols of the image for the allocator's (`__rust_alloc` and
//!    its kin) and for anything of the `alloc` crate.
//! 3. It reads core's sources, and every public function that it finds there must be in the image. What is
//!    generic becomes code only where it is used, so [`entries`] uses it; a new public function that
//!    is not named there fails the check by name.
//!
//! The image is never run.
#![no_std]
#![no_main]

mod entries;

use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// What the linker keeps, and through it all the rest.
#[unsafe(no_mangle)]
pub extern "C" fn reset() -> ! {
    entries::keep();
    loop {}
}
