//! Names in a folder.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::fs::{linkat, mkdirat, openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::files::AsHandle;
use super::{is_any, retry};
use crate::platform::{FileKind, Status};

/// Opens neither a pipe that waits for its other end, nor a terminal that becomes ours.
const TO_SEND: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Makes a folder that this user alone can enter.
pub(crate) fn make_folder(at: &Dir, name: &str) -> io::Result<()> {
    retry(|| mkdirat(at, name, Mode::RWXU))
}

/// Removes an empty folder.
pub(crate) fn remove_folder(at: &Dir, name: &str) -> io::Result<()> {
    retry(|| unlinkat(at, name, AtFlags::REMOVEDIR))
}

/// Opens a folder, and no link to one.
pub(crate) fn open_folder(at: &Dir, path: &str) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| openat(at, path, flags, Mode::empty())).map(|folder| Dir::from_std_file(folder.into()))
}

/// Makes a file that this user alone can read and write, and run if it is `executable`; to be written. It neither opens
/// what exists nor follows a link.
pub(crate) fn make_file(at: &Dir, name: &str, executable: bool) -> io::Result<File> {
    let mode = if executable { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| openat(at, name, flags, mode)).map(File::from)
}

/// Makes a file that this user alone can read; to be read and written. It neither opens what exists nor follows a link.
pub(crate) fn make_private(at: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    at.open_with(name, &options).map(cap_std::fs::File::into_std)
}

/// Makes a file that has no name any more, so that nothing is left of it whatever happens. It has `name` for a moment.
pub(crate) fn make_unnamed(at: &Dir, name: &str) -> io::Result<File> {
    let file = make_private(at, name)?;
    at.remove_file(name)?;
    Ok(file)
}

/// Opens a file to read and write it: no link, and without a wait for the other end of a pipe.
pub(crate) fn open_file(at: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).write(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    at.open_with(name, &options).map(cap_std::fs::File::into_std)
}

/// Opens a file that is to be sent, or one that a link leads to if `follow`.
pub(crate) fn open_to_send_at(at: &Dir, path: &str, follow: bool) -> io::Result<File> {
    let flags = TO_SEND | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    Ok(openat(at, path, flags, Mode::empty())?.into())
}

/// The same of a folder.
pub(crate) fn folder_to_send_at(at: &Dir, name: &str, follow: bool) -> io::Result<Dir> {
    let flags = TO_SEND | OFlags::DIRECTORY | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    Ok(Dir::from_std_file(openat(at, name, flags, Mode::empty())?.into()))
}

/// Opens a folder that is to be sent, by the path that a person gave. Links are followed.
pub(crate) fn folder_to_send(path: &Path) -> io::Result<Dir> {
    Ok(Dir::from_std_file(openat(CWD, path, TO_SEND | OFlags::DIRECTORY, Mode::empty())?.into()))
}

/// Has a file below a folder on the disk, or a folder, where its file system knows that.
pub(crate) fn sync_at(at: &Dir, path: &str) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = retry(|| openat(at, path, flags, Mode::empty())).map(File::from)?;
    // Some file systems cannot sync a folder.
    file.sync_all().or_else(|error| if file.metadata()?.is_dir() { Ok(()) } else { Err(error) })
}

/// The names in a folder, in the order of their bytes.
pub(crate) fn names(folder: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What a name in a folder stands for, or what a link there leads to if `follow`.
pub(crate) fn kind_at(at: &Dir, name: &str, follow: bool) -> io::Result<FileKind> {
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(match FileType::from_raw_mode(statat(at, name, flags)?.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    })
}

/// What the system says of what has this name, and not of what a link there leads to.
pub(crate) fn status_at(at: &Dir, name: &str) -> io::Result<Status> {
    let metadata = at.symlink_metadata(name)?;
    Ok(Status {
        kind: if metadata.is_file() {
            FileKind::Regular
        } else if metadata.is_dir() {
            FileKind::Folder
        } else if metadata.is_symlink() {
            FileKind::Link
        } else {
            FileKind::Other
        },
        identity: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        names: metadata.nlink(),
        executable: metadata.mode() & 0o100 != 0,
    })
}

/// Whether what has this name is owned by the user that this process runs for.
pub(crate) fn belongs_to_us_at(at: &Dir, name: &str) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    at.symlink_metadata(name).is_ok_and(|metadata| metadata.uid() == uid)
}

/// The same of an open folder.
pub(crate) fn folder_belongs_to_us(folder: &Dir) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    folder.dir_metadata().is_ok_and(|metadata| metadata.uid() == uid)
}

/// What the system says of an open folder.
pub(crate) fn folder_status(folder: &Dir) -> io::Result<Status> {
    let metadata = folder.dir_metadata()?;
    Ok(Status {
        kind: FileKind::Folder,
        identity: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        names: metadata.nlink(),
        executable: false,
    })
}

