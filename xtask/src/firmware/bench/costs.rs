//! Instructions of the steps of a handshake and of the record layer, as the measuring image counts them.

use super::processor::Processor;
use crate::environment::repo::{Failure, Repo, captured};

/// QEMU's `-icount` makes an instruction last a nanosecond, and the image counts 12.5 MHz.
const INSTRUCTIONS_PER_COUNT: u64 = 80;

/// The step that is a server's answer.
pub(crate) const ANSWER: &str = "server answer";

/// The counts of the image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Steps of a handshake, and their instructions.
    pub(crate) steps: Vec<(String, u64)>,
    /// To seal and to open a record: its bytes, and the instructions of each.
    pub(crate) records: Vec<(u64, [u64; 2])>,
}

impl Costs {
    /// Builds the image for this processor and has QEMU count. The image fails if a product of 64 bits is wrong.
    pub(crate) fn measure(repo: &Repo, processor: Processor) -> Result<Self, Failure> {
        let image = processor.image(repo)?;
        let mut emulator = processor.emulator(repo, &image);
        let said = captured(emulator.args(["-icount", "shift=0"]))?;
        Self::parse(&said)
            .ok_or_else(|| Failure(format!("{}: the image did not measure:\n{said}", processor.name)))
    }

    /// Reads lines as `client hello: 123` and `512 seal: 123`, up to `done`.
    fn parse(said: &str) -> Option<Self> {
        let mut costs = Self { steps: Vec::new(), records: Vec::new() };
        let mut seal = None;
        for line in said.lines() {
            let Some((what, count)) = line.split_once(": ") else {
                let whole = costs.answer().is_some() && costs.records.len() == 2;
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

    /// Instructions of a server's answer.
    pub(crate) fn answer(&self) -> Option<u64> {
        self.steps.iter().find(|(what, _)| what == ANSWER).map(|(_, instructions)| *instructions)
    }

    /// Instructions of a byte more to seal and to open, without the fixed cost of a record.
    pub(crate) fn per_byte(&self) -> [f64; 2] {
        let [(short, few), (long, many)] = self.records[..] else { return [0.0; 2] };
        [0, 1].map(|way| (number(many[way]) - number(few[way])) / (number(long) - number(short)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SAID: &str = "client hello: 100\nserver answer: 200\nclient finish: 100\n512 seal: 10\n512 open: \
        11\n1044 seal: 20\n1044 open: 22\n";

    #[test]
    fn what_the_image_says_is_read() {
        let costs = Costs::parse(&format!("warning: x\n{SAID}done\n")).unwrap();
        assert_eq!(costs.steps[0], ("client hello".to_owned(), 8_000));
        assert_eq!(costs.answer(), Some(16_000));
        assert_eq!(costs.records, [(512, [800, 880]), (1_044, [1_600, 1_760])]);
        assert_eq!(costs.per_byte(), [800.0 / 532.0, 880.0 / 532.0]);
    }

    #[test]
    fn what_was_cut_short_is_no_measurement() {
        assert_eq!(Costs::parse(SAID), None);
        assert_eq!(Costs::parse("done\n"), None);
        assert_eq!(Costs::parse(&format!("{}done\n", SAID.replace("1044 open: 22\n", ""))), None);
        assert_eq!(Costs::parse(&format!("{}done\n", SAID.replace("server answer", "other"))), None);
        assert_eq!(Costs::parse("failed\n"), None);
    }
}
