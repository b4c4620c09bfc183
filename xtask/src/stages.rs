//! The table of stages of `check` and `test`, in the order in which they run. To add a stage, add a row.

pub(crate) mod disk_space;
pub(crate) mod stage;
mod workspace;

use std::process::Command;

use crate::demo;
use crate::dist;
use crate::environment::prerequisites::{self, MACOS, Prerequisite};
use crate::environment::repo::{Failure, Repo, captured};
use crate::environment::toolchain::{self, Target};
use crate::firmware::board::{BENCH, BOARDS, Board, EMULATED, FETCH_ONCE};
use crate::firmware::build::ON_LINUX;
use crate::firmware::{emulated, images};
use crate::manual::MANUAL;
use crate::noalloc;
use crate::stages::stage::{Size, Stage, When};
use crate::windows;

/// The target of the no-alloc image and of the emulated board.
const M3: Prerequisite = Prerequisite::BareMetal(Target::Thumbv7m);
/// The targets of the other boards.
const M0: Prerequisite = Prerequisite::BareMetal(Target::Thumbv6m);
const M7: Prerequisite = Prerequisite::BareMetal(Target::Thumbv7emHf);
const M33: Prerequisite = Prerequisite::BareMetal(Target::Thumbv8mMainHf);

/// All stages.
pub(crate) const STAGES: &[Stage] = &[
    Stage { name: "fmt", when: When::Check, requires: &[Prerequisite::Rustfmt], run: fmt },
    Stage {
        name: "clippy",
        when: When::Check,
        requires: &[Prerequisite::Clippy, Prerequisite::OpensslHeaders],
        run: clippy,
    },
    Stage { name: "docs", when: When::Check, requires: &[Prerequisite::OpensslHeaders], run: docs },
    Stage { name: "deny", when: When::Check, requires: &[Prerequisite::CargoDeny], run: deny },
    Stage { name: "noalloc", when: When::Check, requires: &[M3], run: |repo, _| noalloc::link(repo) },
    Stage { name: "firmware", when: When::Check, requires: &[Prerequisite::Clippy, M3], run: firmware },
    Stage { name: "core", when: When::Test, requires: &[], run: core },
    Stage {
        name: "noalloc-run",
        when: When::Test,
        requires: &[M3, Prerequisite::Emulator],
        run: |repo, _| noalloc::emulate(repo),
    },
    Stage {
        name: "workspace",
        when: When::Test,
        requires: &[
            Prerequisite::Namespaces,
            Prerequisite::Ip,
            Prerequisite::Nft,
            Prerequisite::Socat,
            Prerequisite::Strace,
            Prerequisite::RecipeTools,
        ],
        run: workspace::run,
    },
    Stage { name: "openssl", when: When::Test, requires: &[Prerequisite::OpensslHeaders], run: openssl },
    Stage { name: "portable", when: When::Test, requires: &[], run: portable },
    Stage {
        name: "windows",
        when: When::Test,
        requires: &[
            Prerequisite::Clippy,
            Prerequisite::WindowsTarget,
            Prerequisite::WindowsCompiler,
            Prerequisite::Wine,
            Prerequisite::Namespaces,
            Prerequisite::Ip,
        ],
        run: windows,
    },
    Stage { name: "macos", when: When::Test, requires: &[Prerequisite::MacosTarget], run: macos },
    Stage { name: "firmware-host", when: When::Test, requires: &[], run: firmware_host },
    Stage { name: "xtask", when: When::Test, requires: &[], run: xtask },
    Stage {
        name: "manual",
        when: When::Test,
        requires: &[Prerequisite::Shells, Prerequisite::ManTools],
        run: manual,
    },
    Stage {
        name: "demo",
        when: When::Test,
        requires: &[Prerequisite::Namespaces, Prerequisite::Ip],
        run: demo,
    },
    // Compiles vendors' crates for minutes, and finds only lints: `images` compiles the same code.
    Stage { name: "boards", when: When::Long, requires: &[Prerequisite::Clippy, M0, M7, M33], run: boards },
    Stage {
        name: "images",
        when: When::Test,
        requires: &[M0, M3, M7, M33],
        run: |repo, _| images::prove(repo),
    },
    Stage {
        name: "emulated",
        when: When::Test,
        requires: &[
            M0,
            M3,
            M7,
            M33,
            Prerequisite::Emulator,
            Prerequisite::Taps,
            Prerequisite::Namespaces,
            Prerequisite::Ip,
            Prerequisite::Nft,
        ],
        run: |repo, _| emulated::stage(repo),
    },
    // Four builds of the whole program with link-time optimisation, half of them only to be compared.
    Stage { name: "dist", when: When::Long, requires: dist::STAGE, run: dist::stage },
];

/// Manifests outside the workspace, each with its own lock file.
const OTHERS: &[&str] = &["core/fuzz/Cargo.toml", "core/noalloc/Cargo.toml", "firmware/Cargo.toml"];

