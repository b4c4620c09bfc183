//! Reads the passphrase of a board's room. The passphrase itself is not written to the board.

use std::path::Path;

use deaddrop_core::derive;
use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::Zeroizing;

use crate::environment::repo::Failure;
use testbed::secret_file;

/// The content of the room file, without one line end.
pub(crate) fn passphrase(path: &Path) -> Result<Zeroizing<String>, Failure> {
    // The longest passphrase and a line end.
    let bytes = secret_file::read("the room file", path, PASSPHRASE_MAX + 2)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure(format!("the room file {} is not UTF-8 text", path.display())))?;
    Ok(Zeroizing::new(derive::strip_line_end(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const PASSPHRASE: &str = "correct horse battery staple";

    #[test]
    fn a_room_file_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("deaddrop-config-room-{}", std::process::id()));
        fs::write(&path, PASSPHRASE).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let failure = passphrase(&path).unwrap_err().0;
        fs::remove_file(&path).unwrap();
        assert!(failure.contains("chmod 600"), "{failure}");
    }
}
