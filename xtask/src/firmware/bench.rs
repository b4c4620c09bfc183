//! `firmware bench`: instructions of the cryptography on a Cortex-M3.

use argh::FromArgs;
use testbed::emulator::PROGRAM;

use super::board;
use super::build;
use crate::environment::repo::{Failure, Repo, captured};

/// Count the instructions of a handshake and of the record layer on the emulated board, and print the time that
/// they take at 50 MHz.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Bench {}

/// QEMU's `-icount` makes an instruction last a nanosecond, and the board counts cycles of 50 MHz.
const INSTRUCTIONS_PER_COUNT: u64 = 20;
/// Clock of the board's processor in MHz.
const MEGAHERTZ: f64 = 50.0;

/// Runs the measuring image and prints its results.
pub(crate) fn run(repo: &Repo, _: &Bench) -> Result<(), Failure> {
    println!("{}", measure(repo)?.table());
    Ok(())
}

/// The counts of the image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Steps of a handshake, and their instructions.
    steps: Vec<(String, u64)>,
    /// To seal and to open a record: its bytes, and the instructions of each.
    records: Vec<(u64, [u64; 2])>,
}

/// Builds the image and has the emulator count.
pub(crate) fn measure(repo: &Repo) -> Result<Costs, Failure> {
    let image = build::program(repo, board::EMULATED, "bench")?;
    let mut emulator = repo.program(PROGRAM);
    emulator.args(["-machine", board::EMULATED.name, "-display", "none", "-serial", "stdio", "-nic", "none"]);
    emulator.args(["-icount", "shift=0", "-semihosting-config", "enable=on,target=native", "-kernel"]);
    let said = captured(emulator.arg(image))?;
    Costs::parse(&said).ok_or_else(|| Failure(format!("the image did not measure:\n{said}")))
}

impl Costs {
    /// Reads lines as `client hello: 123` and `512 seal: 123`, up to `done`.
    fn parse(said: &str) -> Option<Self> {
        let mut costs = Self { steps: Vec::new(), records: Vec::new() };
        let mut seal = None;
        for line in said.lines() {
            let Some((what, count)) = line.split_once(": ") else {
                let whole = !costs.steps.is_empty() && costs.records.len() == 2;
                if line == "done" { return whole.then_some(costs) } else { continue }
            };
            let Ok(count) = count.trim().parse::<u64>() else { continue };
            let instructions = count * INSTRUCTIONS_PER_COUNT;
            match what.split_once(' ') {
                Some((length, "seal")) => seal = Some((length.parse::<u64>().ok()?, instructions)),
                Some((length, "open")) => {
                    let (sealed, cost) = seal.take()?;
                    if length.parse::<u64>().ok()? != sealed {
                        return None;
                    }
                    costs.records.push((sealed, [cost, instructions]));
                }
                _ => costs.steps.push((what.to_owned(), instructions)),
            }
        }
        None
    }

    /// Instructions per byte to seal and to open, without the fixed cost of a record.
    fn per_byte(&self) -> [f64; 2] {
        let [(short, few), (long, many)] = self.records[..] else { return [0.0; 2] };
        [0, 1].map(|way| (number(many[way]) - number(few[way])) / (number(long) - number(short)))
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:<24} {:>12} {:>16}\n", "", "instructions", "ms at 50 MHz");
        for (what, cost) in &self.steps {
            text.push_str(&format!("{what:<24} {cost:>12} {:>16.1}\n", number(*cost) / MEGAHERTZ / 1_000.0));
        }
        for (length, [seal, open]) in &self.records {
            for (what, cost) in [("seal", seal), ("open", open)] {
                let what = format!("{what} a record of {length}");
                text.push_str(&format!(
                    "{what:<24} {cost:>12} {:>16.2}\n",
                    number(*cost) / MEGAHERTZ / 1_000.0
                ));
            }
        }
        let [seal, open] = self.per_byte();
        text.push_str(&format!(
            "a byte more: {seal:.1} to seal, {open:.1} to open: {:.2} MB/s at 50 MHz\n",
            MEGAHERTZ / seal.max(open)
        ));
        text.push_str(
            "An instruction counts as one cycle; the processor takes more where it branches, loads or waits for flash.",
        );
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str =
        "client hello: 100\nserver answer: 200\n512 seal: 10\n512 open: 11\n1044 seal: 20\n1044 open: 22\n";

    #[test]
    fn what_the_image_says_is_read() {
        let costs = Costs::parse(&format!("warning: x\n{SAID}done\n")).unwrap();
        assert_eq!(costs.steps, [("client hello".to_owned(), 2_000), ("server answer".to_owned(), 4_000)]);
        assert_eq!(costs.records, [(512, [200, 220]), (1_044, [400, 440])]);
        assert_eq!(costs.per_byte(), [200.0 / 532.0, 220.0 / 532.0]);
        assert!(costs.table().contains("client hello"));
    }

    #[test]
    fn what_was_cut_short_is_no_measurement() {
        assert_eq!(Costs::parse(SAID), None);
        assert_eq!(Costs::parse("done\n"), None);
        assert_eq!(Costs::parse(&format!("{}done\n", SAID.replace("1044 open: 22\n", ""))), None);
        assert_eq!(Costs::parse("failed\n"), None);
    }
}
