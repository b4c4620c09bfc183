//! The package of a release for Debian. What is in it stands in the program's manifest.

use std::fs;
use std::path::Path;

use crate::dist::build::Release;
use crate::environment::architecture::Architecture;
use crate::environment::prerequisites::Prerequisite;
use crate::environment::repo::{Failure, captured};

/// The maintainer, as the manifest has it.
const MAINTAINER: &str = "the deaddrop authors <nobody@deaddrop.invalid>";

/// Writes `deaddrop_VERSION-1_ARCHITECTURE.deb` into `out`.
pub(crate) fn write(release: &Release<'_>, architecture: Architecture, out: &Path) -> Result<(), Failure> {
    let changelog = release.export.root.join("target/changelog.Debian");
    fs::write(&changelog, entry(release)?).map_err(Failure::at(changelog.display()))?;
    let mut cargo = release.tool(Prerequisite::CargoDeb)?;
    // The program is built and stripped already; each build with cargo-auditable is one of minutes.
    cargo.args(["deb", "--no-build", "--no-strip", "--no-dbgsym", "--locked", "--package", "deaddrop"]);
    captured(cargo.args(["--target", architecture.triple(), "--output"]).arg(out))?;
    Ok(())
}

/// The one entry of Debian's changelog, which points to ours.
fn entry(release: &Release<'_>) -> Result<String, Failure> {
    let date = format!("--date=@{}", release.export.epoch);
    let date = captured(release.program("date").args([&date, "--rfc-email"]))?;
    Ok(format!(
        "deaddrop ({version}-1) unstable; urgency=medium\n\n  * Release {version}: changelog.gz has its changes.\n\n \
         -- {MAINTAINER}  {date}",
        version = release.version
    ))
}
