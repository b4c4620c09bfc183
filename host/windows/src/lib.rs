//! The calls of Windows that deaddrop makes and that neither std nor a safe crate has: the only unsafe code of the
//! host (decision 0042). Each function takes and returns types of std and does one thing; what it is for is said where it
//! is used, in the platform modules of the library and the program.
//!
//! On other systems this crate is empty.

#![cfg(windows)]

pub mod access;
pub mod console;
pub mod files;
pub mod job;
pub mod keys;
pub mod process;
pub mod sockets;

use std::io;

/// The error of the last call of this thread, if that failed: 0 says that.
fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
