//! A compiler for bare metal.
//!
//! With rustup it is the active toolchain, if that has the target. Debian's Rust has no bare-metal
//! targets but has the sources of its library. From them libcore is built once for each target and
//! kept below `target/`; the programs of the project are then built against it with stable features only.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::repo::{Failure, Repo, captured};

/// A target of bare-metal code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(dead_code, reason = "a target is here before the first board that has it")]
pub(crate) enum Target {
    /// Cortex-M0+: RP2040.
    Thumbv6m,
    /// Cortex-M3: LM3S6965, and the no-alloc image.
    Thumbv7m,
    /// Cortex-M7 with its floating-point unit: STM32H7.
    Thumbv7emHf,
    /// Cortex-M33 with its floating-point unit: RP2350, STM32H5.
    Thumbv8mMainHf,
}

impl Target {
    /// Its name (target triple).
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::Thumbv6m => "thumbv6m-none-eabi",
            Self::Thumbv7m => "thumbv7m-none-eabi",
            Self::Thumbv7emHf => "thumbv7em-none-eabihf",
            Self::Thumbv8mMainHf => "thumbv8m.main-none-eabihf",
        }
    }

    /// The environment variable in which cargo looks for its linker.
    fn linker_variable(self) -> String {
        let name = self.triple().to_ascii_uppercase().replace(['-', '.'], "_");
        format!("CARGO_TARGET_{name}_LINKER")
    }
}

/// Compiler flags of every bare-metal build.
const FLAGS: [&str; 5] = [
    // Symbol names with the whole path and type of each function: the checks of images read them.
    "-Csymbol-mangling-version=v0",
    // sha2 without its loop unrolled: saves 23 KiB of flash and makes a handshake 1 % slower.
    "--cfg",
    "sha2_backend_soft=\"compact\"",
    // Field arithmetic that is generated from a proof. A handshake takes 3 to 6 % fewer instructions, and some 500 bytes
    // of flash more.
    "--cfg",
    "curve25519_dalek_backend=\"fiat\"",
];
/// A flag for LLVM's linker: functions with the same code become one. Saves 784 bytes of flash on the measured board.
/// Nothing in an image compares functions by their address but wakers, which are equal if their code is.
const FOLD_IDENTICAL_CODE: &str = "-Clink-arg=--icf=all";
/// Separates flags; unlike a space it does not occur in paths.
const SEPARATOR: &str = "\u{1f}";

/// Debian's packages that build libcore for any target, and link.
pub(crate) const DEBIAN_PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "binutils-arm-none-eabi"];
/// Debian's compiler, from those packages.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core";

/// Whether [`bare_metal_cargo`] has or can build what it needs.
pub(crate) fn can_build(repo: &Repo, target: Target) -> bool {
    linker(repo).is_some() && (active_has(repo, target) || has_debian())
}

/// Whether Debian's compiler, clippy and library sources are installed.
fn has_debian() -> bool {
    [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_CLIPPY, DEBIAN_SOURCES].iter().all(|path| Path::new(path).exists())
}

/// A cargo that builds for `target`; `words` come before its `--target`.
pub(crate) fn bare_metal_cargo<I: AsRef<OsStr>>(
    repo: &Repo,
    target: Target,
    words: impl IntoIterator<Item = I>,
) -> Result<Command, Failure> {
    let mut cargo = repo.cargo(words);
    send_to(repo, target, &mut cargo)?;
    Ok(cargo)
}

/// A clippy for `target`, of the same release as the compiler: another cannot read its libcore.
pub(crate) fn bare_metal_clippy(repo: &Repo, target: Target) -> Result<Command, Failure> {
    let mut cargo = if active_has(repo, target) {
        repo.cargo(["clippy"])
    } else {
        let mut clippy = repo.program(DEBIAN_CLIPPY);
        clippy.env("CARGO", DEBIAN_CARGO).arg("clippy");
        clippy
    };
    send_to(repo, target, &mut cargo)?;
    Ok(cargo)
}

/// Makes a cargo build for `target`.
fn send_to(repo: &Repo, target: Target, cargo: &mut Command) -> Result<(), Failure> {
    let linker = linker(repo).ok_or_else(|| lacking(target))?;
    let mut flags = FLAGS.join(SEPARATOR);
    if !active_has(repo, target) {
        let sysroot = built_sysroot(repo, target)?;
        let sysroot = sysroot.to_str().ok_or_else(|| Failure::new("the checkout's path is not UTF-8"))?;
        flags = format!("{flags}{SEPARATOR}--sysroot={sysroot}");
        debian(cargo);
    }
    if is_llvm(&linker) {
        flags = format!("{flags}{SEPARATOR}{FOLD_IDENTICAL_CODE}");
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
    cargo.env(target.linker_variable(), linker);
    cargo.args(["--target", target.triple()]);
    Ok(())
}

/// The failure without a compiler, with the commands that install one.
fn lacking(target: Target) -> Failure {
    let triple = target.triple();
    Failure(format!(
        "nothing here builds for {triple}: install it with\n    rustup target add {triple}\n\
         or, where rustup cannot fetch it, on Debian with\n    \
         sudo apt-get install --no-install-recommends {}",
        DEBIAN_PACKAGES.join(" ")
    ))
}

/// Whether the active toolchain has libcore for the target.
fn active_has(repo: &Repo, target: Target) -> bool {
    active_sysroot(repo).is_some_and(|sysroot| holds_core(&sysroot, target))
}

fn active_sysroot(repo: &Repo) -> Option<PathBuf> {
    let path = captured(repo.program(rustc()).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(path.trim()))
}

/// Whether the active toolchain has the standard library for this target.
pub(crate) fn has_library(repo: &Repo, triple: &str) -> bool {
    captured(repo.program(rustc()).args(["--print", "target-libdir", "--target", triple]))
        .is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// The compiler that our cargo calls.
pub(crate) fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn holds_core(sysroot: &Path, target: Target) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(target.triple()).join("lib");
    fs::read_dir(libraries).is_ok_and(|entries| {
        entries.flatten().any(|entry| is_library(entry.file_name().to_str().unwrap_or_default(), "core"))
    })
}

/// Whether `file` is the compiled crate `name`: `lib`, the name, and a hash.
fn is_library(file: &str, name: &str) -> bool {
    file.strip_prefix("lib")
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".rlib"))
}

