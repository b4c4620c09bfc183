//! Files that only their owner can read (mode 0600): passphrases, provisioning records, seeds.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::Failure;

/// Reads a secret of at most `most` bytes. Refuses a file that group or others may read; `what` is its name in
/// failures.
pub fn read(what: &str, path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = format!("{what} {}", path.display());
    let mut file = File::open(path).map_err(Failure::at(&shown))?;
    // Through the handle, so that it is about the file that is read next.
    let metadata = file.metadata().map_err(Failure::at(&shown))?;
    if metadata.is_dir() {
        return Err(Failure(format!("{shown} is a folder")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(Failure(format!(
            "others can reach {shown}: keep it to yourself with: chmod 600 {}",
            path.display()
        )));
    }
    // One byte more than allowed, to see that a file is longer; allocated once, because growing leaves a copy.
    let mut bytes = Zeroizing::new(vec![0; most.saturating_add(1)]);
    let mut length = 0;
    loop {
        match file.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::at(&shown)(error)),
        }
    }
    if length > most {
        return Err(Failure(format!("{shown} is too long: it has at most {most} bytes")));
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Writes a new file that only its owner can read. Refuses a path that exists.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure(format!(
            "{} exists and is left as it is: remove it, or give another name",
            path.display()
        )),
        _ => Failure::at(path.display())(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_ours_alone_and_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(*read("the file", &path, 6).unwrap(), b"secret");
        let failure = read("the file", &path, 5).unwrap_err().0;
        assert!(failure.starts_with("the file ") && failure.contains("too long"), "{failure}");
    }

    #[test]
    fn what_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, b"secret").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let failure = read("the file", &path, 100).unwrap_err().0;
            assert!(failure.contains("chmod 600"), "{failure}");
        }
        assert!(read("the file", folder.path(), 100).unwrap_err().0.contains("folder"));
        assert!(read("the file", &folder.path().join("none"), 100).is_err());
    }

    #[test]
    fn a_new_file_takes_no_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, b"another").unwrap();
        assert!(write_new(&path, b"secret").unwrap_err().0.contains("left as it is"));
        assert_eq!(fs::read(&path).unwrap(), b"another");
    }
}
