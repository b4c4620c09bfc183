//! The processors for which releases are built, each as a static program for Linux on musl.

use std::path::Path;

use crate::environment::repo::{Repo, captured, succeeds};
use crate::environment::toolchain;

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Architecture {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// All of them.
pub(crate) const ARCHITECTURES: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

impl Architecture {
    /// Its name in options and in the names of archives.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The target triple: static, because musl's library is part of the program.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The C compiler of ring. It need not be one of musl: of a C library ring takes only memcpy and the like.
    pub(crate) const fn c_compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// Debian's packages with that compiler.
    pub(crate) const fn c_packages(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["gcc", "libc6-dev"],
            Self::Aarch64 => &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        }
    }

    /// The program that runs its programs on another processor: QEMU's emulation of user processes.
    pub(crate) const fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-x86_64-static",
            Self::Aarch64 => "qemu-aarch64-static",
        }
    }

    /// Whether this machine runs its programs without an emulator.
    pub(crate) fn is_ours(self) -> bool {
        std::env::consts::ARCH == self.name()
    }

    /// Whether the active toolchain has the standard library for it.
    pub(crate) fn has_library(self, repo: &Repo) -> bool {
        let words = ["--print", "target-libdir", "--target", self.triple()];
        captured(repo.program(toolchain::rustc()).args(words))
            .is_ok_and(|folder| Path::new(folder.trim()).join("self-contained").is_dir())
    }

    /// Whether the C compiler is there, and the headers of a C library, whose declarations ring reads.
    pub(crate) fn has_c_compiler(self, repo: &Repo) -> bool {
        let words = ["-include", "string.h", "-fsyntax-only", "-x", "c", "/dev/null"];
        succeeds(repo.program(self.c_compiler()).args(words))
    }

    /// Whether programs for it can be run here.
    pub(crate) fn can_run(self, repo: &Repo) -> bool {
        self.is_ours() || succeeds(repo.program(self.emulator()).arg("--version"))
    }
}

impl std::str::FromStr for Architecture {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        ARCHITECTURES.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known: Vec<_> = ARCHITECTURES.iter().map(|known| known.name()).collect();
            format!("there are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_by_its_name() {
        for architecture in ARCHITECTURES {
            assert_eq!(architecture.name().parse(), Ok(architecture));
            assert!(architecture.triple().starts_with(architecture.name()));
        }
        assert_eq!("mips".parse::<Architecture>(), Err("there are x86_64, aarch64".to_owned()));
    }
}
