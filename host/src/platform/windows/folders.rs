//! Names in a folder.
//!
//! The system opens by path. The path is asked of the folder's handle each time, and the folders of a person's choice are
//! open without leave to be renamed, so that it stays true as long as they are.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::Dir;
use deaddrop_windows::files::{make_private_file, make_private_folder, path_of};
use winapi_util::file::information;

use super::files::{AsHandle, FOLDERS_TOO, NO_FOLLOW, belongs_to_us, kind, status};
use super::is_any;
use super::names::{is_special, is_special_target, leads_out};
use crate::platform::{FileKind, Status};

/// The right to ask for kind, identity, size and times (`FILE_READ_ATTRIBUTES`).
const READ_ATTRIBUTES: u32 = 0x80;
/// The right to ask for the owner (`READ_CONTROL`).
const READ_CONTROL: u32 = 0x0002_0000;
/// `ERROR_INVALID_NAME`.
const INVALID_NAME: i32 = 123;
/// `ERROR_FILENAME_EXCED_RANGE`.
const NAME_TOO_LONG: i32 = 206;
/// `ERROR_PRIVILEGE_NOT_HELD`: without developer mode, only administrators make links.
const PRIVILEGE: i32 = 1_314;
/// `ERROR_INVALID_FUNCTION` and `ERROR_NOT_SUPPORTED`: a file system without links.
const NO_LINKS: [i32; 2] = [1, 50];

/// The path of what is below a folder. One that leads out of it is refused.
fn below(folder: &Dir, path: &str) -> io::Result<PathBuf> {
    if leads_out(path) {
        return Err(io::Error::from_raw_os_error(INVALID_NAME));
    }
    let mut whole = path_of(folder)?;
    // In the long form of a path the system takes neither `/` nor `.`.
    whole.extend(path.split('/').filter(|part| !matches!(*part, "" | ".")));
    Ok(whole)
}

/// The path of something that is to be made. Names that the system gives another meaning are refused, as it does itself
/// except in the long form of a path: there it would make a file that most programs can neither open nor remove.
fn new_below(folder: &Dir, name: &str) -> io::Result<PathBuf> {
    if is_special(name) {
        return Err(io::Error::from_raw_os_error(INVALID_NAME));
    }
    below(folder, name)
}

fn open(path: PathBuf, read_write: bool, flags: u32) -> io::Result<File> {
    File::options().read(true).write(read_write).custom_flags(flags).open(path)
}

/// Refuses a link that was opened itself.
fn no_link(file: File) -> io::Result<File> {
    if file.metadata()?.is_symlink() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(file) }
}

