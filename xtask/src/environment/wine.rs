//! Wine, which runs programs for Windows.

use std::path::PathBuf;

use crate::environment::repo::{Repo, succeeds};

/// The programs of wine.
pub(crate) struct Wine {
    /// Runs a program for Windows.
    pub(crate) loader: PathBuf,
    /// Serves all programs of a prefix, and ends them.
    pub(crate) server: PathBuf,
}

impl Wine {
    /// Those on the PATH, or where Debian's packages for 64 bits alone have them.
    pub(crate) fn find(repo: &Repo) -> Option<Self> {
        let first = |names: [&str; 2]| {
            names.map(PathBuf::from).into_iter().find(|path| succeeds(repo.program(path).arg("--version")))
        };
        Some(Self {
            loader: first(["wine64", "/usr/lib/wine/wine64"])?,
            server: first(["/usr/lib/wine/wineserver", "wineserver"])?,
        })
    }
}
