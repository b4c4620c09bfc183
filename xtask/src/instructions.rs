//! `instructions`: counts core's instructions and compares them with a baseline.

mod baseline;
mod callgrind;

use std::collections::BTreeMap;
use std::fs;

use argh::FromArgs;

use crate::environment::prerequisites::{self, Prerequisite};
use crate::environment::repo::{Failure, Repo, built, captured};
use crate::environment::toolchain;
use baseline::{Baseline, Change, TOLERANCE_PERCENT};
use callgrind::Counted;

/// Count the instructions of core's handshake, records, codec and table of drops under valgrind, and compare
/// them with the baseline. Fails when a case takes over 3 % more. The counts do not depend on how busy the
/// machine is, but on the compiler and the kind of processor.
#[derive(FromArgs)]
#[argh(subcommand, name = "instructions")]
pub(crate) struct Instructions {
    /// fetch what is missing: packages with apt when root
    #[argh(switch)]
    install: bool,
    /// write what is counted to core/benches/instructions.toml, as the baseline from now on
    #[argh(switch)]
    accept: bool,
}

/// Where the baseline is kept.
const BASELINE: &str = "core/benches/instructions.toml";

/// Counts, shows and compares.
pub(crate) fn run(repo: &Repo, instructions: &Instructions) -> Result<(), Failure> {
    prerequisites::demand(repo, &[Prerequisite::Valgrind], instructions.install)?;
    let before = if instructions.accept { None } else { Some(read(repo)?) };
    let counted = count(repo)?;
    let Some(before) = before else {
        for (case, count) in &counted.cases {
            println!("{case:<18}{count:>12}");
        }
        fs::write(repo.root.join(BASELINE), counted.to_string()).map_err(Failure::at(BASELINE))?;
        println!("written: {BASELINE}");
        return Ok(());
    };
    // Printed even when the counts cannot be compared.
    let changes = before.changes(&counted);
    println!("{:<18}{:>12}{:>12}", "one turn", "baseline", "now");
    for (case, change) in &changes {
        println!("{case:<18}{change}");
    }
    judge(&before, &counted, &changes)
}

/// Fails if a case takes too many instructions more than before.
fn judge(before: &Baseline, now: &Baseline, changes: &BTreeMap<String, Change>) -> Result<(), Failure> {
    before.comparable(now)?;
    let named = |which: fn(&Change) -> bool| -> String {
        let cases = changes.iter().filter(|(_, change)| which(change));
        cases.map(|(case, _)| case.as_str()).collect::<Vec<_>>().join(", ")
    };
    let strange = named(|change| matches!(change, Change::Came(_) | Change::Went(_)));
    if !strange.is_empty() {
        return Err(Failure(format!(
            "{BASELINE} and core/benches/instructions.rs have not the same cases ({strange}): run with --accept"
        )));
    }
    let worse = named(Change::is_worse);
    if !worse.is_empty() {
        return Err(Failure(format!(
            "over {TOLERANCE_PERCENT} % above {BASELINE}: {worse}\n\
             make it cheaper, or, if it is worth it, run with --accept and give the reason in the commit"
        )));
    }
    let better = named(Change::is_better);
    if !better.is_empty() {
        println!("over {TOLERANCE_PERCENT} % below the baseline: {better}; keep it so with --accept");
    }
    Ok(())
}

fn read(repo: &Repo) -> Result<Baseline, Failure> {
    let path = repo.root.join(BASELINE);
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure(format!("{BASELINE}: {error}; --accept writes one")))?;
    text.parse().map_err(Failure::at(BASELINE))
}

/// Builds the cases in release mode and counts each.
fn count(repo: &Repo) -> Result<Baseline, Failure> {
    println!("building the cases");
    let mut cargo =
        repo.cargo(["bench", "--locked", "-p", "deaddrop-core", "--bench", "instructions", "--no-run"]);
    let program = built(&mut cargo, "instructions")?;
    let folder = repo.cache("instructions");
    fs::create_dir_all(&folder).map_err(Failure::at("target/instructions"))?;
    let counted = Counted { repo, program, out: folder.join("callgrind.out") };
    let rustc = captured(repo.program(toolchain::rustc()).arg("--version"))?.trim().to_owned();
    let cases = counted
        .cases()?
        .into_iter()
        .map(|case| counted.one_turn(&case).map(|count| (case, count)))
        .collect::<Result<_, _>>()?;
    Ok(Baseline { rustc, cpu: counted.cpu()?, cases })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(cases: &[(&str, u64)]) -> Baseline {
        let cases = cases.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect();
        Baseline { rustc: "rustc 1".into(), cpu: "x86_64".into(), cases }
    }

    fn judged(before: &Baseline, now: &Baseline) -> Result<(), String> {
        judge(before, now, &before.changes(now)).map_err(|failure| failure.0)
    }

    #[test]
    fn up_to_three_percent_more_is_let_pass_and_no_more() {
        let before = baseline(&[("a", 1_000), ("b", 1_000)]);
        assert_eq!(judged(&before, &before), Ok(()));
        assert_eq!(judged(&before, &baseline(&[("a", 1_030), ("b", 10)])), Ok(()));
        let why = judged(&before, &baseline(&[("a", 10), ("b", 1_031)])).unwrap_err();
        assert!(why.starts_with("over 3 % above core/benches/instructions.toml: b\n"), "{why}");
    }

    #[test]
    fn a_case_on_one_side_alone_does_not_pass() {
        let (one, two) = (baseline(&[("a", 1)]), baseline(&[("a", 1), ("b", 1)]));
        for (before, now) in [(&one, &two), (&two, &one)] {
            assert!(judged(before, now).unwrap_err().contains("not the same cases (b)"));
        }
    }

    #[test]
    fn counts_of_another_compiler_or_processor_do_not_pass() {
        let before = baseline(&[("a", 1)]);
        let compiler = Baseline { rustc: "rustc 2".into(), ..before.clone() };
        let processor = Baseline { cpu: "x86_64+avx2".into(), ..before.clone() };
        for now in [compiler, processor] {
            assert!(judged(&before, &now).unwrap_err().contains("cannot be compared"));
        }
    }

    #[test]
    fn the_baseline_that_is_kept_is_one_as_it_is_written() {
        let repo = Repo::here();
        let text = fs::read_to_string(repo.root.join(BASELINE)).unwrap();
        assert_eq!(text.parse::<Baseline>().unwrap().to_string(), text);
    }
}
