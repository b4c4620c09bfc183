//! Gives a whole file or folder its name, without replacing anything.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer;

use super::save::SaveError;
use crate::platform::rename_new;

/// How many other names are tried for what has a name that is taken.
pub(super) const NAMES_MAX: u16 = 9_999;

/// Renames `from` in one folder to `wanted` in another, or to the first other name that is free; returns which.
pub(super) fn place(
    source: &Dir,
    from: &str,
    target: &Dir,
    wanted: &str,
    path: &Path,
) -> Result<String, SaveError> {
    for n in 0..=NAMES_MAX {
        let name = numbered(wanted, n);
        match rename_new(source, from, target, &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(SaveError::io("save", &path.join(name), error)),
        }
    }
    Err(SaveError::NamesTaken { path: path.join(wanted), tried: NAMES_MAX })
}

/// The `n`th other name; the 0th is the name itself.
pub(super) fn numbered(name: &str, n: u16) -> String {
    if n == 0 { name.to_owned() } else { offer::numbered(name, n, &mut [0; NAME_MAX]).to_owned() }
}
