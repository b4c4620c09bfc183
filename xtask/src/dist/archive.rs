//! The archive of a release: the program with its documents, for people who install it by hand.

use std::fs;
use std::path::Path;

use crate::dist::build::Release;
use crate::environment::architecture::Architecture;
use crate::environment::repo::{Failure, captured};

/// Documents at the top of the repository that go along.
const DOCUMENTS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE"];

/// Writes `deaddrop-VERSION-ARCHITECTURE-linux.tar.gz` into `out`.
pub(crate) fn write(
    release: &Release<'_>,
    architecture: Architecture,
    program: &Path,
    out: &Path,
) -> Result<(), Failure> {
    let name = format!("deaddrop-{}-{}-linux", release.version, architecture.name());
    let root = &release.export.root;
    let staging = root.join("target/archive");
    let folder = staging.join(&name);
    fs::create_dir_all(&folder).map_err(Failure::at(folder.display()))?;
    let copy = |from: &Path, to: &str| {
        fs::copy(from, folder.join(to)).map(|_| ()).map_err(Failure::at(from.display()))
    };
    copy(program, "deaddrop")?;
    DOCUMENTS.iter().try_for_each(|document| copy(&root.join(document), document))?;
    copy(&root.join("host/packaging/deaddrop.service"), "deaddrop.service")?;
    copy(&root.join("host/docs/events.schema.json"), "events.schema.json")?;
    captured(release.program("cp").arg("-R").arg(release.export.manual()).arg(folder.join("manual")))?;
    // Names in order, one time, no owner, and modes that the umask has no part in.
    let archive = staging.join(format!("{name}.tar"));
    let mut tar = release.program("tar");
    tar.args(["--create", "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u=rwX,go=rX", &format!("--mtime=@{}", release.export.epoch), "--file"]).arg(&archive);
    captured(tar.arg("--directory").arg(&staging).arg(&name))?;
    // Without the name and the time of the file.
    captured(release.program("gzip").args(["--no-name", "--best"]).arg(&archive))?;
    let file = format!("{name}.tar.gz");
    fs::copy(staging.join(&file), out.join(&file)).map(|_| ()).map_err(Failure::at(&file))
}
