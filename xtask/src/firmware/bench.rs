//! `firmware bench`: instructions of the cryptography on the cores of all boards.

pub(crate) mod costs;
pub(crate) mod processor;

use argh::FromArgs;

use costs::{Costs, number};
use processor::{PROCESSORS, Processor};

use super::budget::Budget;
use crate::environment::repo::{Failure, Repo};

/// Count the instructions of a handshake and of the record layer on the core of each board, in QEMU.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Bench {}

/// Runs the measuring image on each core and prints its results.
pub(crate) fn run(repo: &Repo, _: &Bench) -> Result<(), Failure> {
    for processor in PROCESSORS {
        println!("{}", table(processor, &Costs::measure(repo, processor)?));
    }
    Ok(())
}

/// For people.
fn table(processor: Processor, costs: &Costs) -> String {
    let mut text = format!("{:<24} {:>12}\n", processor.name, "instructions");
    for (what, cost) in &costs.steps {
        text.push_str(&format!("{what:<24} {cost:>12}\n"));
    }
    for (length, [seal, open]) in &costs.records {
        for (what, cost) in [("seal", seal), ("open", open)] {
            let what = format!("{what} a record of {length}");
            text.push_str(&format!("{what:<24} {cost:>12}\n"));
        }
    }
    let [seal, open] = costs.per_byte();
    text.push_str(&format!("a byte more: {seal:.1} to seal, {open:.1} to open\n"));
    text
}

/// Measures every core, compares its answer with its budget, and says what it takes.
pub(crate) fn within_budget(repo: &Repo) -> Result<String, Failure> {
    let (mut notes, mut over) = (Vec::new(), Vec::new());
    for processor in PROCESSORS {
        let answer = Costs::measure(repo, processor)?.answer().unwrap_or(u64::MAX);
        notes.push(format!("{} {:.2} M", processor.name, number(answer) / 1e6));
        over.extend(excess(processor.name, answer, Budget::of_answer(repo, processor.name)?));
    }
    if over.is_empty() { Ok(notes.join(", ")) } else { Err(Failure(over.join("\n"))) }
}

/// A message if an answer takes more than its budget.
fn excess(core: &str, answer: u64, budget: u64) -> Option<String> {
    let over = answer.checked_sub(budget).filter(|over| *over > 0)?;
    Some(format!(
        "{core}: {answer} instructions for an answer, {over} over its budget in firmware/budgets.toml"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::board::BOARDS;
    use super::*;

    #[test]
    fn an_answer_over_budget_is_named() {
        assert_eq!(excess("M", 100, 100), None);
        assert!(excess("M", 101, 100).unwrap().starts_with("M: 101 instructions for an answer, 1 over"));
    }

    #[test]
    fn every_board_has_a_core_that_is_measured_and_has_a_budget() {
        for board in BOARDS {
            assert!(PROCESSORS.iter().any(|processor| processor.target == board.target), "{}", board.name);
        }
        for processor in PROCESSORS {
            assert!(Budget::of_answer(&Repo::here(), processor.name).unwrap() > 0);
        }
    }
}
