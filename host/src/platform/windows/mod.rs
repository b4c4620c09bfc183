//! Windows, from 10 on.

pub(super) mod clock;
pub(super) mod files;
pub(super) mod folders;
pub(super) mod interfaces;
mod names;
pub(super) mod net;
pub(super) mod poll;

/// Whether an error has one of these numbers.
fn is_any(error: &std::io::Error, numbers: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}
