//! One open file.

use std::fs::{File, Metadata};
use std::io;
use std::os::windows::fs::{FileExt as _, OpenOptionsExt};
pub(crate) use std::os::windows::io::AsHandle;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use cap_std::fs::Dir;
use winapi_util::file::{information, typ};

use crate::platform::{FileKind, Space, Status};

/// Opens a folder too, which the system refuses otherwise (`FILE_FLAG_BACKUP_SEMANTICS`).
pub(super) const FOLDERS_TOO: u32 = 0x0200_0000;
/// Opens a link itself (`FILE_FLAG_OPEN_REPARSE_POINT`).
pub(super) const NO_FOLLOW: u32 = 0x0020_0000;
/// The right to set times (`FILE_WRITE_ATTRIBUTES`).
const WRITE_ATTRIBUTES: u32 = 0x0100;
/// `ERROR_DISK_FULL`.
const DISK_FULL: i32 = 112;
/// Seconds from 1601, where the system's times begin, to 1970.
const FROM_1601: i64 = 11_644_473_600;
/// The system's times count tenths of a microsecond.
const TICKS: i64 = 10_000_000;

/// Reads and writes at a place. They move the file's own position, which nothing here uses.
pub(crate) trait FileExt {
    /// Reads as many bytes as the buffer has.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Reads some bytes; none at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.seek_read(buffer, offset)
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.seek_read(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.seek_write(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What the system says of an open file.
pub(crate) fn status(file: &File) -> io::Result<Status> {
    if !typ(file)?.is_disk() {
        // A pipe or a console has neither size nor times.
        let kind = FileKind::Other;
        return Ok(Status { kind, identity: (0, 0), size: 0, modified: (0, 0), names: 1, executable: false });
    }
    let kind = kind(&file.metadata()?);
    let of = information(file)?;
    Ok(Status {
        kind,
        identity: (of.volume_serial_number(), of.file_index()),
        size: of.file_size(),
        modified: since_1970(of.last_write_time().unwrap_or(0)),
        names: of.number_of_links(),
        // The system has no such mark.
        executable: false,
    })
}

/// One of the system's times, in seconds since 1970 and nanoseconds.
fn since_1970(time: u64) -> (i64, i64) {
    let ticks = i64::try_from(time).unwrap_or(i64::MAX);
    (ticks / TICKS - FROM_1601, ticks % TICKS * 100)
}

pub(super) fn kind(metadata: &Metadata) -> FileKind {
    if metadata.is_symlink() {
        FileKind::Link
    } else if metadata.is_dir() {
        FileKind::Folder
    } else if metadata.is_file() {
        FileKind::Regular
    } else {
        FileKind::Other
    }
}

/// Whether the user that this process runs for owns the file, or the administrators do, to whom belongs what one of them
/// makes.
pub(crate) fn belongs_to_us(file: &File) -> bool {
    deaddrop_windows::access::access(file).is_ok_and(|access| !access.foreign)
}

/// How many bytes a copy of a file takes: its size, since the system says of holes only where they are asked for one by one.
pub(crate) fn space_in_blocks(file: &File, _: u64) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

/// Lets the owner of a file run it as a program: the system has no such mark.
pub(crate) fn make_executable(_: &File) {}

/// Opens a file to read it, so that it can be refused if it is none.
pub(crate) fn open_to_send(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(FOLDERS_TOO).open(path)
}

/// Makes a folder, and those above it that are missing, that this user alone can enter.
pub(crate) fn make_private_folders(folder: &Path) -> io::Result<()> {
    deaddrop_windows::files::make_private_folders(folder)
}

/// Sets space aside. The system can do that only by making the file longer, so that nothing is set aside here: a lack of
/// space shows when the bytes are written.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(crate) fn reserve(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// The most bytes that a file of this process may have: the system has no such limit.
pub(crate) fn file_size_limit() -> Option<u64> {
    None
}

/// What the system says when a file system is full.
pub(crate) fn out_of_space() -> io::Error {
    io::Error::from_raw_os_error(DISK_FULL)
}

/// What the file system of a file or folder says of its space.
pub(crate) fn space(of: impl AsHandle) -> io::Result<Space> {
    let path = deaddrop_windows::files::path_of(of)?;
    let (total, available) = deaddrop_windows::files::space(&path).or_else(|error| {
        // Of a file its folder is asked.
        path.parent().map_or(Err(error), deaddrop_windows::files::space)
    })?;
    Ok(Space { total, available, files: None })
}

/// Sets when a file was written last, in seconds since 1970. A time that the file system cannot hold is no reason to
/// fail.
pub(crate) fn set_modified(file: &File, seconds: u64) {
    if let Some(at) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        let _ = file.set_modified(at);
    }
}

/// The same of a folder. Its handle has not the right to, so that it is opened once more.
pub(crate) fn set_folder_modified(folder: &Dir, seconds: u64) {
    let mut options = File::options();
    options.access_mode(WRITE_ATTRIBUTES).custom_flags(FOLDERS_TOO | NO_FOLLOW);
    let opened = deaddrop_windows::files::path_of(folder).and_then(|path| options.open(path));
    if let Ok(folder) = opened {
        set_modified(&folder, seconds);
    }
}
