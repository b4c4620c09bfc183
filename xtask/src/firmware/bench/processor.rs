//! The processor cores that boards have, and how QEMU plays them.

use std::path::{Path, PathBuf};

use testbed::emulator::PROGRAM;

use crate::environment::repo::{Failure, Repo, captured};
use crate::environment::toolchain::{self, Target};
use crate::firmware::board::BENCH;

/// A processor core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    /// Arm's name for it.
    pub(crate) name: &'static str,
    /// What code for it is compiled for.
    pub(crate) target: Target,
    /// QEMU's name for it, or for one with the same instructions.
    model: &'static str,
}

/// One for each target.
pub(crate) const PROCESSORS: [Processor; 4] = [
    Processor { name: "Cortex-M0+", target: Target::Thumbv6m, model: "cortex-m0" },
    Processor { name: "Cortex-M3", target: Target::Thumbv7m, model: "cortex-m3" },
    Processor { name: "Cortex-M33", target: Target::Thumbv8mMainHf, model: "cortex-m33" },
    Processor { name: "Cortex-M7", target: Target::Thumbv7emHf, model: "cortex-m7" },
];

impl Processor {
    /// Builds the measuring image, quietly, and gives its path.
    pub(crate) fn image(self, repo: &Repo) -> Result<PathBuf, Failure> {
        let mut cargo = toolchain::bare_metal_cargo(repo, self.target, ["build", "--release", "--locked"])?;
        cargo.args(["--manifest-path", "firmware/Cargo.toml", "--package", BENCH.package]);
        captured(cargo.arg("--target-dir").arg(repo.cache("firmware")))?;
        Ok(repo.cache("firmware").join(self.target.triple()).join("release").join(BENCH.package))
    }

    /// QEMU with this core and an image. What the image prints by semihosting is on its standard output.
    pub(crate) fn emulator(self, repo: &Repo, image: &Path) -> std::process::Command {
        let mut emulator = repo.program(PROGRAM);
        emulator.args(["-machine", BENCH.name, "-cpu", self.model, "-display", "none", "-nic", "none"]);
        emulator.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
        emulator
    }
}