/// The two numbers of what has this name, as in [`Status::identity`].
pub(crate) fn identity_at(at: &Dir, name: &str) -> io::Result<(u64, u64)> {
    at.symlink_metadata(name).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether a name in a folder is that of an open file or folder.
pub(crate) fn is_named(at: &Dir, name: &str, open: impl AsHandle) -> bool {
    let named = statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    let open = rustix::fs::fstat(open);
    matches!((named, open), (Ok(named), Ok(open)) if (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
}

/// Whether anything has this name.
pub(crate) fn is_taken(at: &Dir, name: &str) -> bool {
    statat(at, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Where a link leads.
pub(crate) fn read_link(at: &Dir, name: &str) -> io::Result<OsString> {
    let target = readlinkat(at, name, Vec::new())?;
    Ok(OsString::from_vec(target.into_bytes()))
}

/// Makes a symbolic link. `Unsupported` where the file system has none, such as FAT.
pub(crate) fn make_link(at: &Dir, name: &str, target: &str) -> io::Result<()> {
    retry(|| symlinkat(target, at, name)).map_err(|error| {
        if is_any(&error, &[Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS]) {
            io::ErrorKind::Unsupported.into()
        } else {
            error
        }
    })
}

/// Whether an error says that the file system takes no such name, as FAT says of one with a question mark.
pub(crate) fn is_name_refused(error: &io::Error) -> bool {
    is_any(error, &[Errno::INVAL, Errno::NAMETOOLONG, Errno::ILSEQ])
}

/// Whether a path says that it is a folder: by a last `/` or `/.`, which [`Path`] leaves out.
pub(crate) fn is_written_as_folder(path: &Path) -> bool {
    let written = path.as_os_str().as_encoded_bytes();
    written.ends_with(b"/") || written.ends_with(b"/.")
}

/// Whether a folder holds devices and processes rather than files. `/dev/stdout` may lead to a regular file, and a file
/// beside it would still be none that anybody asked for.
pub(crate) fn is_of_the_kernel(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    // POSIX shared memory: a folder for files.
    ["/dev", "/proc", "/sys"].iter().any(|root| folder.starts_with(root)) && !folder.starts_with("/dev/shm")
}

/// Has the names in a folder on the disk, where its file system knows that.
pub(crate) fn sync_folder(folder: &Dir) {
    let _ = folder.open(".").and_then(|folder| folder.sync_all());
}

/// Has the whole file system of a folder on the disk, where the system can do that. Whether it went well is not said.
pub(crate) fn sync_file_system(folder: &Dir) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::syncfs(folder);
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
}

/// Renames a file or folder without replacing anything: `AlreadyExists` if the name is taken.
pub(crate) fn rename_new(source: &Dir, from: &str, target: &Dir, to: &str) -> io::Result<()> {
    match retry(|| renameat_with(source, from, target, to, RenameFlags::NOREPLACE)) {
        Err(error) if is_any(&error, &[Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP]) => {
            claim_new(source, from, target, to)
        }
        other => other,
    }
}

/// The same on file systems that have no such rename. A folder that is made for it claims the name, and a rename
/// replaces an empty folder alone. A file gets a second name instead.
fn claim_new(source: &Dir, from: &str, target: &Dir, to: &str) -> io::Result<()> {
    if kind_at(source, from, false)? != FileKind::Folder {
        retry(|| linkat(source, from, target, to, AtFlags::empty()))?;
        // A second name that cannot be removed does not undo that.
        let _ = unlinkat(source, from, AtFlags::empty());
        return Ok(());
    }
    make_folder(target, to)?;
    retry(|| renameat(source, from, target, to)).inspect_err(|_| {
        let _ = remove_folder(target, to);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_way_of_renaming_replaces_a_file_or_a_folder() {
        for rename in [rename_new, claim_new] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            std::fs::create_dir_all(at("full/x")).unwrap();
            std::fs::create_dir(at("empty")).unwrap();
            std::fs::write(at("file"), "old").unwrap();
            std::os::unix::fs::symlink("missing", at("link")).unwrap();
            std::fs::create_dir_all(at("new/y")).unwrap();
            std::fs::write(at("new-file"), "new").unwrap();
            let dir = Dir::from_std_file(File::open(folder.path()).unwrap());
            for new in ["new", "new-file"] {
                for old in ["full", "empty", "file", "link"] {
                    let refused = rename(&dir, new, &dir, old).unwrap_err();
                    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{new} {old}");
                }
            }
            rename(&dir, "new", &dir, "free").unwrap();
            rename(&dir, "new-file", &dir, "free-file").unwrap();
            assert!(at("free/y").is_dir() && !at("new").exists() && !at("new-file").exists());
            assert_eq!(std::fs::read(at("free-file")).unwrap(), b"new");
        }
    }
}
