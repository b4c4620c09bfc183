//! A compiler for bare metal.
//!
//! With rustup it is the active toolchain, once it has the target. Debian's Rust has no bare-metal
//! targets but does have the sources of its library, from which libcore is built once and kept below
//! `target/`; the programs of the project are then built against it with stable features only.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repo::{Failure, Repo, captured};

/// The target that `check` builds for: a Cortex-M3, the smallest part there is to be a board.
pub(crate) const TARGET: &str = "thumbv7m-none-eabi";

/// Debian's Rust, of the packages `rustc-web`, `cargo-web` and `rust-web-src`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core";

/// Whether there is, or can be built, what [`bare_metal_cargo`] needs.
pub(crate) fn can_build(repo: &Repo) -> bool {
    linker(repo).is_some()
        && (active_has_target(repo)
            || [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCES].iter().all(|path| Path::new(path).exists()))
}

/// A cargo that builds for [`TARGET`], with these words before its `--target`.
pub(crate) fn bare_metal_cargo<I: AsRef<OsStr>>(
    repo: &Repo,
    words: impl IntoIterator<Item = I>,
) -> Result<Command, Failure> {
    let linker =
        linker(repo).ok_or_else(|| Failure::new("neither rust-lld nor arm-none-eabi-ld is there"))?;
    let mut cargo = repo.cargo(words);
    // Version 0 of symbol names tells the whole path and type of each function, which the proof reads.
    let mut flags = "-Csymbol-mangling-version=v0".to_owned();
    if !active_has_target(repo) {
        let sysroot = built_sysroot(repo)?;
        let sysroot = sysroot.to_str().ok_or_else(|| Failure::new("the checkout's path is not UTF-8"))?;
        // Separated by 0x1f, so that the path may hold a space.
        flags = format!("{flags}\u{1f}--sysroot={sysroot}");
        debian(&mut cargo);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
    cargo.env("CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER", linker);
    cargo.args(["--target", TARGET]);
    Ok(cargo)
}

/// Whether the active toolchain has libcore for the target.
fn active_has_target(repo: &Repo) -> bool {
    active_sysroot(repo).is_some_and(|sysroot| holds_core(&sysroot, TARGET))
}

fn active_sysroot(repo: &Repo) -> Option<PathBuf> {
    let path = captured(repo.program(rustc()).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(path.trim()))
}

/// The compiler that our cargo would call.
pub(crate) fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn holds_core(sysroot: &Path, target: &str) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(target).join("lib");
    fs::read_dir(libraries).is_ok_and(|entries| {
        entries.flatten().any(|entry| is_library(entry.file_name().to_str().unwrap_or_default(), "core"))
    })
}

/// Whether `file` is the compiled crate `name`, which has a hash at its end.
fn is_library(file: &str, name: &str) -> bool {
    file.strip_prefix("lib")
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".rlib"))
}

/// rustup's own linker, or Debian's for ARM.
fn linker(repo: &Repo) -> Option<PathBuf> {
    let host = host_triple(repo)?;
    let lld = active_sysroot(repo)?.join("lib/rustlib").join(host).join("bin/rust-lld");
    let search = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&search).map(|folder| folder.join("arm-none-eabi-ld"));
    std::iter::once(lld).chain(on_path).find(|path| path.is_file())
}

fn host_triple(repo: &Repo) -> Option<String> {
    let version = captured(repo.program(rustc()).arg("-vV")).ok()?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Sends a cargo to Debian's compiler.
fn debian(cargo: &mut Command) {
    // We may run under a rustup's cargo, which points the dynamic linker to its own libraries.
    cargo.env("RUSTC", DEBIAN_RUSTC).env_remove("LD_LIBRARY_PATH").env_remove("RUSTUP_TOOLCHAIN");
}

/// A sysroot with libcore for the target, built from Debian's sources if that has not been done.
fn built_sysroot(repo: &Repo) -> Result<PathBuf, Failure> {
    let version = captured(repo.program(DEBIAN_RUSTC).env_remove("LD_LIBRARY_PATH").arg("-vV"))?;
    let mut key = DefaultHasher::new();
    version.hash(&mut key);
    let home = repo.cache("bare-metal").join(format!("{:016x}", key.finish()));
    let sysroot = home.join("sysroot");
    if !holds_core(&sysroot, TARGET) {
        build_sysroot(repo, &home, &sysroot)?;
    }
    Ok(sysroot)
}

fn build_sysroot(repo: &Repo, home: &Path, sysroot: &Path) -> Result<(), Failure> {
    let dummy = home.join("dummy");
    write(&dummy.join("Cargo.toml"), DUMMY_MANIFEST)?;
    write(&dummy.join("lib.rs"), "#![no_std]\n")?;
    let mut cargo = repo.program(DEBIAN_CARGO);
    debian(&mut cargo);
    // -Zbuild-std is what needs the bootstrap key; nothing of the project is built with it. With bitcode,
    // images can be optimised across libcore. `alloc` is there for vendors' crates, never for core.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", "-Cembed-bitcode=yes");
    cargo.args(["build", "--release", "-Zbuild-std=core,alloc", "--target", TARGET, "--manifest-path"]);
    cargo.arg(dummy.join("Cargo.toml")).arg("--target-dir").arg(dummy.join("target"));
    captured(&mut cargo)?;

    let built = dummy.join("target").join(TARGET).join("release/deps");
    // Copied beside, then moved: a sysroot that is there is whole.
    let beside = home.join("sysroot.new");
    let to = beside.join("lib/rustlib").join(TARGET).join("lib");
    let at = |path: &Path| Failure::at(path.display().to_string());
    let _ = fs::remove_dir_all(&beside);
    fs::create_dir_all(&to).map_err(at(&to))?;
    for entry in fs::read_dir(&built).map_err(at(&built))? {
        let entry = entry.map_err(at(&built))?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if ["core", "alloc", "compiler_builtins"].iter().any(|library| is_library(name, library)) {
            fs::copy(entry.path(), to.join(name)).map_err(at(&to))?;
        }
    }
    let _ = fs::remove_dir_all(sysroot);
    fs::rename(&beside, sysroot).map_err(at(sysroot))?;
    let _ = fs::remove_dir_all(&dummy);
    Ok(())
}

const DUMMY_MANIFEST: &str = r#"[workspace]
[package]
name = "dummy"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[profile.release]
panic = "abort"
"#;

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_their_whole_name() {
        assert!(is_library("libcore-d273e7b1001d4171.rlib", "core"));
        assert!(!is_library("libcore-d273e7b1001d4171.rmeta", "core"));
        assert!(!is_library("libcore_extras-d273e7b1001d4171.rlib", "core"));
        assert!(!is_library("liballoc-554e0120f80f4c24.rlib", "core"));
        assert!(!is_library("", "core"));
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_core() {
        assert!(!holds_core(Path::new("/nonexistent"), TARGET));
    }
}
