//! Linux, Android, macOS and the BSDs.

pub(super) mod clock;
pub(super) mod files;
pub(super) mod folders;
pub(super) mod interfaces;
pub(super) mod net;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod netlink;
pub(super) mod poll;

use rustix::io::Errno;

/// Calls it again as long as a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}

/// Whether an error has one of these numbers.
fn is_any(error: &std::io::Error, numbers: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.iter().any(|errno| errno.raw_os_error() == number))
}
