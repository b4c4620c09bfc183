//! One open file.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
pub(crate) use std::os::fd::AsFd as AsHandle;
pub(crate) use std::os::unix::fs::FileExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{OFlags, SeekFrom, fstatvfs};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::{is_any, retry};
use crate::platform::{FileKind, Space, Status};

/// Most holes of one file that are gone through, two calls each.
const HOLES_MAX: usize = 65_536;

/// What the system says of an open file.
pub(crate) fn status(file: &File) -> io::Result<Status> {
    let metadata = file.metadata()?;
    Ok(Status {
        kind: kind(&metadata),
        identity: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        names: metadata.nlink(),
        executable: metadata.mode() & 0o100 != 0,
    })
}

fn kind(metadata: &Metadata) -> FileKind {
    if metadata.is_file() {
        FileKind::Regular
    } else if metadata.is_dir() {
        FileKind::Folder
    } else if metadata.is_symlink() {
        FileKind::Link
    } else {
        FileKind::Other
    }
}

/// Whether the user that this process runs for owns the file.
pub(crate) fn belongs_to_us(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.uid() == rustix::process::geteuid().as_raw())
}

/// How many bytes a copy of a file takes that leaves a hole only for a whole block that is one: fewer than its size if it
/// has such holes. Its size where the file system does not say, or where its holes are too many to go through.
///
/// Moves the place in the file at which it would be read next.
pub(crate) fn space_in_blocks(file: &File, block: u64) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let seek = |to| rustix::fs::seek(file, to);
    let (mut taken, mut counted, mut offset) = (0_u64, 0_u64, 0_u64);
    for _ in 0..HOLES_MAX {
        let data = match seek(SeekFrom::Data(offset)) {
            Ok(data) if data < size => data,
            // Nothing but a hole is left. The last block of a copy is always written.
            Ok(_) | Err(Errno::NXIO) => return Ok(taken.saturating_add(block).min(size)),
            Err(_) => return Ok(size),
        };
        let Ok(hole) = seek(SeekFrom::Hole(data)) else { return Ok(size) };
        let end = hole.min(size).div_ceil(block);
        taken = taken.saturating_add(end.saturating_sub(counted.max(data / block)).saturating_mul(block));
        (counted, offset) = (counted.max(end), hole);
        if hole >= size {
            return Ok(taken.min(size));
        }
    }
    Ok(size)
}

/// Opens a file to read it, so that it can be refused if it is none: a pipe without a wait for its other end, and a
/// terminal without its becoming ours.
pub(crate) fn open_to_send(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Makes a folder, and those above it that are missing, that this user alone can enter.
pub(crate) fn make_private_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Sets space aside for `length` bytes from `offset` on, without making the file longer. A file system that cannot
/// promise space is believed.
///
/// # Errors
/// `StorageFull` or `QuotaExceeded` if there is no such space.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn reserve(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match retry(|| fallocate(file, FallocateFlags::KEEP_SIZE, offset, length)) {
        Err(error) if is_any(&error, &[Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL]) => Ok(()),
        other => other,
    }
}

/// The same on systems whose call for it also changes the length of the file: that there is space now is all that can
/// be had, and a disk that others fill meanwhile is found full when it is written to.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn reserve(file: &File, _: u64, length: u64) -> io::Result<()> {
    match space(file)?.free() {
        Some(free) if free < length => Err(out_of_space()),
        _ => Ok(()),
    }
}

/// The most bytes that a file of this process may have, if there is such a limit. The soft limit is the one that counts.
pub(crate) fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// What the system says when a file system is full.
pub(crate) fn out_of_space() -> io::Error {
    Errno::NOSPC.into()
}

/// What the file system of a file or folder says of its space.
pub(crate) fn space(of: impl AsHandle) -> io::Result<Space> {
    let stat = fstatvfs(of)?;
    Ok(Space {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        // A file system without a table of inodes states none at all.
        files: (stat.f_files != 0).then_some(stat.f_favail),
    })
}

/// Lets the owner of a file run it as a program. A file system without modes is no reason to fail.
pub(crate) fn make_executable(file: &File) {
    if let Ok(metadata) = file.metadata() {
        let _ = file.set_permissions(Permissions::from_mode(metadata.mode() | 0o100));
    }
}

/// Sets when a file was written last, in seconds since 1970. A time that the file system cannot hold is no reason to
/// fail.
pub(crate) fn set_modified(file: &File, seconds: u64) {
    let at = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    if let Some(at) = at {
        let _ = file.set_modified(at);
    }
}

/// The same of a folder.
pub(crate) fn set_folder_modified(folder: &Dir, seconds: u64) {
    if let Ok(folder) = folder.try_clone() {
        set_modified(&folder.into_std_file(), seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_counts_only_where_a_whole_block_is_one() {
        const BLOCK: u64 = 65_536;
        let of = |size: u64, written: &[u64]| {
            let file = tempfile::tempfile().unwrap();
            file.set_len(size).unwrap();
            written.iter().for_each(|at| file.write_all_at(&[1; 4_096], *at).unwrap());
            space_in_blocks(&file, BLOCK).unwrap()
        };
        let everywhere: Vec<u64> = (0..16).map(|block| block * BLOCK + 8_192).collect();
        assert_eq!(of(16 * BLOCK, &everywhere), 16 * BLOCK, "data in each block");
        assert_eq!(of(16 * BLOCK, &[8_192, 24_576, 4 * BLOCK]), 3 * BLOCK, "two blocks, and the last one");
        assert_eq!(of(16 * BLOCK, &[16 * BLOCK - 4_096]), BLOCK, "the last one alone");
        assert_eq!(of(16 * BLOCK, &[]), BLOCK, "nothing but a hole");
        assert_eq!(of(100, &[]), 100);
        assert_eq!(of(0, &[]), 0);
    }
}
