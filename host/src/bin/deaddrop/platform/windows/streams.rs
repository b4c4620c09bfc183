//! Standard input and standard output without std's buffers.

use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle;
use std::path::Path;

use deaddrop_windows::console;
use winapi_util::file::information;

/// How a person ends what is typed.
pub(crate) const END_OF_TYPED: &str = "Ctrl-Z and Enter on a line of its own";

/// What to do instead where `-` is given as a room file.
pub(crate) const INSTEAD_OF_DASH: &str = "name a file, or set DEADDROP_ROOM";

/// Standard input.
pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

/// Whether a path leads to what standard input is, whatever its name. Only a file can be both here.
pub(crate) fn is_stdin(path: &Path) -> bool {
    let identity = |file: File| information(file).map(|it| (it.volume_serial_number(), it.file_index()));
    let (of_path, of_stdin) = (File::open(path).and_then(identity), stdin().and_then(identity));
    matches!((of_path, of_stdin), (Ok(one), Ok(other)) if one == other)
}

/// Standard output. What is written there is UTF-8, which a console is told.
pub(crate) fn stdout() -> io::Result<File> {
    console::write_utf_8();
    io::stdout().as_handle().try_clone_to_owned().map(File::from)
}
