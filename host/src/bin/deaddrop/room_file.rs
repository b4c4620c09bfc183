//! Room files: a passphrase in a file that only its owner can read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::{Zeroize, Zeroizing};

use crate::exit::Failure;
use crate::passphrase::VARIABLE;
use crate::platform::{self, Access};

/// Reads a room file. Its last line end is dropped; everything else is the passphrase.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refuse = |error: io::Error| {
        Failure::usage(format!(
            "cannot read the room file {}: {error}; check its path and rights",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(refuse)?;
    // Looked at through the handle, so that it is the file that is then read.
    let metadata = file.metadata().map_err(refuse)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!(
            "the room file {} is a folder: name the file in it",
            path.display()
        )));
    }
    private(path, platform::access(&file).map_err(refuse)?)?;
    let bytes = read_line(&mut file).map_err(refuse)?;
    text(bytes, &format!("the room file {}", path.display()), "save it as UTF-8")
}

/// Reads a passphrase to the end, without its last line end. Of a longer one it gives more bytes than are allowed.
pub(crate) fn read_line(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Read into memory that was set aside before, so that no copy is left behind by growing: the
    // longest passphrase, a line end, and one byte by which a longer file shows.
    let mut bytes = Zeroizing::new(vec![0; PASSPHRASE_MAX + 3]);
    let mut length = 0;
    loop {
        match from.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

/// The bytes of `source` as text, without a copy of them; `advice` says what to do if they are none.
pub(crate) fn text(
    mut bytes: Zeroizing<Vec<u8>>,
    source: &str,
    advice: &str,
) -> Result<Zeroizing<String>, Failure> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        let mut bytes = error.into_bytes();
        let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        bytes.zeroize();
        Failure::usage(if wide {
            format!("{source} is UTF-16 text: save it as UTF-8 without BOM")
        } else {
            format!("{source} is not UTF-8 text: {advice}")
        })
    })
}

/// Refuses a room file that others can read, or that belongs to someone else.
pub(crate) fn private(path: &Path, access: Access) -> Result<(), Failure> {
    // Where neither can be mended: a secret mounted into a container, sudo, a file system without modes.
    let instead = format!("or pass on what is in it: {}", platform::pass_on(path, VARIABLE));
    if access.foreign {
        return Err(Failure::usage(format!(
            "the room file {} belongs to another user: make one of your own, {instead}",
            path.display()
        )));
    }
    if access.exposed {
        return Err(Failure::usage(format!(
            "others can reach the room file {}: keep it to yourself with: {} ({instead})",
            path.display(),
            platform::keep_private(path)
        )));
    }
    Ok(())
}

/// Writes a passphrase into a new file that only its owner can read. Folders that are missing are made, for the owner
/// only too. Nothing that exists is overwritten, and no link is followed. The file gets its name once all of it is
/// durable: a part of a passphrase is another room.
pub(crate) fn create(path: &Path, passphrase: &str) -> Result<(), Failure> {
    let place = path.display();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        platform::make_private_folders(folder).map_err(|error| {
            file(format!("cannot make the folder {}: {error}; check its path and rights", folder.display()))
        })?;
    }
    let refuse = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => file(format!("cannot make the room file {place}: {error}; check its path and rights")),
    };
    // A link that leads nowhere is there too.
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    let hidden = hidden(path).map_err(refuse)?;
    let mut made = platform::make_private_file(&hidden).map_err(refuse)?;
    let mut line = Zeroizing::new(Vec::with_capacity(passphrase.len() + 1));
    line.extend_from_slice(passphrase.as_bytes());
    line.push(b'\n');
    let written = platform::access(&made).and_then(|access| match access.exposed {
        false => made.write_all(&line).and_then(|()| made.sync_all()),
        true => Err(io::Error::other("its file system does not keep others from reading it")),
    });
    let failed = |error| file(format!("cannot write the room file {place}: {error}; choose another place"));
    let named = written.map_err(failed).and_then(|()| {
        // Unlike a rename it replaces nothing.
        fs::hard_link(&hidden, path).map_err(refuse)
    });
    // By our own random name.
    let _ = fs::remove_file(&hidden);
    named?;
    platform::sync_folder(folder_of(path)).map_err(failed)
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

/// The refusal to write where something is already.
pub(crate) fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is there already, and is not overwritten: choose another name, or remove it first",
        path.display()
    ))
}

fn file(message: String) -> Failure {
    Failure::new(crate::exit::Exit::Failed, "file", message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_only_and_so_are_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/deaddrop/rooms/work");
        create(&path, "four random words here").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&path), 0o600);
        for made in path.ancestors().skip(1).take(3) {
            assert_eq!(mode(made), 0o700, "{}", made.display());
        }
        assert_eq!(fs::read(&path).unwrap(), b"four random words here\n");
        assert_eq!(read(&path).unwrap().as_str(), "four random words here");
    }

    #[test]
    fn nothing_that_exists_is_overwritten_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "precious").unwrap();
        symlink(at("elsewhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["file", "dangling", "folder"] {
            let failure = create(&at(name), "passphrase").unwrap_err();
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
        let failure = create(&folder.path().join("file/room"), "passphrase").unwrap_err();
        assert_eq!((failure.exit.code(), failure.code), (1, "file"));
        assert!(failure.message.contains("cannot make the folder"), "{}", failure.message);
    }
}
