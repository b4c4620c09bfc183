//! The archives of a release: the program with its documents, for people who install it by hand.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dist::build::Release;
use crate::environment::architecture::Architecture;
use crate::environment::repo::{Failure, captured};

/// Documents that go along.
const DOCUMENTS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE", "host/docs/events.schema.json"];

/// Writes `deaddrop-VERSION-ARCHITECTURE-linux.tar.gz` into `out`.
pub(crate) fn write(
    release: &Release<'_>,
    architecture: Architecture,
    program: &Path,
    out: &Path,
) -> Result<(), Failure> {
    let name = format!("deaddrop-{}-{}-linux", release.version, architecture.name());
    let (staging, folder) = staged(release, &name, program)?;
    copy(&release.export.root.join("host/packaging/deaddrop.service"), &folder)?;
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

/// Writes `deaddrop-VERSION-x86_64-windows.zip` into `out`.
pub(crate) fn write_for_windows(release: &Release<'_>, program: &Path, out: &Path) -> Result<(), Failure> {
    let name = format!("deaddrop-{}-x86_64-windows", release.version);
    let (staging, folder) = staged(release, &name, program)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Failure::at(folder.display()))? {
        names.push(entry.map_err(Failure::at(folder.display()))?.path());
    }
    // One time, modes that the umask has no part in, and names in order; below, no other attributes and no folders.
    let time = format!("--date=@{}", release.export.epoch);
    captured(release.program("touch").arg(time).args(&names))?;
    captured(release.program("chmod").arg("u=rwX,go=rX").args(&names))?;
    names.sort();
    let file = format!("{name}.zip");
    let mut zip = release.program("zip");
    zip.current_dir(&staging).args(["-q", "-X", "-D", "-9", &file]);
    for path in &names {
        zip.arg(path.strip_prefix(&staging).unwrap_or(path));
    }
    captured(&mut zip)?;
    fs::copy(staging.join(&file), out.join(&file)).map(|_| ()).map_err(Failure::at(&file))
}

/// Copies the program and the documents into a folder of this name. Gives the folder that it is in, and it.
fn staged(release: &Release<'_>, name: &str, program: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let staging = release.export.root.join("target/archive");
    let folder = staging.join(name);
    fs::create_dir_all(&folder).map_err(Failure::at(folder.display()))?;
    copy(program, &folder)?;
    DOCUMENTS.iter().try_for_each(|document| copy(&release.export.root.join(document), &folder))?;
    Ok((staging, folder))
}

fn copy(from: &Path, folder: &Path) -> Result<(), Failure> {
    let name = from.file_name().unwrap_or(from.as_os_str());
    fs::copy(from, folder.join(name)).map(|_| ()).map_err(Failure::at(from.display()))
}
