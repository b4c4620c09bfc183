//! `noalloc`: proves that core needs no allocator, with the image of `core/noalloc`.

mod symbols;

use std::path::PathBuf;

use argh::FromArgs;
use testbed::emulator::PROGRAM;

pub(crate) use symbols::Symbols;

use crate::environment::prerequisites::{self, Prerequisite};
use crate::environment::repo::{Failure, Repo, captured};
use crate::environment::toolchain::{self, Target};

/// Prove that core needs no allocator: link a bare-metal image that has none, search its symbols for one, and
/// run the image in QEMU, where a server session hands a drop to a client session.
#[derive(FromArgs)]
#[argh(subcommand, name = "noalloc")]
pub(crate) struct Noalloc {
    /// fetch what is missing: packages with apt when root, targets with rustup
    #[argh(switch)]
    install: bool,
}

/// The image's target: a Cortex-M3, the smallest processor that a board of ours has after the M0+.
const TARGET: Target = Target::Thumbv7m;
/// QEMU and its machine for which `core/noalloc/noalloc.ld` lays the image out.
const MACHINE: [&str; 3] = [PROGRAM, "-machine", "mps2-an385"];
/// Seconds after which a run counts as hung. An ordinary run takes less than one.
const DEADLINE: &str = "60";

/// Proves both and says so.
pub(crate) fn run(repo: &Repo, noalloc: &Noalloc) -> Result<(), Failure> {
    prerequisites::demand(repo, &[Prerequisite::BareMetal(TARGET), Prerequisite::Emulator], noalloc.install)?;
    println!("{}", link(repo)?);
    println!("{}", emulate(repo)?);
    Ok(())
}

/// Links the image and searches its symbols. The note says how many functions it holds.
pub(crate) fn link(repo: &Repo) -> Result<String, Failure> {
    let path = build(repo)?;
    let image = std::fs::read(&path).map_err(Failure::at(path.display()))?;
    let symbols = Symbols::read(&image)?;
    if let Some(symbol) = symbols.allocator() {
        return Err(Failure(format!("the image holds {symbol}: core, or a dependency of it, allocates")));
    }
    // An image from which the linker dropped core would hold no allocator either.
    if !symbols.names().any(|name| symbols::is_of_crate(name, "deaddrop_core")) {
        return Err(Failure::new("the image holds no function of core, so it proves nothing"));
    }
    Ok(format!("{} functions, no allocator", symbols.names().count()))
}

/// Runs the image, which exits with 0 only when the drop has arrived whole.
pub(crate) fn emulate(repo: &Repo) -> Result<String, Failure> {
    let path = build(repo)?;
    let mut emulator = repo.program("timeout");
    emulator.arg(DEADLINE).args(MACHINE);
    emulator.args(["-display", "none", "-semihosting-config", "enable=on,target=native", "-kernel"]);
    captured(emulator.arg(path))?;
    Ok("an exchange and discovery, without an allocator".to_owned())
}

fn build(repo: &Repo) -> Result<PathBuf, Failure> {
    let target = repo.cache("noalloc");
    let mut cargo = toolchain::bare_metal_cargo(repo, TARGET, ["build", "--release", "--locked"])?;
    cargo.args(["--manifest-path", "core/noalloc/Cargo.toml", "--target-dir"]).arg(&target);
    captured(&mut cargo)?;
    Ok(target.join(TARGET.triple()).join("release/deaddrop-noalloc"))
}
