//! The sources of the last commit in a folder of their own: a release has nothing that is not committed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::repo::{Failure, Repo, captured};

/// The sources of a commit.
pub(crate) struct Export {
    /// Their top folder.
    pub(crate) root: PathBuf,
    /// The time of the commit in seconds since 1970, which every file of the release has.
    pub(crate) epoch: String,
}

impl Export {
    /// Writes the sources of the last commit into a folder of `place`.
    pub(crate) fn of_last_commit(repo: &Repo, place: &Path) -> Result<Self, Failure> {
        let root = place.join("source");
        fs::create_dir_all(&root).map_err(Failure::at(root.display()))?;
        let changed = captured(repo.program("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
        if !changed.is_empty() {
            println!("changes that are not committed are left out:\n{}", changed.trim_end());
        }
        let epoch = captured(repo.program("git").args(["log", "-1", "--format=%ct"]))?.trim().to_owned();
        let archive = place.join("source.tar");
        captured(repo.program("git").args(["archive", "--output"]).arg(&archive).arg("HEAD"))?;
        captured(repo.program("tar").arg("-xf").arg(&archive).arg("-C").arg(&root))?;
        Ok(Self { root, epoch })
    }

    /// Where the man pages and completions are, as `package.metadata.deb` of the program's manifest has it.
    pub(crate) fn manual(&self) -> PathBuf {
        self.root.join("target/manual")
    }
}
