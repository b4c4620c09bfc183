//! What a file system has left, and what a file takes of it.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::platform::Left;

/// What the volume of a folder has left, if it says. The system counts no files.
pub(crate) fn left(folder: &Path) -> Option<Left> {
    let (_, bytes) = deaddrop_windows::files::space(folder).ok()?;
    Some(Left { bytes, files: (0, 0) })
}

/// The bytes that a file takes on its disk: its length, of which a compressed or sparse file takes less.
pub(crate) fn taken(metadata: &Metadata) -> u64 {
    metadata.len()
}

/// Checks that files can be made in a folder, by making one that is removed at once: no other question to the system has
/// an answer that holds.
pub(crate) fn writable(folder: &Path) -> io::Result<()> {
    let name = format!(".deaddrop-{}.tmp", std::process::id());
    match deaddrop_windows::files::make_private_file(&folder.join(name), true) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
