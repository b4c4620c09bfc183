//! The figures as a document.

use std::fmt::Write;
use std::fs;

use super::figures::Series;
use super::plot;
use crate::environment::repo::{Failure, Repo, captured};

/// The document, and the plot it shows.
const DOCUMENT: &str = "host/docs/performance.md";
const PLOT: &str = "host/docs/performance.svg";
/// The lines between which the document is generated; the rest is written by hand.
const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->\n";

/// One table for each size.
pub(super) fn tables(series: &[Series]) -> String {
    let mut text = String::new();
    for series in series {
        // Writing to a string does not fail.
        let _ = writeln!(text, "### {}\n", size(series.size));
        text.push_str(
            "| | sealed with | time, s | shortest, longest | of plain socat | of socat TLS | CPU s, sender | \
             CPU s, receiver | peak MiB |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in series.rows() {
            let _ = writeln!(
                text,
                "| {} | {} | {:.3} | {:.3}, {:.3} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} |",
                row.peer.name(),
                row.peer.cipher(),
                row.wall,
                row.range.0,
                row.range.1,
                row.to_plain,
                row.to_tls,
                row.cpu.0,
                row.cpu.1,
                row.memory
            );
        }
        text.push('\n');
    }
    text
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        _ if bytes != 0 && bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes != 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{bytes} bytes"),
    }
}

/// Puts the figures into the document, and draws the plot.
pub(super) fn write(repo: &Repo, series: &[Series], runs: usize) -> Result<(), Failure> {
    let path = repo.root.join(DOCUMENT);
    let document = fs::read_to_string(&path).map_err(Failure::at(DOCUMENT))?;
    let command = command(runs, series.iter().map(|series| series.size));
    let figures = format!("Medians of {runs}, by `{command}`, on {}.\n\n{}", machine(repo), tables(series));
    let document = replaced(&document, &figures)?;
    fs::write(&path, document).map_err(Failure::at(DOCUMENT))?;
    fs::write(repo.root.join(PLOT), plot::draw(series)).map_err(Failure::at(PLOT))?;
    println!("written: {DOCUMENT}, {PLOT}");
    Ok(())
}

/// The command that measures again.
fn command(runs: usize, sizes: impl Iterator<Item = u64>) -> String {
    let sizes: String = sizes.map(|size| format!(" --size {size}")).collect();
    format!("cargo xtask bench --transfers-only --write --runs {runs}{sizes}")
}

/// The document with other figures in it.
fn replaced(document: &str, figures: &str) -> Result<String, Failure> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) =
        parts.ok_or_else(|| Failure(format!("{DOCUMENT} has no place for figures: {BEGIN}{END}")))?;
    Ok(format!("{before}{BEGIN}{figures}{END}{after}"))
}

/// The machine: ratios carry over to other machines, absolute figures do not.
fn machine(repo: &Repo) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = captured(repo.program("uname").arg("-r")).unwrap_or_default();
    let release = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let wide = if field("flags").is_some_and(|flags| flags.contains("avx512f")) { ", AVX-512" } else { "" };
    format!(
        "{cores} cores of {}{wide}, Linux {release}",
        field("model name").unwrap_or_else(|| "unknown".to_owned())
    )
}

#[cfg(test)]
mod tests {
    use argh::FromArgs;

    use super::super::Bench;
    use super::*;

    #[test]
    fn sizes_are_said_as_people_do() {
        let said = [0, 1, 5, 1 << 20, 100 << 20, 1 << 30].map(size);
        assert_eq!(said, ["0 bytes", "1 byte", "5 bytes", "1 MiB", "100 MiB", "1 GiB"]);
    }

    #[test]
    fn the_command_is_one_that_we_take() {
        let command = command(3, [1, 5].into_iter());
        let words: Vec<_> = command.strip_prefix("cargo xtask bench ").unwrap().split(' ').collect();
        let bench = Bench::from_args(&["bench"], &words).unwrap();
        assert!(bench.runs == 3 && bench.size == [1, 5] && bench.write && bench.transfers_only);
    }

    #[test]
    fn only_the_figures_are_replaced() {
        let document = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replaced(&document, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert!(replaced("nothing", "new").is_err());
    }

    #[test]
    fn the_document_has_a_place_for_figures() {
        let document = fs::read_to_string(Repo::here().root.join(DOCUMENT)).unwrap();
        assert!(replaced(&document, "").is_ok());
    }
}
