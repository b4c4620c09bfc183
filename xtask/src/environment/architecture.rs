//! The processors for which releases are built, each as a static program for Linux.

use crate::environment::repo::{Repo, succeeds};
use crate::environment::toolchain;

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Architecture {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM from version 7 on with a floating-point unit, such as the Raspberry Pi 2.
    Armv7,
}

/// What links a program, and from where its C library comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    /// The toolchain's `rust-lld`, with the musl that is part of the toolchain.
    Musl,
    /// The C compiler, with Debian's glibc.
    Glibc,
}

/// All of them.
pub(crate) const ARCHITECTURES: [Architecture; 3] =
    [Architecture::X86_64, Architecture::Aarch64, Architecture::Armv7];

impl Architecture {
    /// Its name in options and in the names of archives.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "armv7",
        }
    }

    /// The target triple.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
            Self::Armv7 => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// How its program is linked. Not every mirror of rustup has musl for armv7: decision 0027.
    pub(crate) const fn linking(self) -> Linking {
        match self {
            Self::X86_64 | Self::Aarch64 => Linking::Musl,
            Self::Armv7 => Linking::Glibc,
        }
    }

    /// The C compiler of ring. It need not be one of musl: of a C library ring takes only memcpy and the like.
    pub(crate) const fn c_compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
            Self::Armv7 => "arm-linux-gnueabihf-gcc",
        }
    }

    /// Debian's packages with that compiler and its C library.
    pub(crate) const fn c_packages(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["gcc", "libc6-dev"],
            Self::Aarch64 => &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
            Self::Armv7 => &["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
        }
    }

    /// The program that runs its programs on another processor: QEMU's emulation of user processes.
    pub(crate) const fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-x86_64-static",
            Self::Aarch64 => "qemu-aarch64-static",
            Self::Armv7 => "qemu-arm-static",
        }
    }

    /// Whether this machine runs its programs without an emulator.
    pub(crate) fn is_ours(self) -> bool {
        std::env::consts::ARCH == self.name()
    }

    /// Whether the active toolchain has the standard library for it.
    pub(crate) fn has_library(self, repo: &Repo) -> bool {
        toolchain::has_library(repo, self.triple())
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
        assert_eq!("mips".parse::<Architecture>(), Err("there are x86_64, aarch64, armv7".to_owned()));
    }
}
