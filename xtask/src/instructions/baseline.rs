//! The baseline file: instructions of one turn of each case, and how they have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::environment::repo::Failure;

/// Percent by which a count may grow. Less than that comes from moving a function, which changes inlining and layout.
pub(super) const TOLERANCE_PERCENT: u64 = 3;

/// Counts, and the compiler and processor that they depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    /// `rustc --version`.
    pub(super) rustc: String,
    /// The processor that valgrind emulates.
    pub(super) cpu: String,
    /// Instructions of one turn.
    pub(super) cases: BTreeMap<String, u64>,
}

/// How the count of a case has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is in the baseline too.
    Both { before: u64, now: u64 },
    /// It has no baseline.
    Came(u64),
    /// It is in the baseline, and no longer exists.
    Went(u64),
}

impl Change {
    /// Over the tolerance.
    pub(super) fn is_worse(&self) -> bool {
        matches!(*self, Self::Both { before, now } if is_above(now, before))
    }

    /// Below it by as much.
    pub(super) fn is_better(&self) -> bool {
        matches!(*self, Self::Both { before, now } if is_above(before, now))
    }
}

fn is_above(count: u64, other: u64) -> bool {
    u128::from(count) * 100 > u128::from(other) * u128::from(100 + TOLERANCE_PERCENT)
}

/// The rest of a line of the table.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Both { before, now } => {
                // f64 is exact far beyond the digits that are shown.
                #[expect(clippy::cast_precision_loss, reason = "a percentage with one decimal")]
                let percent = (now as f64 / before as f64 - 1.0) * 100.0;
                write!(f, "{before:>12}{now:>12}{percent:>+8.1} %")
            }
            Self::Came(now) => write!(f, "{:>12}{now:>12}", "-"),
            Self::Went(before) => write!(f, "{before:>12}{:>12}", "-"),
        }
    }
}

impl Baseline {
    /// Every case of either, by name.
    pub(super) fn changes(&self, now: &Self) -> BTreeMap<String, Change> {
        let cases: BTreeSet<_> = self.cases.keys().chain(now.cases.keys()).collect();
        let change = |case: &str| match (self.cases.get(case), now.cases.get(case)) {
            (Some(before), Some(now)) => Some(Change::Both { before: *before, now: *now }),
            (None, Some(now)) => Some(Change::Came(*now)),
            (Some(before), None) => Some(Change::Went(*before)),
            (None, None) => None,
        };
        cases.into_iter().filter_map(|case| Some((case.clone(), change(case)?))).collect()
    }

    /// Fails if compiler or processor differ: then counts differ without a change of the code.
    pub(super) fn comparable(&self, now: &Self) -> Result<(), Failure> {
        for (before, now) in [(&self.rustc, &now.rustc), (&self.cpu, &now.cpu)] {
            if before != now {
                return Err(Failure(format!(
                    "the baseline was taken with {before}, and this is {now}: they cannot be compared.\n\
                     To see the cost of a change, run with --accept before it and without after it"
                )));
            }
        }
        Ok(())
    }
}

impl FromStr for Baseline {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut table: toml::Table = text.parse().map_err(Failure::at("not TOML"))?;
        let mut string = |key: &str| match table.remove(key) {
            Some(toml::Value::String(value)) if !value.is_empty() => Ok(value),
            _ => Err(Failure(format!("{key} is not there, or no text"))),
        };
        let (rustc, cpu) = (string("rustc")?, string("cpu")?);
        let Some(toml::Value::Table(counts)) = table.remove("instructions") else {
            return Err(Failure::new("there is no table [instructions]"));
        };
        if let Some((key, _)) = table.iter().next() {
            return Err(Failure(format!("{key} means nothing here")));
        }
        let count = |(case, value): (String, toml::Value)| match value
            .as_integer()
            .and_then(|count| u64::try_from(count).ok())
        {
            Some(count) if count > 0 => Ok((case, count)),
            _ => Err(Failure(format!("{case} is not a number above zero"))),
        };
        Ok(Self { rustc, cpu, cases: counts.into_iter().map(count).collect::<Result<_, _>>()? })
    }
}

/// The file. Names of cases are words with hyphens, and no version has a quote in it, so that nothing of it has to
/// be escaped.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions that one turn of each case in instructions.rs takes, counted by callgrind."
        )?;
        writeln!(f, "# `cargo xtask instructions` compares with it, and with --accept writes it.")?;
        writeln!(f, "rustc = \"{}\"\ncpu = \"{}\"\n\n[instructions]", self.rustc, self.cpu)?;
        self.cases.iter().try_for_each(|(case, count)| writeln!(f, "{case} = {count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "rustc = \"rustc 1.95.0 (abc 2026-03-21)\"\ncpu = \"x86_64+avx2\"\n\n[instructions]\n\
                        codec = 17587\nseal-64k = 395513\n";

    #[test]
    fn what_is_written_is_read_again() {
        let baseline: Baseline = TEXT.parse().unwrap();
        assert_eq!(baseline.rustc, "rustc 1.95.0 (abc 2026-03-21)");
        assert_eq!(baseline.cpu, "x86_64+avx2");
        assert_eq!(baseline.cases["seal-64k"], 395_513);
        assert_eq!(baseline.cases.len(), 2);
        let text = baseline.to_string();
        assert!(text.ends_with(TEXT), "{text}");
        assert_eq!(text.parse::<Baseline>().unwrap(), baseline);
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        for (from, to, why) in [
            ("codec = 17587", "codec = 0", "codec is not a number"),
            ("codec = 17587", "codec = -1", "codec is not a number"),
            ("codec = 17587", "codec = 1.5", "codec is not a number"),
            ("codec = 17587", "codec = \"1\"", "codec is not a number"),
            ("codec = 17587", "seal-64k = 1", "not TOML"),
            ("codec = 17587", "codec =", "not TOML"),
            ("[instructions]", "[other]", "no table"),
            ("rustc = ", "compiler = ", "rustc is not there"),
            ("cpu = \"x86_64+avx2\"", "cpu = 1", "cpu is not there"),
            ("cpu = ", "colour = \"red\"\ncpu = ", "colour means nothing"),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT);
            let failure = text.parse::<Baseline>().unwrap_err().0;
            assert!(failure.contains(why), "{text}\n{failure}");
        }
    }

    #[test]
    fn the_tolerance_is_the_same_in_both_directions() {
        let change = |before, now| Change::Both { before, now };
        assert!(!change(1_000, 1_030).is_worse() && change(1_000, 1_031).is_worse());
        assert!(!change(1_030, 1_000).is_better() && change(1_031, 1_000).is_better());
        assert!(change(1, u64::MAX).is_worse() && !change(u64::MAX, 1).is_worse());
        assert!(!Change::Came(1).is_worse() && !Change::Went(1).is_better());
    }

    #[test]
    fn a_line_shows_both_counts_and_by_how_much_they_differ() {
        assert_eq!(
            Change::Both { before: 1_000, now: 1_025 }.to_string(),
            "        1000        1025    +2.5 %"
        );
        assert_eq!(
            Change::Both { before: 1_000, now: 900 }.to_string(),
            "        1000         900   -10.0 %"
        );
        assert_eq!(Change::Came(900).to_string(), "           -         900");
        assert_eq!(Change::Went(900).to_string(), "         900           -");
    }
}
