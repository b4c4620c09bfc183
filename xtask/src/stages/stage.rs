//! A stage of `check` and `test`: runs and times it, and counts the outcomes.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::environment::prerequisites::Prerequisite;
use crate::environment::repo::{Failure, Repo};

/// How much data a stage moves, and how often it repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// As little as shows that it works.
    Usual,
    /// Real sizes: files of gigabytes and the like.
    Full,
}

/// In which commands a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `check` and `test`.
    Check,
    /// `test`.
    Test,
    /// `test --long`, and `--only` with its name: takes minutes and rarely finds anything.
    Long,
}

/// One row of the table in [`crate::stages`].
pub(crate) struct Stage {
    /// One word, by which `--only` picks it.
    pub(crate) name: &'static str,
    /// In which commands it runs.
    pub(crate) when: When,
    /// Its prerequisites on the machine.
    pub(crate) requires: &'static [Prerequisite],
    /// Runs it. On success gives a note for its line, which may be empty.
    pub(crate) run: fn(&Repo, Size) -> Result<String, Failure>,
}

/// How the stages ended.
#[derive(Default)]
pub(crate) struct Summary {
    passed: usize,
    failed: Vec<&'static str>,
    skipped: Vec<(&'static str, String)>,
}

impl Summary {
    /// Runs a stage and prints its outcome.
    pub(crate) fn run(&mut self, repo: &Repo, stage: &Stage, size: Size) {
        print!("stage {} ... ", stage.name);
        // A failure to print cannot be reported either.
        let _ = std::io::stdout().flush();
        let start = Instant::now();
        let outcome = (stage.run)(repo, size);
        println!("{}", line(&outcome, start.elapsed()));
        match outcome {
            Ok(_) => self.passed += 1,
            Err(failure) => {
                println!("{}", failure.0.trim_end());
                self.failed.push(stage.name);
            }
        }
    }

    /// Notes a stage that could not run, and why.
    pub(crate) fn skip(&mut self, stage: &Stage, why: String) {
        self.skipped.push((stage.name, why));
    }

    /// Whether every stage ran and passed, and there was one.
    pub(crate) fn all_passed(&self) -> bool {
        self.passed > 0 && self.failed.is_empty() && self.skipped.is_empty()
    }
}

/// The stages that failed or did not run, by name; and the count, alone on the last line.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.failed.is_empty() {
            writeln!(f, "failed: {}", self.failed.join(", "))?;
        }
        for (name, why) in &self.skipped {
            writeln!(f, "not run: {name} ({why})")?;
        }
        let (passed, failed, skipped) = (self.passed, self.failed.len(), self.skipped.len());
        write!(f, "stages: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// The end of a stage's line.
fn line(outcome: &Result<String, Failure>, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match outcome {
        Ok(note) if note.is_empty() => format!("ok {seconds:.1} s"),
        Ok(note) => format!("ok {seconds:.1} s ({note})"),
        Err(_) => format!("FAILED {seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &'static str, run: fn(&Repo, Size) -> Result<String, Failure>) -> Stage {
        Stage { name, when: When::Test, requires: &[], run }
    }

    #[test]
    fn the_count_stands_last_and_alone() {
        let repo = Repo::here();
        let mut summary = Summary::default();
        assert!(!summary.all_passed(), "nothing run is nothing proved");
        summary.run(&repo, &stage("a", |_, _| Ok(String::new())), Size::Usual);
        assert!(summary.all_passed());
        assert_eq!(summary.to_string(), "stages: 1 passed, 0 failed, 0 skipped");
        summary.skip(&stage("b", |_, _| Ok(String::new())), "clippy is missing".to_owned());
        assert!(!summary.all_passed(), "what was not run did not pass");
        summary.run(&repo, &stage("c", |_, _| Err(Failure::new("no"))), Size::Usual);
        assert_eq!(
            summary.to_string(),
            "failed: c\nnot run: b (clippy is missing)\nstages: 1 passed, 1 failed, 1 skipped"
        );
    }

    #[test]
    fn a_failure_alone_is_enough_to_fail() {
        let mut summary = Summary::default();
        summary.run(&Repo::here(), &stage("a", |_, _| Ok(String::new())), Size::Usual);
        summary.run(&Repo::here(), &stage("b", |_, _| Err(Failure::new("no"))), Size::Usual);
        assert!(!summary.all_passed());
    }

    #[test]
    fn a_line_has_its_time_and_note() {
        let time = Duration::from_millis(12_340);
        assert_eq!(line(&Ok(String::new()), time), "ok 12.3 s");
        assert_eq!(line(&Ok("81 tests".into()), time), "ok 12.3 s (81 tests)");
        assert_eq!(line(&Err(Failure::new("no")), time), "FAILED 12.3 s");
    }
}
