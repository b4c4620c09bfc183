//! Gives a whole file or folder its name, without replacing anything.

use std::os::fd::BorrowedFd;
use std::path::Path;

use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer;
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::save::SaveError;

/// How many other names are tried for what has a name that is taken.
pub(super) const NAMES_MAX: u16 = 9_999;

/// Renames `from` in one folder to `wanted` in another, or to the first other name that is free; returns which.
pub(super) fn place(
    source: BorrowedFd<'_>,
    from: &str,
    target: BorrowedFd<'_>,
    wanted: &str,
    path: &Path,
) -> Result<String, SaveError> {
    for n in 0..=NAMES_MAX {
        let name = numbered(wanted, n);
        match retry(|| rename_new(source, from, target, &name)) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(SaveError::io("save", &path.join(name), error.into())),
        }
    }
    Err(SaveError::NamesTaken { path: path.join(wanted), tried: NAMES_MAX })
}

/// The `n`th other name; the 0th is the name itself.
pub(super) fn numbered(name: &str, n: u16) -> String {
    if n == 0 { name.to_owned() } else { offer::numbered(name, n, &mut [0; NAME_MAX]).to_owned() }
}

/// Calls it again as long as a signal interrupts it.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Renames without replacing.
fn rename_new(source: BorrowedFd<'_>, from: &str, target: BorrowedFd<'_>, to: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(source, from, target, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => claim_new(source, from, target, to),
        other => other,
    }
}

/// The same on file systems that have no such rename. A folder that is made for it claims the name, and a rename
/// replaces an empty folder alone. A file gets a second name instead.
fn claim_new(source: BorrowedFd<'_>, from: &str, target: BorrowedFd<'_>, to: &str) -> Result<(), Errno> {
    let stat = rustix::fs::statat(source, from, AtFlags::SYMLINK_NOFOLLOW)?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        rustix::fs::linkat(source, from, target, to, AtFlags::empty())?;
        // A second name that cannot be removed does not undo that.
        let _ = rustix::fs::unlinkat(source, from, AtFlags::empty());
        return Ok(());
    }
    rustix::fs::mkdirat(target, to, Mode::RWXU)?;
    rustix::fs::renameat(source, from, target, to).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(target, to, AtFlags::REMOVEDIR);
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

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
            let dir = std::fs::File::open(folder.path()).unwrap();
            for new in ["new", "new-file"] {
                for old in ["full", "empty", "file", "link"] {
                    assert_eq!(rename(dir.as_fd(), new, dir.as_fd(), old), Err(Errno::EXIST), "{new} {old}");
                }
            }
            rename(dir.as_fd(), "new", dir.as_fd(), "free").unwrap();
            rename(dir.as_fd(), "new-file", dir.as_fd(), "free-file").unwrap();
            assert!(at("free/y").is_dir() && !at("new").exists() && !at("new-file").exists());
            assert_eq!(std::fs::read(at("free-file")).unwrap(), b"new");
        }
    }
}
