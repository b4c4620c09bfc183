//! Whether other users can reach a file, and where configuration and state are.

use std::fs::{self, File};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::platform::Access;

/// The right to read who can reach a file (`READ_CONTROL`).
const READ_CONTROL: u32 = 0x0002_0000;
/// Opens a link itself (`FILE_FLAG_OPEN_REPARSE_POINT`), and folders too (`FILE_FLAG_BACKUP_SEMANTICS`).
const NO_FOLLOW: u32 = 0x0220_0000;

/// Whether others can reach an open file.
pub(crate) fn access(file: &File) -> io::Result<Access> {
    let deaddrop_windows::access::Access { foreign, exposed } = deaddrop_windows::access::access(file)?;
    Ok(Access { foreign, exposed })
}

/// Whether others can reach the file at a path, or a link there itself.
pub(crate) fn access_at(path: &Path) -> io::Result<Access> {
    access(&File::options().access_mode(READ_CONTROL).custom_flags(NO_FOLLOW).open(path)?)
}

/// Whether others can reach the file at a path, or the file that a link there leads to. `None` of a folder.
pub(crate) fn access_of_file(path: &Path) -> io::Result<Option<Access>> {
    if fs::metadata(path)?.is_dir() {
        return Ok(None);
    }
    access(&File::options().access_mode(READ_CONTROL).open(path)?).map(Some)
}

/// The commands by which a user keeps a file to itself, in every shell: PowerShell has another form of variables than the
/// command prompt, and the one of Windows has no `&&`. The first takes away what others were granted by name.
pub(crate) fn keep_private(path: &Path) -> String {
    let user = std::env::var("USERNAME").unwrap_or_else(|_| "%USERNAME%".to_owned());
    let path = path.display();
    format!("icacls \"{path}\" /reset, and then icacls \"{path}\" /inheritance:r /grant:r \"{user}:F\"")
}

/// What passes on to a command the passphrase in a file that it refuses.
pub(crate) fn pass_on(path: &Path, variable: &str) -> String {
    let path = path.display().to_string();
    // Without it the PowerShell of Windows takes a file without a byte order mark for one in the code page.
    let content = format!("Get-Content -Encoding UTF8 -LiteralPath '{}'", path.replace('\'', "''"));
    format!(
        "in the command prompt set /p {variable}=<\"{path}\", in PowerShell $env:{variable} = {content}, and then the \
         command without --room-file"
    )
}

/// Makes a folder, and those above it that are missing, that this user alone can enter.
pub(crate) fn make_private_folders(folder: &Path) -> io::Result<()> {
    deaddrop_windows::files::make_private_folders(folder)
}

/// Makes a file that this user alone can read, to be written. It neither opens what exists nor follows a link.
pub(crate) fn make_private_file(path: &Path) -> io::Result<File> {
    deaddrop_windows::files::make_private_file(path, false)
}

/// Gives a file of ours its name, and replaces nothing. It may keep the old one too.
pub(crate) fn name_new(file: &Path, name: &Path) -> io::Result<()> {
    // Unlike a second name every file system has it.
    deaddrop_windows::files::rename_new(file, name)
}

/// Makes the names in a folder durable. The system has no such call; NTFS keeps a journal of them.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Where a user says which folder that is.
pub(crate) const CONFIGURATION_VARIABLES: &str = "APPDATA";

/// The folder of this user's configuration; none of a user without one.
pub(crate) fn configuration_folder() -> Option<PathBuf> {
    folder("APPDATA")
}

/// The folder of what programs of this user keep between runs, on this machine alone.
pub(crate) fn state_folder() -> Option<PathBuf> {
    folder("LOCALAPPDATA")
}

fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
