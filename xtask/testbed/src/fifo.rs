//! Named pipes.

use std::path::Path;
use std::process::Command;

/// Makes a named pipe, by the program for it: rustix has no call for it on macOS.
///
/// # Panics
/// If it cannot be made.
pub fn make(path: &Path) {
    let made = Command::new("mkfifo").arg("-m").arg("600").arg(path).status();
    assert!(
        made.as_ref().is_ok_and(std::process::ExitStatus::success),
        "mkfifo {}: {made:?}",
        path.display()
    );
}
