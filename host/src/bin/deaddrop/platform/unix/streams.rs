//! Standard input and standard output without std's buffers.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How a person ends what is typed.
pub(crate) const END_OF_TYPED: &str = "Ctrl-D on a line of its own";

/// What to do instead where `-` is given as a room file.
pub(crate) const INSTEAD_OF_DASH: &str =
    "give --room-file /dev/stdin to read the passphrase from standard input";

/// Standard input.
pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Whether a path leads to what standard input is, whatever its name.
pub(crate) fn is_stdin(path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let of_path = fs::metadata(path).map(identity);
    let of_stdin = stdin().and_then(|stdin| stdin.metadata()).map(identity);
    // What cannot be looked at is refused when it is read.
    matches!((of_path, of_stdin), (Ok(one), Ok(other)) if one == other)
}

/// Standard output.
pub(crate) fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