/// Takes an open folder, and nothing else.
fn folder(file: File) -> io::Result<Dir> {
    if file.metadata()?.is_dir() {
        Ok(Dir::from_std_file(file))
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// Makes a folder that this user alone can enter.
pub(crate) fn make_folder(at: &Dir, name: &str) -> io::Result<()> {
    make_private_folder(&new_below(at, name)?)
}

/// Removes an empty folder.
pub(crate) fn remove_folder(at: &Dir, name: &str) -> io::Result<()> {
    fs::remove_dir(below(at, name)?)
}

/// Opens a folder, and no link to one.
pub(crate) fn open_folder(at: &Dir, path: &str) -> io::Result<Dir> {
    folder(no_link(open(below(at, path)?, false, FOLDERS_TOO | NO_FOLLOW)?)?)
}

/// Makes a file that this user alone can read and write; to be written. It neither opens what exists nor follows a link.
/// The system has no mark for a program.
pub(crate) fn make_file(at: &Dir, name: &str, _executable: bool) -> io::Result<File> {
    make_private(at, name)
}

/// Makes a file that this user alone can read; to be read and written. It neither opens what exists nor follows a link.
pub(crate) fn make_private(at: &Dir, name: &str) -> io::Result<File> {
    make_private_file(&new_below(at, name)?, false)
}

/// Makes a file that is removed when it is closed, whatever happens, and that no other program can open until then.
pub(crate) fn make_unnamed(at: &Dir, name: &str) -> io::Result<File> {
    make_private_file(&new_below(at, name)?, true)
}

/// Opens a file to read and write it, and no link.
pub(crate) fn open_file(at: &Dir, name: &str) -> io::Result<File> {
    no_link(open(below(at, name)?, true, NO_FOLLOW)?)
}

/// Opens a file that is to be sent, or one that a link leads to if `follow`.
pub(crate) fn open_to_send_at(at: &Dir, path: &str, follow: bool) -> io::Result<File> {
    let path = below(at, path)?;
    if follow { open(path, false, FOLDERS_TOO) } else { no_link(open(path, false, FOLDERS_TOO | NO_FOLLOW)?) }
}

/// The same of a folder.
pub(crate) fn folder_to_send_at(at: &Dir, name: &str, follow: bool) -> io::Result<Dir> {
    folder(open_to_send_at(at, name, follow)?)
}

/// Opens a folder that is to be sent, by the path that a person gave. Links are followed.
pub(crate) fn folder_to_send(path: &Path) -> io::Result<Dir> {
    folder(open(path.to_owned(), false, FOLDERS_TOO)?)
}

/// Has a file below a folder on the disk. The system has no such call for a folder.
pub(crate) fn sync_at(at: &Dir, path: &str) -> io::Result<()> {
    let path = below(at, path)?;
    if fs::symlink_metadata(&path)?.is_dir() {
        return Ok(());
    }
    open(path, true, NO_FOLLOW)?.sync_all()
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path_of(folder)?)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// What a name in a folder stands for, or what a link there leads to if `follow`.
pub(crate) fn kind_at(at: &Dir, name: &str, follow: bool) -> io::Result<FileKind> {
    let path = below(at, name)?;
    Ok(kind(&if follow { fs::metadata(path) } else { fs::symlink_metadata(path) }?))
}

/// Opens what has this name, and not what a link there leads to, with these rights alone, so that no other program's use
/// of it stands in the way.
fn look_at(at: &Dir, name: &str, rights: u32) -> io::Result<File> {
    let mut options = File::options();
    options.access_mode(rights).custom_flags(FOLDERS_TOO | NO_FOLLOW);
    options.open(below(at, name)?)
}

/// What the system says of what has this name, and not of what a link there leads to.
pub(crate) fn status_at(at: &Dir, name: &str) -> io::Result<Status> {
    status(&look_at(at, name, READ_ATTRIBUTES)?)
}

/// Whether what has this name is owned by the user that this process runs for, or by the administrators.
pub(crate) fn belongs_to_us_at(at: &Dir, name: &str) -> bool {
    look_at(at, name, READ_CONTROL).is_ok_and(|file| belongs_to_us(&file))
}

/// The same of an open folder.
pub(crate) fn folder_belongs_to_us(folder: &Dir) -> bool {
    folder.try_clone().is_ok_and(|folder| belongs_to_us(&folder.into_std_file()))
}

/// What the system says of an open folder.
pub(crate) fn folder_status(folder: &Dir) -> io::Result<Status> {
    Ok(Status { kind: FileKind::Folder, ..status(&folder.try_clone()?.into_std_file())? })
}

/// The two numbers of what has this name, as in [`Status::identity`].
pub(crate) fn identity_at(at: &Dir, name: &str) -> io::Result<(u64, u64)> {
    let named = information(&look_at(at, name, READ_ATTRIBUTES)?)?;
    Ok((named.volume_serial_number(), named.file_index()))
}

/// Whether a name in a folder is that of an open file or folder.
pub(crate) fn is_named(at: &Dir, name: &str, open: impl AsHandle) -> bool {
    let open = open.as_handle().try_clone_to_owned().and_then(|open| information(File::from(open)));
    let open = open.map(|open| (open.volume_serial_number(), open.file_index()));
    // A volume that has no number says 0, and so does one under wine of a file that was renamed while it was open.
    let same = |one: (u64, u64), other: (u64, u64)| {
        one.1 == other.1 && (one.0 == other.0 || one.0 == 0 || other.0 == 0)
    };
    matches!((identity_at(at, name), open), (Ok(named), Ok(open)) if same(named, open))
}

/// Whether anything has this name.
pub(crate) fn is_taken(at: &Dir, name: &str) -> bool {
    below(at, name).is_ok_and(|path| fs::symlink_metadata(path).is_ok())
}

/// Where a link leads, with `/` between the names, and one before them if it leads to a drive, which is outside of every
/// folder that is sent.
pub(crate) fn read_link(at: &Dir, name: &str) -> io::Result<OsString> {
    let target = fs::read_link(below(at, name)?)?;
    let drive = matches!(target.components().next(), Some(Component::Prefix(_)));
    let root = if drive { "/" } else { "" };
    // What is not Unicode stays, and is refused as that.
    Ok(match target.to_str() {
        Some(target) => format!("{root}{}", target.replace('\\', "/")).into(),
        None => target.into(),
    })
}

/// Makes a symbolic link. `Unsupported` where the file system has none, such as FAT, or the user may make none; and of a
/// target that would lead out of the drop here. That is not even looked for: to look for the share of another machine is
/// to tell it who this user is.
pub(crate) fn make_link(at: &Dir, name: &str, target: &str) -> io::Result<()> {
    if is_special_target(target) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = new_below(at, name)?;
    let target = target.replace('/', "\\");
    // A link to a folder is of another kind than one to a file.
    let to_folder = path.parent().is_some_and(|folder| folder.join(&target).is_dir());
    let made = if to_folder {
        std::os::windows::fs::symlink_dir(target, &path)
    } else {
        std::os::windows::fs::symlink_file(target, &path)
    };
    // Wine says that it has made a link, and has made nothing.
    let made = made.and_then(|()| match fs::symlink_metadata(&path) {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::from_raw_os_error(PRIVILEGE)),
    });
    made.map_err(|error| {
        if error.raw_os_error() == Some(PRIVILEGE) || is_any(&error, &NO_LINKS) {
            io::ErrorKind::Unsupported.into()
        } else {
            error
        }
    })
}

/// Whether an error says that the file system takes no such name.
pub(crate) fn is_name_refused(error: &io::Error) -> bool {
    is_any(error, &[INVALID_NAME, NAME_TOO_LONG])
}

/// Whether a path says that it is a folder: by a last separator, or one and a dot, which [`Path`] leaves out.
pub(crate) fn is_written_as_folder(path: &Path) -> bool {
    let written = path.as_os_str().as_encoded_bytes();
    let written = written.strip_suffix(b".").unwrap_or(written);
    written.ends_with(b"/") || written.ends_with(b"\\")
}

/// Whether a folder holds devices rather than files: here a device is a name in every folder, and making a file of such
/// a name is refused.
pub(crate) fn is_of_the_kernel(_: &Path) -> bool {
    false
}

/// Has the names in a folder on the disk. The system has no such call; NTFS keeps a journal of them.
pub(crate) fn sync_folder(_: &Dir) {}

/// Has the whole file system of a folder on the disk: only administrators can do that here.
pub(crate) fn sync_file_system(_: &Dir) {}

/// Renames a file or folder without replacing anything: `AlreadyExists` if the name is taken.
pub(crate) fn rename_new(source: &Dir, from: &str, target: &Dir, to: &str) -> io::Result<()> {
    deaddrop_windows::files::rename_new(&below(source, from)?, &new_below(target, to)?)
}
