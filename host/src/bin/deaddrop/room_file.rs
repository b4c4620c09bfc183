//! Room files: a passphrase in a file that only its owner can read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::{Zeroize, Zeroizing};

use crate::exit::Failure;
use crate::passphrase::VARIABLE;
use crate::platform::{self, Access};
use crate::private_file;

/// Reads a room file. Its last line end is dropped; everything else is the passphrase.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refuse = |error: io::Error| {
        Failure::usage(format!(
            "cannot read the room file {}: {error}; check its path and rights",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound && path.as_os_str() == "-" {
            return Failure::usage(format!("there is no room file named -: {}", platform::INSTEAD_OF_DASH));
        }
        refuse(error)
    })?;
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

/// Writes a passphrase into a new file that only its owner can read, as [`private_file`] does. A part of a passphrase is
/// another room, so there is never a part of one.
pub(crate) fn create(path: &Path, passphrase: &str) -> Result<(), Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(passphrase.len() + 1));
    line.extend_from_slice(passphrase.as_bytes());
    line.push(b'\n');
    private_file::create(path, "room file", &line)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_created_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms/work");
        create(&path, "four random words here").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"four random words here\n");
        assert_eq!(read(&path).unwrap().as_str(), "four random words here");
    }
}
