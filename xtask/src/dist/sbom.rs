//! The software bill of materials: what the program is made of, in the form of CycloneDX.

use std::fs;
use std::path::Path;

use crate::dist::build::Release;
use crate::environment::architecture::Architecture;
use crate::environment::prerequisites::{Prerequisite, WINDOWS};
use crate::environment::repo::{Failure, captured};

/// The name of cargo-cyclonedx's file, without its ending.
const STEM: &str = "sbom";

/// Writes `deaddrop-VERSION.cdx.json` into `out`, with the dependencies for x86_64: the other architectures have no
/// others.
pub(crate) fn write(release: &Release<'_>, out: &Path) -> Result<(), Failure> {
    write_for(release, Architecture::X86_64.triple(), "", out)
}

/// Writes `deaddrop-VERSION-windows.cdx.json`.
pub(crate) fn write_for_windows(release: &Release<'_>, out: &Path) -> Result<(), Failure> {
    write_for(release, WINDOWS, "-windows", out)
}

fn write_for(release: &Release<'_>, triple: &str, of: &str, out: &Path) -> Result<(), Failure> {
    let root = &release.export.root;
    let mut cargo = release.tool(Prerequisite::CargoCyclonedx)?;
    cargo.args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--override-filename", STEM]);
    cargo.args(["--target", triple, "--manifest-path", "host/Cargo.toml"]);
    captured(&mut cargo)?;
    let written = root.join("host").join(format!("{STEM}.json"));
    let text = fs::read_to_string(&written).map_err(Failure::at(written.display()))?;
    let text = without_paths(&text, root)?;
    let file = out.join(format!("deaddrop-{}{of}.cdx.json", release.version));
    fs::write(&file, text).map_err(Failure::at(file.display()))
}

/// The text with the sources' folder in the names of the project's own packages replaced: it is one of this machine,
/// and differs between builds.
fn without_paths(text: &str, root: &Path) -> Result<String, Failure> {
    let root = root.to_str().ok_or_else(|| Failure(format!("{} is not UTF-8", root.display())))?;
    let in_url = root.replace('%', "%25").replace(' ', "%20");
    Ok(text.replace(root, "/deaddrop").replace(&in_url, "/deaddrop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_replaced_as_a_path_and_in_a_url() {
        let text = r#"["path+file:///a%20b/host#deaddrop@1", "/a b/host/Cargo.toml", "serde"]"#;
        let written = without_paths(text, Path::new("/a b")).unwrap();
        assert_eq!(
            written,
            r#"["path+file:///deaddrop/host#deaddrop@1", "/deaddrop/host/Cargo.toml", "serde"]"#
        );
    }
}
