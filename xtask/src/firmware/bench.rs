//! `firmware bench`: instructions and cycles of the cryptography on the cores of all boards.

pub(crate) mod costs;
mod cycles;
mod instruction;
pub(crate) mod processor;
mod timing;

use argh::FromArgs;

use costs::{ANSWER, Costs, number};
use processor::{PROCESSORS, Processor};

use super::board::BOARDS;
use super::budget::Budget;
use crate::environment::repo::{Failure, Repo};

/// Count the instructions of a handshake and of the record layer on the core of each board, in QEMU, and the cycles that
/// they take by Arm's tables, without wait states. Takes a minute.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Bench {}

/// Clocks of boards in MHz.
const CLOCKS: [(&str, f64); 7] = [
    ("lm3s6965evb", 50.0),
    ("w5500-evb-pico", 200.0),
    ("w6100-evb-pico2", 150.0),
    ("pico-w", 125.0),
    ("pico2-w", 150.0),
    ("nucleo-h563zi", 250.0),
    ("nucleo-h743zi", 400.0),
];

/// Runs the measuring image on each core and prints its results.
pub(crate) fn run(repo: &Repo, _: &Bench) -> Result<(), Failure> {
    for processor in PROCESSORS {
        let costs = Costs::measure(repo, processor)?;
        println!("{}", table(processor, &costs, &cycles::measure(repo, processor)?));
    }
    Ok(())
}

/// For people. `cycles` are of the steps, then of each record sealed and opened.
fn table(processor: Processor, costs: &Costs, cycles: &[[u64; 2]]) -> String {
    let mut text =
        format!("{:<24} {:>12} {:>12} {:>12}\n", processor.name, "instructions", "cycles from", "to");
    let records = costs.records.iter().flat_map(|(length, cost)| {
        ["seal", "open"]
            .into_iter()
            .zip(*cost)
            .map(move |(way, cost)| (format!("{way} a record of {length}"), cost))
    });
    let steps = costs.steps.iter().cloned().chain(records);
    let mut answer = None;
    for ((what, cost), [least, most]) in steps.zip(cycles) {
        text.push_str(&format!("{what:<24} {cost:>12} {least:>12} {most:>12}\n"));
        if what == ANSWER {
            answer = Some([*least, *most]);
        }
    }
    let [seal, open] = costs.per_byte();
    text.push_str(&format!("a byte more: {seal:.1} instructions to seal, {open:.1} to open\n"));
    for board in BOARDS.iter().filter(|board| board.target == processor.target) {
        let clock = CLOCKS.iter().find(|(name, _)| *name == board.name);
        if let (Some((name, megahertz)), Some(answer)) = (clock, answer) {
            let [least, most] = answer.map(|cycles| number(cycles) / megahertz / 1_000.0);
            text.push_str(&format!("{name} at {megahertz} MHz: an answer in {least:.0} to {most:.0} ms\n"));
        }
    }
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
    use super::*;

    #[test]
    fn an_answer_over_budget_is_named() {
        assert_eq!(excess("M", 100, 100), None);
        assert!(excess("M", 101, 100).unwrap().starts_with("M: 101 instructions for an answer, 1 over"));
    }

    #[test]
    fn the_table_has_every_step_with_its_cycles_and_the_time_of_an_answer() {
        let costs = Costs {
            steps: vec![("client hello".into(), 8_000), (ANSWER.into(), 16_000)],
            records: vec![(512, [800, 880]), (1_044, [1_600, 1_760])],
        };
        let cycles = [[1, 2], [5_000_000, 7_500_000], [3, 4], [5, 6], [7, 8], [9, 10]];
        let text = table(PROCESSORS[1], &costs, &cycles);
        assert!(text.contains("server answer                   16000      5000000      7500000\n"), "{text}");
        assert!(text.contains("open a record of 1044            1760            9           10\n"), "{text}");
        assert!(text.contains("lm3s6965evb at 50 MHz: an answer in 100 to 150 ms\n"), "{text}");
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
