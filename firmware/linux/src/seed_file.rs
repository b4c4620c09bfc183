//! The seed of the next start, in a file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use deaddrop_firmware::boot::SeedStore;

/// A file of 32 bytes.
pub(crate) struct SeedFile(PathBuf);

impl SeedFile {
    /// The file at this path, which must exist.
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl SeedStore for SeedFile {
    type Error = io::Error;

    fn read(&mut self, to: &mut [u8; 32]) -> io::Result<()> {
        let bytes = fs::read(&self.0)?;
        *to = *bytes.as_array().ok_or(io::ErrorKind::InvalidData)?;
        Ok(())
    }

    fn replace(&mut self, new: &[u8; 32]) -> io::Result<()> {
        // Written to a temporary file, synced and renamed: atomic, and on disk before the new key is used.
        let beside = self.0.with_extension("new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(new)?;
        file.sync_all()?;
        fs::rename(&beside, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_is_what_is_read() {
        let path = std::env::temp_dir().join(format!("deaddrop-seed-{}", std::process::id()));
        fs::write(&path, [7; 32]).unwrap();
        let mut seeds = SeedFile::new(&path);
        let mut seed = [0; 32];
        seeds.read(&mut seed).unwrap();
        assert_eq!(seed, [7; 32]);
        seeds.replace(&[8; 32]).unwrap();
        seeds.read(&mut seed).unwrap();
        assert_eq!(seed, [8; 32]);
        fs::write(&path, [9; 31]).unwrap();
        assert!(seeds.read(&mut seed).is_err(), "one byte is missing");
        fs::remove_file(&path).unwrap();
        assert!(seeds.read(&mut seed).is_err());
    }
}
