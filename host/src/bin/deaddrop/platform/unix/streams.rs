//! Standard input and standard output without std's buffers.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Standard input.
pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Standard output.
pub(crate) fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
