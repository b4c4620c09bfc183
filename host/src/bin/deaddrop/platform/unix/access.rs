//! Whether other users can reach a file, and where configuration and state are.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::platform::Access;
use crate::shell::quoted;

/// Mode bits by which others reach a file.
const OTHERS: u32 = 0o077;

/// Whether others can reach an open file.
pub(crate) fn access(file: &File) -> io::Result<Access> {
    file.metadata().map(|metadata| access_by(&metadata))
}

/// Whether others can reach the file at a path, or a link there itself.
pub(crate) fn access_at(path: &Path) -> io::Result<Access> {
    fs::symlink_metadata(path).map(|metadata| access_by(&metadata))
}

/// Whether others can reach the file at a path, or the file that a link there leads to. `None` of a folder.
pub(crate) fn access_of_file(path: &Path) -> io::Result<Option<Access>> {
    fs::metadata(path).map(|metadata| (!metadata.is_dir()).then(|| access_by(&metadata)))
}

fn access_by(metadata: &Metadata) -> Access {
    of(metadata.uid(), metadata.mode(), rustix::process::geteuid().as_raw())
}

fn of(owner: u32, mode: u32, me: u32) -> Access {
    Access { foreign: owner != me && owner != 0, exposed: mode & OTHERS != 0 }
}

/// The command by which a user keeps a file to itself.
pub(crate) fn keep_private(path: &Path) -> String {
    format!("chmod 600 {}", quoted(&path.display().to_string()))
}

/// What passes on to a command the passphrase in a file that it refuses.
pub(crate) fn pass_on(path: &Path, variable: &str) -> String {
    let path = quoted(&path.display().to_string());
    format!("cat {path} | deaddrop ... --room-file /dev/stdin, or {variable}=\"$(cat {path})\" deaddrop ...")
}

/// Makes a folder, and those above it that are missing, that this user alone can enter.
pub(crate) fn make_private_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a file that this user alone can read, to be written. It neither opens what exists nor follows a link.
pub(crate) fn make_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a file of ours its name, and replaces nothing. It may keep the old one too.
pub(crate) fn name_new(file: &Path, name: &Path) -> io::Result<()> {
    // A rename would replace what is there.
    fs::hard_link(file, name)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where a user says which folder that is.
pub(crate) const CONFIGURATION_VARIABLES: &str = "HOME or XDG_CONFIG_HOME";

/// The folder of this user's configuration; none of a user without a home.
pub(crate) fn configuration_folder() -> Option<PathBuf> {
    configuration_below(std::env::var_os("XDG_CONFIG_HOME"), std::env::home_dir())
}

/// The folder for configuration, or else the usual place in the home. A relative path is no value of `XDG_CONFIG_HOME`,
/// says its specification.
fn configuration_below(configuration: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let configuration = configuration.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|home| home.is_absolute()).map(|home| home.join(".config"));
    configuration.or(home)
}

/// The folder of what programs of this user keep between runs: that of the XDG base directories for state.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrator_may_hand_a_file_out_and_nobody_else() {
        let private = Access { foreign: false, exposed: false };
        assert_eq!(of(1_000, 0o100_600, 1_000), private);
        assert_eq!(of(0, 0o100_600, 1_000), private);
        assert_eq!(of(1_001, 0o100_600, 1_000), Access { foreign: true, exposed: false });
        assert_eq!(of(1_000, 0o100_640, 1_000), Access { foreign: false, exposed: true });
    }

    #[test]
    fn the_folder_is_that_of_the_users_configuration() {
        let below = |configuration: Option<&str>, home: Option<&str>| {
            let folder = configuration_below(configuration.map(OsString::from), home.map(PathBuf::from));
            folder.map(|folder| folder.display().to_string())
        };
        let home = Some("/home/ann");
        assert_eq!(below(None, home).as_deref(), Some("/home/ann/.config"));
        assert_eq!(below(Some("/etc/ann"), home).as_deref(), Some("/etc/ann"));
        for no_path in ["", "relative"] {
            assert_eq!(below(Some(no_path), home).as_deref(), Some("/home/ann/.config"));
        }
        assert_eq!(below(Some("/etc/ann"), None).as_deref(), Some("/etc/ann"));
        assert_eq!(below(None, None), None);
        assert_eq!(below(None, Some("")), None);
    }
}
