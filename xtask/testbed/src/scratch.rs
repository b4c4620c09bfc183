//! Temporary folders that only their owner can enter.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use crate::Failure;
use crate::secret_file;

/// A folder of our own. Removed when dropped.
pub struct Scratch(TempDir);

impl Scratch {
    /// In the system's folder for temporary files.
    pub fn new() -> Result<Self, Failure> {
        Self::within(&std::env::temp_dir())
    }

    /// In another folder.
    pub fn within(base: &Path) -> Result<Self, Failure> {
        let folder =
            Builder::new().prefix("deaddrop-").permissions(Permissions::from_mode(0o700)).tempdir_in(base);
        folder.map(Self).map_err(Failure::at(base.display()))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a new file that only we can read, and gives its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path().join(name);
        secret_file::write_new(&path, bytes)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_scratch_file_is_ours_alone_and_gone_afterwards() {
        let scratch = Scratch::new().unwrap();
        let file = scratch.write("room", b"x").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(scratch.path()).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!file.exists());
    }
}