/// rustup's own linker, or Debian's for ARM.
fn linker(repo: &Repo) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&search).map(|folder| folder.join("arm-none-eabi-ld"));
    rust_lld(repo).into_iter().chain(on_path).find(|path| path.is_file())
}

/// The linker of rustup's toolchains, which links for every target.
pub(crate) fn rust_lld(repo: &Repo) -> Option<PathBuf> {
    let lld = active_sysroot(repo)?.join("lib/rustlib").join(host_triple(repo)?).join("bin/rust-lld");
    lld.is_file().then_some(lld)
}

/// Whether a linker is LLVM's, not GNU's.
fn is_llvm(linker: &Path) -> bool {
    linker.file_name().is_some_and(|name| name == "rust-lld")
}

fn host_triple(repo: &Repo) -> Option<String> {
    let version = captured(repo.program(rustc()).arg("-vV")).ok()?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Makes a cargo use Debian's compiler.
fn debian(cargo: &mut Command) {
    // rustup's cargo, which may have started us, points the dynamic linker to its own libraries.
    cargo.env("RUSTC", DEBIAN_RUSTC).env_remove("LD_LIBRARY_PATH").env_remove("RUSTUP_TOOLCHAIN");
}

/// A sysroot with libcore for the target; builds it from Debian's sources the first time.
fn built_sysroot(repo: &Repo, target: Target) -> Result<PathBuf, Failure> {
    if !has_debian() {
        return Err(lacking(target));
    }
    let version = captured(repo.program(DEBIAN_RUSTC).env_remove("LD_LIBRARY_PATH").arg("-vV"))?;
    let mut key = DefaultHasher::new();
    version.hash(&mut key);
    let home = repo.cache("bare-metal").join(format!("{:016x}", key.finish()));
    let sysroot = home.join("sysroot");
    if !holds_core(&sysroot, target) {
        build_core(repo, target, &home, &sysroot)?;
    }
    Ok(sysroot)
}

fn build_core(repo: &Repo, target: Target, home: &Path, sysroot: &Path) -> Result<(), Failure> {
    let triple = target.triple();
    let dummy = home.join(format!("dummy-{triple}"));
    write(&dummy.join("Cargo.toml"), DUMMY_MANIFEST)?;
    write(&dummy.join("lib.rs"), "#![no_std]\n")?;
    let mut cargo = repo.program(DEBIAN_CARGO);
    debian(&mut cargo);
    // Only -Zbuild-std needs RUSTC_BOOTSTRAP; the project itself is built without it. With bitcode,
    // images can be optimised across libcore. Vendors' crates name `alloc`; core does not.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", "-Cembed-bitcode=yes");
    cargo.args(["build", "--release", "-Zbuild-std=core,alloc", "--target", triple, "--manifest-path"]);
    cargo.arg(dummy.join("Cargo.toml")).arg("--target-dir").arg(dummy.join("target"));
    captured(&mut cargo)?;

    let built = dummy.join("target").join(triple).join("release/deps");
    // Copied to another name and then renamed, so that an interrupted run leaves no half target.
    let beside = home.join(format!("new-{triple}"));
    let to = beside.join("lib");
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
    let targets = sysroot.join("lib/rustlib");
    fs::create_dir_all(&targets).map_err(at(&targets))?;
    let place = targets.join(triple);
    let _ = fs::remove_dir_all(&place);
    fs::rename(&beside, &place).map_err(at(&place))?;
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
        assert!(!holds_core(Path::new("/nonexistent"), Target::Thumbv7m));
    }

    #[test]
    fn cargo_is_told_the_linker_under_the_name_it_knows() {
        assert_eq!(Target::Thumbv7m.linker_variable(), "CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER");
        assert_eq!(Target::Thumbv8mMainHf.linker_variable(), "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_LINKER");
    }

    #[test]
    fn who_lacks_a_target_is_told_both_ways_to_get_it() {
        let words = lacking(Target::Thumbv6m).0;
        assert!(words.contains("rustup target add thumbv6m-none-eabi\n"), "{words}");
        assert!(words.contains("rust-web-src"), "{words}");
    }

    #[test]
    fn a_target_is_there_when_its_core_is() {
        let sysroot = std::env::temp_dir().join(format!("deaddrop-sysroot-{}", std::process::id()));
        let libraries = sysroot.join("lib/rustlib/thumbv6m-none-eabi/lib");
        write(&libraries.join("libcore-d273e7b1001d4171.rmeta"), "").unwrap();
        assert!(!holds_core(&sysroot, Target::Thumbv6m));
        write(&libraries.join("libcore-d273e7b1001d4171.rlib"), "").unwrap();
        assert!(holds_core(&sysroot, Target::Thumbv6m));
        assert!(!holds_core(&sysroot, Target::Thumbv7m), "each target has its own");
        fs::remove_dir_all(&sysroot).unwrap();
    }
}
