//! Compares two releases byte by byte.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::environment::repo::Failure;

/// Fails unless both folders have the same files with the same bytes. Gives the number of files.
pub(crate) fn same(one: &Path, other: &Path) -> Result<usize, Failure> {
    let names = [names(one)?, names(other)?];
    let [here, there] = &names;
    if here != there {
        return Err(Failure(format!("one release has {here:?}, the other {there:?}")));
    }
    let mut different = Vec::new();
    for name in here {
        let read = |folder: &Path| fs::read(folder.join(name)).map_err(Failure::at(name.display()));
        let (one, other) = (read(one)?, read(other)?);
        if one != other {
            let at = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
            different.push(format!("{} from byte {at} on", name.display()));
        }
    }
    if different.is_empty() && !here.is_empty() {
        return Ok(here.len());
    }
    Err(Failure(format!(
        "two builds of one commit differ: {}; {} and {} are kept, to be compared with diffoscope",
        different.join(", "),
        one.display(),
        other.display()
    )))
}

fn names(folder: &Path) -> Result<BTreeSet<OsString>, Failure> {
    let at = || Failure::at(folder.display().to_string());
    let entries = fs::read_dir(folder).map_err(at())?;
    entries.map(|entry| Ok(entry.map_err(at())?.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::scratch::Scratch;

    #[test]
    fn a_byte_or_a_file_more_is_a_difference() {
        let (one, other) = (Scratch::new().unwrap(), Scratch::new().unwrap());
        assert!(same(one.path(), other.path()).is_err(), "nothing is no release");
        one.write("a", b"abc").unwrap();
        assert!(same(one.path(), other.path()).is_err());
        other.write("a", b"abd").unwrap();
        let failure = same(one.path(), other.path()).unwrap_err().0;
        assert!(failure.contains("a from byte 2 on"), "{failure}");
        fs::write(other.path().join("a"), b"abc").unwrap();
        assert_eq!(same(one.path(), other.path()).unwrap(), 1);
        other.write("b", b"").unwrap();
        assert!(same(one.path(), other.path()).is_err());
    }
}