/// Arguments with which cargo works on the firmware's workspace, in a target folder of its own.
const FIRMWARE: &[&str] =
    &["--locked", "--manifest-path", "firmware/Cargo.toml", "--target-dir", "target/firmware"];

fn fmt(repo: &Repo, _: Size) -> Result<String, Failure> {
    captured(&mut repo.cargo(["fmt", "--all", "--check"]))?;
    for manifest in OTHERS {
        captured(&mut repo.cargo(["fmt", "--all", "--check", "--manifest-path", manifest]))?;
    }
    Ok(String::new())
}

fn clippy(repo: &Repo, size: Size) -> Result<String, Failure> {
    let every_target = ["clippy", "--locked", "--all-targets", "--keep-going"];
    let runs: [&[&str]; 3] = [
        &["--workspace", "--all-features"],
        // Core as boards build it: without its features, other code may be unused.
        &["-p", "deaddrop-core"],
        &["--manifest-path", "core/fuzz/Cargo.toml", "--target-dir", "target/fuzz"],
    ];
    // The default features, which people get: the stage `macos` denies warnings with nearly the same.
    let full: &[&[&str]] = if size == Size::Full { &[&["--workspace"]] } else { &[] };
    for which in runs.iter().chain(full) {
        let mut cargo = repo.cargo(every_target);
        // Clippy links nothing, so libfuzzer's C++ need not be compiled.
        cargo.env("CUSTOM_LIBFUZZER_PATH", repo.cache("fuzz").join("libfuzzer.a"));
        captured(cargo.args(*which).args(["--", "-D", "warnings"]))?;
    }
    Ok(String::new())
}

