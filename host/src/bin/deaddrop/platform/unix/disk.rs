//! What a file system has left, and what a file takes of it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use crate::platform::Left;

/// What the file system of a folder has left, if it says.
pub(crate) fn left(folder: &Path) -> Option<Left> {
    let stat = statvfs(folder).ok()?;
    Some(Left { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), files: (stat.f_favail, stat.f_files) })
}

/// The bytes that a file takes on its disk.
pub(crate) fn taken(metadata: &Metadata) -> u64 {
    metadata.len().max(metadata.blocks().saturating_mul(512))
}

/// Checks that files can be made in a folder.
pub(crate) fn writable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}
