//! The workspace's tests. Those of programs on one host run beside all others: they wait most of their time, for leases,
//! announces and silence, and so do the tests in network namespaces.

use std::process::Command;
use std::thread;

use super::stage::Size;
use super::{counted, full_size};
use crate::environment::repo::{Failure, Repo, captured};
use crate::manual::MANUAL;

/// The test program that takes longest, by cargo's name for its target.
const LONGEST: &[&str] = &["--test", "one_host"];
/// All others. [`left_out`] notices one that no pattern takes.
const OTHERS: &[&str] = &["--lib", "--bins", "--test", "[!o]*"];

pub(super) fn run(repo: &Repo, size: Size) -> Result<String, Failure> {
    let built = captured(cargo(repo, size).arg("--no-run"))?;
    let (longest, others) = thread::scope(|scope| {
        let longest = scope.spawn(|| captured(cargo(repo, size).args(LONGEST)));
        let others = captured(cargo(repo, size).args(OTHERS));
        (longest.join(), others)
    });
    let longest = longest.map_err(|_| Failure::new("the thread of one_host panicked"))?;
    let examples = captured(cargo(repo, size).arg("--doc"));
    let output = both(both(longest, others), examples)?;
    match left_out(&built, &output)?.as_slice() {
        [] => counted(&output),
        names => Err(Failure(format!("these test programs were built and not run: {}", names.join(", ")))),
    }
}

/// Cargo for the program that people get: the default features. All tests run, even after one has failed.
fn cargo(repo: &Repo, size: Size) -> Command {
    let mut cargo = repo.cargo(["test", "--locked", "--no-fail-fast"]);
    cargo.args(["--workspace", "--exclude", "xtask", "--exclude", MANUAL]);
    // Its lines say which programs there are, and which have run.
    cargo.env("CARGO_TERM_QUIET", "false");
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        cargo.env("RUST_TEST_THREADS", (2 * cores).to_string());
    }
    full_size(&mut cargo, size);
    cargo
}

/// The output of two commands, or what failed of them.
fn both(one: Result<String, Failure>, other: Result<String, Failure>) -> Result<String, Failure> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(one + &other),
        (Err(one), Err(other)) => Err(Failure(format!("{}\n{}", one.0, other.0))),
        (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
    }
}

/// The test programs that cargo says it has built, and does not say it has run. That it has built none is a failure.
fn left_out<'a>(built: &'a str, output: &str) -> Result<Vec<&'a str>, Failure> {
    let after = |line: &'a str, verb| line.trim_start().strip_prefix(verb);
    let programs: Vec<_> = built.lines().filter_map(|line| after(line, "Executable ")).collect();
    if programs.is_empty() {
        return Err(Failure(format!("{built}cargo names no test program that it has built")));
    }
    let has_run = |program: &str| {
        output.lines().any(|line| line.trim_start().strip_prefix("Running ") == Some(program))
    };
    Ok(programs.into_iter().filter(|program| !has_run(program)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_that_no_pattern_takes_is_named() {
        let built = "    Finished `test` profile\n  Executable tests/a.rs (target/a-1)\n  Executable tests/o.rs (target/o-2)\n";
        let output = "     Running tests/a.rs (target/a-1)\ntest result: ok. 1 passed\n";
        assert_eq!(left_out(built, output).unwrap(), ["tests/o.rs (target/o-2)"]);
        let both = format!("{output}     Running tests/o.rs (target/o-2)\n");
        assert!(left_out(built, &both).unwrap().is_empty());
        assert!(left_out("    Finished `test` profile\n", output).is_err());
    }

    #[test]
    fn what_failed_is_shown_of_both() {
        let failed = |words: &str| Err(Failure(words.to_owned()));
        assert_eq!(both(Ok("a".into()), Ok("b".into())).unwrap(), "ab");
        assert_eq!(both(failed("a"), failed("b")).unwrap_err().0, "a\nb");
        assert_eq!(both(failed("a"), Ok("b".into())).unwrap_err().0, "a");
        assert_eq!(both(Ok("a".into()), failed("b")).unwrap_err().0, "b");
    }
}
