//! Paths and names of files, and the space for them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, DELETE, FILE_FLAG_DELETE_ON_CLOSE,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_NAME_NORMALIZED, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    GetDiskFreeSpaceExW, GetFinalPathNameByHandleW, MoveFileExW,
};

use crate::access::OfThisUser;
use crate::succeeded;

/// A path as the system takes it: UTF-16 with a zero at the end.
pub(crate) fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    wide.push(0);
    Ok(wide)
}

/// The path of an open file or folder, in the form that may be longer than 260 characters.
///
/// # Errors
/// What the system says.
pub fn path_of(open: impl AsHandle) -> io::Result<PathBuf> {
    let handle = open.as_handle();
    let mut path = vec![0_u16; 512];
    loop {
        let room = u32::try_from(path.len()).unwrap_or(u32::MAX);
        // SAFETY: the handle is open for as long as it is borrowed, and the buffer has room for so many characters.
        let length = unsafe {
            GetFinalPathNameByHandleW(handle.as_raw_handle(), path.as_mut_ptr(), room, FILE_NAME_NORMALIZED)
        } as usize;
        match path.get(..length) {
            Some([]) => return Err(io::Error::last_os_error()),
            Some(whole) if length < path.len() => return Ok(OsString::from_wide(whole).into()),
            // It says how many characters are needed.
            _ => path.resize(length + 1, 0),
        }
    }
}

/// Renames a file or folder, and replaces nothing.
///
/// # Errors
/// `AlreadyExists` if the name is taken.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from)?, wide(to)?);
    // Without flags it neither replaces nor copies to another volume.
    // SAFETY: both paths end with a zero.
    succeeded(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) })
}

/// Bytes in all and bytes that this user may still fill, on the volume of a folder.
///
/// # Errors
/// What the system says.
pub fn space(folder: &Path) -> io::Result<(u64, u64)> {
    let folder = wide(folder)?;
    let (mut total, mut available) = (0, 0);
    // SAFETY: the path ends with a zero, the two numbers are ours to write to, and the third may be left out.
    succeeded(unsafe {
        GetDiskFreeSpaceExW(folder.as_ptr(), &raw mut available, &raw mut total, null_mut())
    })?;
    Ok((total, available))
}

/// Makes a folder whose access list, and that of what is made in it, has this user alone.
///
/// # Errors
/// `AlreadyExists` if the name is taken.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let path = wide(path)?;
    let access = OfThisUser::new()?;
    // SAFETY: the path ends with a zero, and the attributes live until the call is over.
    succeeded(unsafe { CreateDirectoryW(path.as_ptr(), &raw const *access.attributes()) })
}

/// Makes a folder of this user alone, and those above it that are missing.
///
/// # Errors
/// If one of them can neither be made nor is there.
pub fn make_private_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_private_folders(above)?;
    }
    match make_private_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        other => other,
    }
}

/// Makes a file whose access list has this user alone, to be read and written. `unnamed` has it removed when it is
/// closed, and until then no other program opens it.
///
/// # Errors
/// `AlreadyExists` if the name is taken, by a link too.
pub fn make_private_file(path: &Path, unnamed: bool) -> io::Result<File> {
    let path = wide(path)?;
    let access = OfThisUser::new()?;
    let (rights, share, flags) = if unnamed {
        (GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_DELETE, FILE_FLAG_DELETE_ON_CLOSE)
    } else {
        (GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0)
    };
    // SAFETY: the path ends with a zero, and the attributes live until the call is over.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            rights,
            share,
            &raw const *access.attributes(),
            CREATE_NEW,
            flags | FILE_FLAG_OPEN_REPARSE_POINT,
            null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has opened it, and nothing else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) }.into())
}
