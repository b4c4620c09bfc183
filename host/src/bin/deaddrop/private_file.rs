//! New files for secrets, which only their owner can read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::platform;

/// Writes a secret into a new file that only its owner can read. Folders that are missing are made, for the owner only
/// too. Nothing that exists is overwritten, and no link is followed. The file gets its name once all of it is durable.
/// `what` is the word for it in refusals.
pub(crate) fn create(path: &Path, what: &str, secret: &[u8]) -> Result<(), Failure> {
    let place = path.display();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        platform::make_private_folders(folder).map_err(|error| {
            failed(format!("cannot make the folder {}: {error}; check its path and rights", folder.display()))
        })?;
    }
    let refuse = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failed(format!("cannot make the {what} {place}: {error}; check its path and rights")),
    };
    // A link that leads nowhere is there too.
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    let hidden = hidden(path).map_err(refuse)?;
    let mut made = platform::make_private_file(&hidden).map_err(refuse)?;
    let written = platform::access(&made).and_then(|access| match access.exposed {
        false => made.write_all(secret).and_then(|()| made.sync_all()),
        true => Err(io::Error::other("its file system does not keep others from reading it")),
    });
    let unwritten = |error| failed(format!("cannot write the {what} {place}: {error}; choose another place"));
    // An open file cannot be renamed on Windows.
    drop(made);
    let named = written.map_err(unwritten).and_then(|()| platform::name_new(&hidden, path).map_err(refuse));
    // By our own random name, if it still has that.
    let _ = fs::remove_file(&hidden);
    named?;
    platform::sync_folder(folder_of(path)).map_err(unwritten)
}

/// The refusal to write where something is already.
pub(crate) fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is there already, and is not overwritten: choose another name, or remove it first",
        path.display()
    ))
}

/// The folder that a path names something in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside this one that nothing has: no room's name, and random.
fn hidden(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(folder_of(path).join(format!(".deaddrop-{}.new", data_encoding::HEXLOWER.encode(&random))))
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Failed, "file", message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_only_and_so_are_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/deaddrop/rooms/work");
        create(&path, "room file", b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&path), 0o600);
        for made in path.ancestors().skip(1).take(3) {
            assert_eq!(mode(made), 0o700, "{}", made.display());
        }
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn nothing_that_exists_is_overwritten_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "precious").unwrap();
        symlink(at("elsewhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["file", "dangling", "folder"] {
            let failure = create(&at(name), "room file", b"passphrase").unwrap_err();
            assert_eq!(failure.exit.code(), 2);
            assert!(failure.message.contains("is there already") && !failure.message.contains("passphrase"));
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"precious");
        assert!(!at("elsewhere").exists());
    }

    #[test]
    fn a_place_where_nothing_can_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let failure = create(&folder.path().join("file/room"), "room file", b"passphrase").unwrap_err();
        assert_eq!((failure.exit.code(), failure.code), (1, "file"));
        assert!(failure.message.contains("cannot make the folder"), "{}", failure.message);
    }
}
