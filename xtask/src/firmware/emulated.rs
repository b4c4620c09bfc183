//! `firmware test`: tests boards in the emulator over their consoles, on a network of their own.

mod adversary;
mod board_testbed;
mod case;
mod exchange;
mod fetch_once;
mod linux;
mod processors;
mod refusals;
mod starts;

use std::time::{Duration, Instant};

use argh::FromArgs;
use testbed::scratch::Scratch;

use super::size;
use crate::environment::repo::{Failure, Repo};
use board_testbed::BoardTestbed;
use case::Case;

/// Test the emulated board over its serial console and its network. Takes root, because it makes
/// network namespaces and taps.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub(crate) struct Test {
    /// run only the tests whose names begin so
    #[argh(option, arg_name = "name")]
    only: Option<String>,
}

/// All tests.
const CASES: &[&[Case]] = &[
    refusals::CASES,
    linux::CASES,
    exchange::CASES,
    adversary::CASES,
    starts::CASES,
    fetch_once::CASES,
    processors::CASES,
];

/// Runs them and prints each when it ends.
pub(crate) fn run(repo: &Repo, test: &Test) -> Result<(), Failure> {
    let note = all(repo, test.only.as_deref().unwrap_or_default(), &mut |line| println!("{line}"))?;
    println!("{note}");
    Ok(())
}

/// The same for the stage of `cargo xtask test`: prints nothing, and puts all lines into a failure.
pub(crate) fn stage(repo: &Repo) -> Result<String, Failure> {
    let mut lines = String::new();
    all(repo, "", &mut |line| {
        lines.push_str(line);
        lines.push('\n');
    })
    .map_err(|failure| Failure(format!("{lines}{failure}")))
}

/// Runs all tests whose names begin so, and gives their number and the deepest stack.
fn all(repo: &Repo, only: &str, tell: &mut dyn FnMut(&str)) -> Result<String, Failure> {
    let folder = Scratch::new()?;
    let mut bed = BoardTestbed::new(repo, folder.path())?;
    let (mut passed, mut failed) = (0, Vec::new());
    for case in CASES.iter().copied().flatten().filter(|case| case.name.starts_with(only)) {
        let start = Instant::now();
        let outcome = (case.run)(&mut bed);
        let line = told(case.name, &outcome, start.elapsed());
        tell(&line);
        match outcome {
            Ok(_) => passed += 1,
            Err(_) => failed.push(case.name),
        }
    }
    if passed + failed.len() == 0 {
        return Err(Failure(format!("no test has a name that begins with {only:?}")));
    }
    if !failed.is_empty() {
        let names = failed.join("; ");
        return Err(Failure(format!("{passed} tests passed, stack {} bytes; failed: {names}", bed.stack)));
    }
    if only.is_empty() {
        bed.note_stack(size::note_stack)?;
    }
    let over = bed.over_budget()?;
    if !over.is_empty() {
        return Err(Failure(over.join("\n")));
    }
    Ok(format!("{passed} tests, stack {} bytes", bed.stack))
}

fn told(name: &str, outcome: &Result<String, Failure>, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match outcome {
        Ok(figure) if figure.is_empty() => format!("{name} ... ok {seconds:.1} s"),
        Ok(figure) => format!("{name} ... ok {seconds:.1} s ({figure})"),
        Err(failure) => format!("{name} ... FAILED {seconds:.1} s\n{failure}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tests_have_one_name() {
        let names: Vec<_> = CASES.iter().copied().flatten().map(|case| case.name).collect();
        assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)), "{names:?}");
    }

    #[test]
    fn a_test_is_told_with_its_time_and_figure() {
        let time = Duration::from_millis(1_250);
        assert_eq!(told("it holds", &Ok(String::new()), time), "it holds ... ok 1.2 s");
        assert_eq!(told("it holds", &Ok("3 %".into()), time), "it holds ... ok 1.2 s (3 %)");
        assert_eq!(told("it holds", &Err(Failure::new("no")), time), "it holds ... FAILED 1.2 s\nno");
    }
}
