//! The measurements and their medians.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::Peer;
use crate::environment::repo::Failure;

/// CPU time and memory of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// Seconds of CPU time, user and system.
    pub(crate) cpu: f64,
    /// Peak memory in KiB.
    pub(crate) memory: f64,
}

impl Usage {
    /// Reads `user system KiB`, the last line that GNU time has written.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let line = text.lines().last().unwrap_or_default();
        let words: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        match words[..] {
            [user, system, memory] => Ok(Self { cpu: user + system, memory }),
            _ => Err(Failure(format!("GNU time was to write three numbers, and wrote {line:?}"))),
        }
    }
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From the receiver's start to its end.
    pub(crate) wall: Duration,
    /// Usage of the sender.
    pub(crate) sender: Usage,
    /// Usage of the receiver.
    pub(crate) receiver: Usage,
}

/// All transfers of one size.
pub(crate) struct Series {
    /// Bytes of the file.
    pub(crate) size: u64,
    runs: BTreeMap<Peer, Vec<Run>>,
}

/// Medians of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The program.
    pub(crate) peer: Peer,
    /// Seconds.
    pub(crate) wall: f64,
    /// The shortest and the longest.
    pub(crate) range: (f64, f64),
    /// Time as a part of plain socat's, run by run.
    pub(crate) to_plain: f64,
    /// Time as a part of TLS's, run by run.
    pub(crate) to_tls: f64,
    /// Seconds of processor time of the sender and of the receiver.
    pub(crate) cpu: (f64, f64),
    /// Peak memory of the larger side, in MiB.
    pub(crate) memory: f64,
}

impl Series {
    /// Of files of `size` bytes, without a transfer yet.
    pub(super) fn new(size: u64) -> Self {
        Self { size, runs: BTreeMap::new() }
    }

    /// Adds a transfer.
    pub(super) fn note(&mut self, peer: Peer, run: Run) {
        self.runs.entry(peer).or_default().push(run);
    }

    /// The medians, in the order of [`Peer::ALL`].
    pub(crate) fn rows(&self) -> Vec<Row> {
        let runs = |peer: Peer| self.runs.get(&peer).map(Vec::as_slice).unwrap_or_default();
        let rows = Peer::ALL.iter().filter(|peer| !runs(**peer).is_empty());
        rows.map(|peer| {
            let own = runs(*peer);
            let walls = || own.iter().map(|run| run.wall.as_secs_f64());
            let ratio = |base: Peer| {
                median(walls().zip(runs(base)).map(|(wall, base)| wall / base.wall.as_secs_f64()))
            };
            Row {
                peer: *peer,
                wall: median(walls()),
                range: (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max)),
                to_plain: ratio(Peer::Socat),
                to_tls: ratio(Peer::SocatTls),
                cpu: (
                    median(own.iter().map(|run| run.sender.cpu)),
                    median(own.iter().map(|run| run.receiver.cpu)),
                ),
                memory: median(own.iter().map(|run| run.sender.memory.max(run.receiver.memory))) / 1024.0,
            }
        })
        .collect()
    }
}

/// The median; 0 without values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2));
    match (low, high) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!(median(std::iter::empty()).abs() < 1e-9);
    }

    #[test]
    fn what_gnu_time_writes_is_read() {
        let usage = Usage::read("Command exited with non-zero status 130\n0.50 0.25 36864\n").unwrap();
        assert!((usage.cpu - 0.75).abs() < 1e-9 && (usage.memory - 36_864.0).abs() < 1e-9);
        assert!(Usage::read("").unwrap_err().0.contains("three numbers"));
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        let usage = Usage { cpu: 1.0, memory: 2048.0 };
        let run = |ms| Run { wall: Duration::from_millis(ms), sender: usage, receiver: usage };
        let mut series = Series::new(1);
        // The machine was slow in the second run, and the ratio is the same.
        for (plain, own) in [(100, 150), (1_000, 1_500), (100, 150)] {
            series.note(Peer::Socat, run(plain));
            series.note(Peer::Deaddrop, run(own));
        }
        let rows = series.rows();
        assert_eq!(rows.iter().map(|row| row.peer).collect::<Vec<_>>(), [Peer::Socat, Peer::Deaddrop]);
        assert!((rows[1].to_plain - 1.5).abs() < 1e-9 && (rows[1].memory - 2.0).abs() < 1e-9);
    }
}
