//! Builds the program of a release: static, for Windows without a library of the compiler, with the list of its dependencies inside, and without a path of this
//! machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf::{FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::pe::PeFile64;
use object::{Endianness, FileKind, LittleEndian};
use serde_json::Value;

use crate::dist::export::Export;
use crate::environment::architecture::{Architecture, Linking};
use crate::environment::prerequisites::{Prerequisite, WINDOWS, WINDOWS_COMPILER, cargo_tool};
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

    /// Builds the program for Linux and gives its path.
    pub(crate) fn build(&self, architecture: Architecture) -> Result<PathBuf, Failure> {
        let (linker, link) = match architecture.linking() {
            // The linker of the toolchain, so that the machine's own has no part in the bytes.
            Linking::Musl => (self.linker.clone(), "-Clinker-flavor=ld.lld"),
            // Unlike those for musl, programs for glibc are static only on demand.
            Linking::Glibc => (architecture.c_compiler().into(), "-Ctarget-feature=+crt-static"),
        };
        let program =
            self.compile(architecture.triple(), &linker, link, architecture.c_compiler(), "deaddrop")?;
        if !is_static(&read(&program)?) {
            return Err(Failure(format!("{} needs libraries where it runs", program.display())));
        }
        Ok(program)
    }

    /// Builds the program for Windows and gives its path.
    pub(crate) fn build_for_windows(&self) -> Result<PathBuf, Failure> {
        // Otherwise the time of the build is in it.
        let link = "-Clink-arg=-Wl,--no-insert-timestamp";
        let compiler = WINDOWS_COMPILER;
        let program = self.compile(WINDOWS, Path::new(compiler), link, compiler, "deaddrop.exe")?;
        let libraries = imports(&read(&program)?)?;
        // Those of the compiler are named so, and Windows has none of them.
        match libraries.iter().find(|name| name.to_ascii_lowercase().starts_with("lib")) {
            Some(library) => Err(Failure(format!("{} needs {library} where it runs", program.display()))),
            None => Ok(program),
        }
    }

    /// Builds the program for a target, and looks for this machine's paths in it.
    fn compile(
        &self,
        triple: &str,
        linker: &Path,
        link: &str,
        c_compiler: &str,
        name: &str,
    ) -> Result<PathBuf, Failure> {
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
        cargo.env(format!("CARGO_TARGET_{}_LINKER", variable.to_ascii_uppercase()), linker);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(link)?.join(SEPARATOR));
        cargo.env(format!("CC_{variable}"), c_compiler);
        // Symbols are half a megabyte, and Debian ships none.
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        // What a person has set for other builds changes the bytes too.
        for other in
            ["RUSTFLAGS", "CFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_PROFILE_RELEASE_DEBUG"]
        {
            cargo.env_remove(other);
        }
        captured(&mut cargo)?;
        let program = self.target().join(triple).join("release").join(name);
        let bytes = read(&program)?;
        for folder in [&self.cargo_home, &self.export.root] {
            if holds(&bytes, folder) {
                return Err(Failure(format!("{} holds the path {}", program.display(), folder.display())));
            }
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
    fn flags(&self, link: &str) -> Result<Vec<String>, Failure> {
        let map = |from: &Path, to: &str| {
            let from = from.to_str().ok_or_else(|| Failure(format!("{} is not UTF-8", from.display())))?;
            Ok(format!("--remap-path-prefix={from}={to}"))
        };
        Ok(vec![link.to_owned(), map(&self.cargo_home, "/cargo")?, map(&self.export.root, "/deaddrop")?])
    }
}

fn read(program: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(program).map_err(Failure::at(program.display()))
}

/// The libraries that a program for Windows names.
fn imports(bytes: &[u8]) -> Result<Vec<String>, Failure> {
    let program = PeFile64::parse(bytes).map_err(Failure::at("the program"))?;
    let table = program.import_table().map_err(Failure::at("the program"))?;
    let table = table.ok_or_else(|| Failure::new("the program names no library"))?;
    let mut entries = table.descriptors().map_err(Failure::at("the program"))?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next().map_err(Failure::at("the program"))? {
        let name = table.name(entry.name.get(LittleEndian)).map_err(Failure::at("the program"))?;
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(names)
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
