//! `test`: every stage, one after another, and the count at the end.

use std::time::Instant;

use argh::FromArgs;

use crate::environment::prerequisites;
use crate::environment::repo::{Failure, Repo};
use crate::stages::STAGES;
use crate::stages::disk_space;
use crate::stages::stage::{Size, Stage, Summary, When};

/// Run every test of correctness, in stages, each with its time; the checks come first. A stage that
/// lacks something is listed as not run, and then this fails.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub(crate) struct Test {
    /// fetch what is missing: packages with apt when root, components with rustup, tools with cargo
    #[argh(switch)]
    install: bool,
    /// at full size: files of gigabytes and the like
    #[argh(switch)]
    long: bool,
    /// run these stages alone: names with commas between
    #[argh(option, from_str_fn(names), arg_name = "stages")]
    only: Option<Vec<&'static str>>,
    /// list the stages, and run nothing
    #[argh(switch)]
    list: bool,
}

/// Runs all stages.
pub(crate) fn run(repo: &Repo, test: &Test) -> Result<(), Failure> {
    let size = if test.long { Size::Full } else { Size::Usual };
    let stages: Vec<_> = STAGES.iter().filter(|stage| is_wanted(stage, test.only.as_deref(), size)).collect();
    if test.list {
        for stage in stages {
            println!("{}", stage.name);
        }
        return Ok(());
    }
    run_stages(repo, &stages, size, test.install)
}

/// Runs these stages, after installing their missing prerequisites if `install`.
pub(crate) fn run_stages(repo: &Repo, stages: &[&Stage], size: Size, install: bool) -> Result<(), Failure> {
    let needs = || stages.iter().flat_map(|stage| stage.requires);
    let mut missing = prerequisites::missing(repo, needs());
    if install && !missing.is_empty() {
        prerequisites::install(repo, &missing);
        missing = prerequisites::missing(repo, needs());
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|need| need.name()).collect();
        println!("missing: {}; to get what is missing:", names.join(", "));
        println!("    {}", prerequisites::line_to_copy(repo, &missing));
    }
    let mut summary = Summary::default();
    let start = Instant::now();
    for stage in stages {
        let lacks: Vec<_> =
            stage.requires.iter().filter(|need| missing.contains(need)).map(|need| need.name()).collect();
        if lacks.is_empty() {
            summary.run(repo, stage, size);
        } else {
            summary.skip(stage, format!("{} is missing", lacks.join(", ")));
        }
    }
    println!("in all {:.1} s", start.elapsed().as_secs_f64());
    let passed = summary.all_passed();
    if let Some(hint) = disk_space::hint(repo).filter(|_| !passed) {
        println!("{hint}");
    }
    println!("{summary}");
    if passed { Ok(()) } else { Err(Failure::new("")) }
}

/// Whether a stage runs: with `--only` if it is named, else unless it is one of `--long`.
fn is_wanted(stage: &Stage, only: Option<&[&str]>, size: Size) -> bool {
    match only {
        Some(only) => only.contains(&stage.name),
        None => stage.when != When::Long || size == Size::Full,
    }
}

/// Reads the names given with `--only`.
fn names(list: &str) -> Result<Vec<&'static str>, String> {
    list.split(',')
        .map(|name| {
            let name = name.trim();
            STAGES.iter().map(|stage| stage.name).find(|known| *known == name).ok_or_else(|| {
                let known: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
                format!("no stage {name:?}; there are: {}", known.join(", "))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_stages_is_read() {
        assert_eq!(names("fmt"), Ok(vec!["fmt"]));
        assert_eq!(names("demo, fmt"), Ok(vec!["demo", "fmt"]));
        for bad in ["", "fmt,", "no-such", "FMT"] {
            assert!(names(bad).unwrap_err().contains("there are: fmt, clippy"), "{bad}");
        }
    }

    #[test]
    fn arguments_are_read() {
        let test = Test::from_args(&["test"], &["--install", "--long", "--only", "fmt,demo"]).unwrap();
        assert!(test.install && test.long && !test.list);
        assert_eq!(test.only, Some(vec!["fmt", "demo"]));
        assert!(Test::from_args(&["test"], &["--only", "nothing"]).is_err());
    }

    #[test]
    fn only_what_is_named_runs() {
        let stage = Stage { name: "a", when: When::Test, requires: &[], run: |_, _| Ok(String::new()) };
        assert!(is_wanted(&stage, None, Size::Usual));
        assert!(is_wanted(&stage, Some(&["b", "a"]), Size::Usual));
        assert!(!is_wanted(&stage, Some(&["b"]), Size::Full));
        let long = Stage { when: When::Long, ..stage };
        assert!(!is_wanted(&long, None, Size::Usual) && is_wanted(&long, None, Size::Full));
        assert!(is_wanted(&long, Some(&["a"]), Size::Usual));
    }
}