fn docs(repo: &Repo, _: Size) -> Result<String, Failure> {
    let words = ["doc", "--locked", "--workspace", "--no-deps", "--all-features"];
    captured(repo.cargo(words).env("RUSTDOCFLAGS", "-D warnings"))?;
    captured(repo.cargo(["doc", "--no-deps"]).args(FIRMWARE).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(String::new())
}

fn deny(repo: &Repo, _: Size) -> Result<String, Failure> {
    let tool = prerequisites::cargo_tool(repo, Prerequisite::CargoDeny)
        .ok_or_else(|| Failure::new("cargo-deny is not there"))?;
    for manifest in ["Cargo.toml"].iter().chain(OTHERS) {
        captured(
            repo.program(&tool)
                .args(["--manifest-path", manifest, "--log-level", "error", "--locked", "--config"])
                .arg(repo.root.join("deny.toml"))
                // One list serves all manifests, so some have none of a licence.
                .args(["check", "--allow", "license-not-encountered", "bans", "licenses", "sources"]),
        )?;
    }
    Ok(String::new())
}

fn firmware(repo: &Repo, _: Size) -> Result<String, Failure> {
    // The application, for this machine; then the emulated board, for its target.
    captured(repo.cargo(["clippy"]).args(FIRMWARE).args(["--all-targets", "--", "-D", "warnings"]))?;
    // Not among the default members: it brings a clock driver, and the other packages' tests have their own.
    captured(repo.cargo(["clippy"]).args(FIRMWARE).args([
        "--package",
        ON_LINUX,
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    board_clippy(repo, &EMULATED, &[])?;
    board_clippy(repo, &FETCH_ONCE, &[])?;
    board_clippy(repo, &BENCH, &[])?;
    // A feature of the application that no board turns on by default.
    board_clippy(repo, &EMULATED, &["--features", "deaddrop-firmware/defmt"])?;
    Ok(format!("host and {}", EMULATED.name))
}

fn boards(repo: &Repo, _: Size) -> Result<String, Failure> {
    let others = || BOARDS.iter().filter(|board| board.name != EMULATED.name);
    others().try_for_each(|board| board_clippy(repo, board, &[]))?;
    Ok(format!("{} boards", others().count()))
}

fn board_clippy(repo: &Repo, board: &Board, features: &[&str]) -> Result<(), Failure> {
    let mut cargo = toolchain::bare_metal_clippy(repo, board.target)?;
    let package = ["--package", board.package];
    captured(cargo.args(FIRMWARE).args(package).args(features).args(["--", "-D", "warnings"]))?;
    Ok(())
}

/// The firmware's tests that run on this machine.
fn firmware_host(repo: &Repo, size: Size) -> Result<String, Failure> {
    let mut cargo = repo.cargo(["test"]);
    cargo.args(FIRMWARE);
    let app = tests(cargo, size)?;
    let mut cargo = repo.cargo(["test"]);
    cargo.args(FIRMWARE).args(["--package", ON_LINUX]);
    Ok(format!("{app}, and {} of the app as a process", tests(cargo, size)?))
}

fn core(repo: &Repo, size: Size) -> Result<String, Failure> {
    tests(
        repo.cargo([
            "test",
            "--locked",
            "-p",
            "deaddrop-core",
            "-p",
            "deaddrop-record-cipher",
            "--no-default-features",
            "--features",
            "deaddrop-core/bundle",
        ]),
        size,
    )
}

/// The man pages and completions, read by the programs that they are for.
fn manual(repo: &Repo, size: Size) -> Result<String, Failure> {
    tests(repo.cargo(["test", "--locked", "-p", MANUAL]), size)
}

/// The cipher's tests, in the build with OpenSSL: nothing else differs there.
fn openssl(repo: &Repo, size: Size) -> Result<String, Failure> {
    let words = ["test", "--locked", "-p", "deaddrop", "--features", "openssl", "--lib", "cipher"];
    tests(repo.cargo(words), size)
}

/// The build without ring, for targets without a C compiler: its cipher is core's own.
fn portable(repo: &Repo, size: Size) -> Result<String, Failure> {
    let without = ["--locked", "-p", "deaddrop", "--no-default-features"];
    // The stage `macos` compiles the program with the same features.
    if size == Size::Full {
        captured(repo.cargo(["check"]).args(without).args(["--features", "cli"]))?;
    }
    tests(repo.cargo(["test"].into_iter().chain(without).chain(["--lib", "cipher"])), size)
}

/// The program for Windows: its tests under wine. Its lints at full size only, because clippy checks all dependencies once
/// more, for that target.
fn windows(repo: &Repo, size: Size) -> Result<String, Failure> {
    if size == Size::Full {
        let packages = ["-p", "deaddrop", "-p", "deaddrop-windows"];
        captured(windows::cargo(repo, "clippy").args(packages).args(["--", "-D", "warnings"]))?;
    }
    let ourselves = std::env::current_exe().map_err(Failure::at("our own path"))?;
    let long = (size == Size::Full).then_some("--long");
    let output = captured(repo.program(ourselves).arg("windows").args(long))?;
    match counts(&output) {
        (0, _) => Err(Failure(format!("{output}no test ran"))),
        (passed, _) => Ok(format!("{passed} tests under wine")),
    }
}

/// The program for macOS, compiled and not linked, which takes Apple's SDK. Nor is ring compiled, for that reason.
fn macos(repo: &Repo, _: Size) -> Result<String, Failure> {
    let words = ["check", "--locked", "-p", "deaddrop", "--no-default-features", "--features", "cli"];
    captured(repo.cargo(words).args(["--target", MACOS]).env("RUSTFLAGS", "-D warnings"))?;
    Ok("compiled, not run".to_owned())
}

fn xtask(repo: &Repo, size: Size) -> Result<String, Failure> {
    tests(repo.cargo(["test", "--locked", "-p", "xtask"]), size)
}

fn demo(repo: &Repo, _: Size) -> Result<String, Failure> {
    let ourselves = std::env::current_exe().map_err(Failure::at("our own path"))?;
    captured(repo.program(ourselves).arg("demo"))?;
    demo::record(repo, &repo.cache("session.svg"))?;
    Ok(String::new())
}

/// Runs all tests, even after one has failed.
fn tests(mut cargo: Command, size: Size) -> Result<String, Failure> {
    full_size(cargo.arg("--no-fail-fast"), size);
    counted(&captured(&mut cargo)?)
}

/// Tells the tests that have a larger size which one to take: they read `DEADDROP_TEST_LONG`.
fn full_size(cargo: &mut Command, size: Size) {
    match size {
        Size::Usual => cargo.env_remove("DEADDROP_TEST_LONG"),
        Size::Full => cargo.env("DEADDROP_TEST_LONG", "1"),
    };
}

/// The note of a stage, from the output of cargo's test runner. That no test ran is a failure.
fn counted(output: &str) -> Result<String, Failure> {
    let (passed, ignored) = counts(output);
    match (passed, ignored) {
        (0, _) => Err(Failure(format!("{output}no test ran"))),
        (_, 0) => Ok(format!("{passed} tests")),
        _ => Ok(format!("{passed} tests, {ignored} ignored")),
    }
}

/// How many tests passed and how many were ignored, from the result lines of cargo's test runner.
fn counts(output: &str) -> (usize, usize) {
    let number = |line: &str, word: &str| -> usize {
        line.split([';', '.'])
            .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
            .sum()
    };
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
        .fold((0, 0), |(passed, ignored), line| {
            (passed + number(line, "passed"), ignored + number(line, "ignored"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_differ() {
        for (at, stage) in STAGES.iter().enumerate() {
            assert!(!stage.name.is_empty() && stage.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(STAGES.iter().skip(at + 1).all(|other| other.name != stage.name), "{}", stage.name);
        }
    }

    #[test]
    fn manifests_outside_the_workspace_are_there() {
        let root = Repo::here().root;
        for manifest in OTHERS {
            assert!(root.join(manifest).is_file(), "{manifest}");
        }
    }

    #[test]
    fn passed_tests_are_counted_over_all_binaries() {
        let output = "\
running 2 tests
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.25s
";
        assert_eq!(counts(output), (15, 3));
        assert_eq!(counts("nothing"), (0, 0));
    }
}
