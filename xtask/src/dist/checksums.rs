//! The checksums of a release, in the form of `sha256sum`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::environment::repo::Failure;

/// The name of the file.
pub(crate) const NAME: &str = "SHA256SUMS";

/// Writes the checksums of all files in `folder`, in the order of their names.
pub(crate) fn write(folder: &Path) -> Result<(), Failure> {
    let at = || Failure::at(folder.display().to_string());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(at())? {
        names.push(entry.map_err(at())?.file_name());
    }
    names.sort();
    let mut text = String::new();
    for name in names {
        let name = name.to_str().ok_or_else(|| Failure::new("a file of the release has no UTF-8 name"))?;
        let bytes = fs::read(folder.join(name)).map_err(Failure::at(name))?;
        for byte in Sha256::digest(&bytes) {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text, "  {name}");
    }
    fs::write(folder.join(NAME), text).map_err(Failure::at(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::scratch::Scratch;

    #[test]
    fn sums_are_those_of_sha256sum_in_the_order_of_names() {
        let folder = Scratch::new().unwrap();
        folder.write("b", b"").unwrap();
        folder.write("a", b"abc").unwrap();
        write(folder.path()).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join(NAME)).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
    }
}
