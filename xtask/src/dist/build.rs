//! Builds the program of a release: static, with the list of its dependencies inside, and without a path of this
//! machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf::{FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use serde_json::Value;

use crate::dist::export::Export;
use crate::environment::architecture::{Architecture, Linking};
use crate::environment::prerequisites::{Prerequisite, cargo_tool};
use crate::environment::repo::{Failure, Repo, captured};
use crate::environment::toolchain;

/// Separates flags; unlike a space it does not occur in paths.
const SEPARATOR: &str = "\u{1f}";

/// A release in the making.
pub(crate) struct Release<'a> {
    repo: &'a Repo,
    /// The sources.
    pub(crate) export: &'a Export,
    /// The version of the program.
    pub(crate) version: String,
    linker: PathBuf,
    cargo_home: PathBuf,
}

impl<'a> Release<'a> {
    /// Looks up what all builds need.
    pub(crate) fn new(repo: &'a Repo, export: &'a Export) -> Result<Self, Failure> {
        let mut cargo = repo.cargo(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
        let metadata = captured(cargo.current_dir(&export.root))?;
        let linker = toolchain::rust_lld(repo)
            .ok_or_else(|| Failure::new("rust-lld is not there, which rustup's toolchains have: use one"))?;
        Ok(Self { repo, export, version: version(&metadata)?, linker, cargo_home: cargo_home()? })
    }

    /// Builds the program and gives its path.
    pub(crate) fn build(&self, architecture: Architecture) -> Result<PathBuf, Failure> {
        let triple = architecture.triple();
        let mut cargo = self.tool(Prerequisite::CargoAuditable)?;
        cargo.args([
            "auditable",
            "build",
            "--locked",
            "--release",
            "--package",
            "deaddrop",
            "--bin",
            "deaddrop",
        ]);
        cargo.args(["--target", triple]);
        let variable = triple.replace('-', "_");
        let linker = match architecture.linking() {
            // The linker of the toolchain, so that the machine's own has no part in the bytes.
            Linking::Musl => self.linker.clone(),
            Linking::Glibc => architecture.c_compiler().into(),
        };
        cargo.env(format!("CARGO_TARGET_{}_LINKER", variable.to_ascii_uppercase()), linker);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(architecture.linking())?.join(SEPARATOR));
        cargo.env(format!("CC_{variable}"), architecture.c_compiler());
        // Symbols are half a megabyte, and Debian ships none.
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        // What a person has set for other builds changes the bytes too.
        for other in
            ["RUSTFLAGS", "CFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_PROFILE_RELEASE_DEBUG"]
        {
            cargo.env_remove(other);
        }
        captured(&mut cargo)?;
        let program = self.target().join(triple).join("release/deaddrop");
        let bytes = fs::read(&program).map_err(Failure::at(program.display()))?;
        for folder in [&self.cargo_home, &self.export.root] {
            if holds(&bytes, folder) {
                return Err(Failure(format!("{} holds the path {}", program.display(), folder.display())));
            }
        }
        if !is_static(&bytes) {
            return Err(Failure(format!("{} needs libraries where it runs", program.display())));
        }
        Ok(program)
    }

    /// A tool that cargo installs, to be run in the sources.
    pub(crate) fn tool(&self, tool: Prerequisite) -> Result<Command, Failure> {
        let path =
            cargo_tool(self.repo, tool).ok_or_else(|| Failure(format!("{} is not there", tool.name())))?;
        let mut command = self.program(path);
        command.env("CARGO_TARGET_DIR", self.target()).env("CARGO_INCREMENTAL", "0");
        Ok(command)
    }

    /// A program, to be run in the sources with the time of the commit.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.repo.program(program);
        command.current_dir(&self.export.root).env("SOURCE_DATE_EPOCH", &self.export.epoch);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }

    fn target(&self) -> PathBuf {
        self.export.root.join("target")
    }

    /// Flags that say how to link, and take this machine's paths out of messages of panics.
    fn flags(&self, linking: Linking) -> Result<Vec<String>, Failure> {
        let map = |from: &Path, to: &str| {
            let from = from.to_str().ok_or_else(|| Failure(format!("{} is not UTF-8", from.display())))?;
            Ok(format!("--remap-path-prefix={from}={to}"))
        };
        let link = match linking {
            Linking::Musl => "-Clinker-flavor=ld.lld",
            // Unlike those for musl, programs for glibc are static only on demand.
            Linking::Glibc => "-Ctarget-feature=+crt-static",
        };
        Ok(vec![link.to_owned(), map(&self.cargo_home, "/cargo")?, map(&self.export.root, "/deaddrop")?])
    }
}

/// Whether a path stands among these bytes.
fn holds(bytes: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    bytes.windows(path.len()).any(|part| part == path)
}

/// Whether a program runs without a library of the machine: its ELF file names no dynamic linker.
fn is_static(bytes: &[u8]) -> bool {
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf32) => names_no_interpreter::<FileHeader32<Endianness>>(bytes),
        Ok(FileKind::Elf64) => names_no_interpreter::<FileHeader64<Endianness>>(bytes),
        _ => false,
    }
}

fn names_no_interpreter<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> bool {
    let endian = Endianness::Little;
    Elf::parse(bytes)
        .and_then(|header| header.program_headers(endian, bytes))
        .is_ok_and(|headers| headers.iter().all(|header| header.p_type(endian) != PT_INTERP))
}

/// The program as a command that this machine can run: itself, or a script that calls the emulator.
pub(crate) fn runnable(architecture: Architecture, program: &Path, place: &Path) -> Result<PathBuf, Failure> {
    if architecture.is_ours() {
        return Ok(program.to_owned());
    }
    let script = place.join(format!("deaddrop-{}", architecture.name()));
    let at = || Failure::at(script.display().to_string());
    let text = format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", architecture.emulator(), program.display());
    fs::write(&script, text).map_err(at())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(at())?;
    Ok(script)
}

/// The version of the program, from the output of `cargo metadata`.
fn version(metadata: &str) -> Result<String, Failure> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|error| Failure(error.to_string()))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "deaddrop")
        .find_map(|package| package["version"].as_str().map(str::to_owned))
        .ok_or_else(|| Failure::new("cargo metadata has no package deaddrop"))
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Result<PathBuf, Failure> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .ok_or_else(|| Failure::new("neither CARGO_HOME nor HOME is set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_anywhere() {
        let path = Path::new("/home/a");
        assert!(holds(b"x/home/a", path) && holds(b"/home/a/b", path) && holds(b"/home/a", path));
        assert!(!holds(b"/home/b", path) && !holds(b"", path));
    }

    #[test]
    fn a_program_with_a_dynamic_linker_is_not_static() {
        // The tests themselves are such a program. The programs of a release are looked at when they are built.
        let dynamic = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&dynamic) && !is_static(b"#!/bin/sh\n") && !is_static(b""));
    }

    #[test]
    fn the_version_is_that_of_the_program() {
        let metadata = r#"{"packages": [{"name": "deaddrop-core", "version": "9.9.9"},
            {"name": "deaddrop", "version": "1.2.3"}]}"#;
        assert_eq!(version(metadata).unwrap(), "1.2.3");
        assert!(version("{}").is_err() && version("").is_err());
    }
}
