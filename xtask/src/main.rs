//! The commands of the project, as `cargo xtask COMMAND`: one file for each, with a folder for its parts.
//!
//! Most run cargo and the built program as a person would. Some use the project's own crates: provisioning writes
//! provisioning records with `deaddrop-provisioning` and derives rooms with `deaddrop-core`, and the tests of boards
//! speak the protocol.

mod bench;
mod check;
mod demo;
mod dist;
mod environment;
mod firmware;
mod instructions;
mod manual;
mod noalloc;
mod scale;
mod stages;
mod test;
mod windows;

use std::process::ExitCode;

use argh::FromArgs;

/// The scripts of deaddrop. Start with `cargo xtask demo`; before a commit, `cargo xtask check`;
/// everything there is, `cargo xtask test`.
#[derive(FromArgs)]
struct Xtask {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Demo(demo::Demo),
    Test(test::Test),
    Check(check::Check),
    Bench(bench::Bench),
    Dist(dist::Dist),
    Firmware(firmware::Firmware),
    Instructions(instructions::Instructions),
    Manual(manual::Manual),
    Noalloc(noalloc::Noalloc),
    Scale(scale::Scale),
    Windows(windows::Windows),
}

fn main() -> ExitCode {
    let xtask: Xtask = argh::from_env();
    let repo = environment::repo::Repo::here();
    let done = match xtask.command {
        Command::Demo(demo) => demo::run(&repo, &demo),
        Command::Test(test) => test::run(&repo, &test),
        Command::Check(check) => check::run(&repo, &check),
        Command::Bench(bench) => bench::run(&repo, &bench),
        Command::Dist(dist) => dist::run(&repo, &dist),
        Command::Firmware(firmware) => firmware::run(&repo, &firmware),
        Command::Instructions(instructions) => instructions::run(&repo, &instructions),
        Command::Manual(manual) => manual::run(&repo, &manual),
        Command::Noalloc(noalloc) => noalloc::run(&repo, &noalloc),
        Command::Scale(scale) => scale::run(&repo, &scale),
        Command::Windows(windows) => windows::run(&repo, &windows),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.0.is_empty() {
                eprintln!("xtask: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}
