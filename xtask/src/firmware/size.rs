//! `firmware size`: compares the sizes of images with their budgets.

use std::path::Path;

use argh::FromArgs;

use super::board::{self, BOARDS, Board};
use super::budget::Budget;
use super::build;
use super::footprint::{Bytes, Footprint};
use crate::environment::repo::{Failure, Repo};

/// Build the images of all boards and compare flash, static RAM and stack with firmware/budgets.toml. Fails
/// when one is over. The stack is the deepest of the last run of the emulated tests, with this very
/// image.
#[derive(FromArgs)]
#[argh(subcommand, name = "size")]
pub(crate) struct Size {
    /// only this board
    #[argh(option, from_str_fn(board::named), arg_name = "name")]
    board: Option<Board>,
    /// show sizes by crate, and the largest symbols
    #[argh(switch)]
    parts: bool,
}

/// Measures and compares.
pub(crate) fn run(repo: &Repo, size: &Size) -> Result<(), Failure> {
    let mut over = Vec::new();
    println!("{:<20} {:>17} {:>17} {:>17}   bytes, and of the budget", "", "flash", "static RAM", "stack");
    for board in size.board.as_ref().map_or(BOARDS, std::slice::from_ref) {
        let path = build::image(repo, *board)?;
        let image = std::fs::read(&path).map_err(Failure::at(path.display()))?;
        let footprint = Footprint::of(&image)?;
        let budget = Budget::of(repo, board.name)?;
        let stack = noted(&note(&path), &image);
        println!("{}", row(board.name, footprint.total, stack, budget));
        over.extend(excess(board.name, footprint.total, stack, budget));
        if size.parts {
            print!("{}{}", footprint.by_crate(), footprint.largest(12));
        }
    }
    if over.is_empty() { Ok(()) } else { Err(Failure(over.join("\n"))) }
}

fn row(name: &str, total: Bytes, stack: Option<u64>, budget: Budget) -> String {
    let part = |bytes: u64, of: u64| format!("{bytes} {:>3} %", bytes * 100 / of.max(1));
    let stack = stack.map_or_else(|| "not measured".to_owned(), |stack| part(stack, budget.stack));
    let (flash, ram) = (part(total.flash, budget.flash), part(total.ram, budget.ram));
    format!("{name:<20} {flash:>17} {ram:>17} {stack:>17}")
}

/// A message for each part that is over budget.
pub(crate) fn excess(name: &str, total: Bytes, stack: Option<u64>, budget: Budget) -> Vec<String> {
    [("flash", total.flash, budget.flash), ("static RAM", total.ram, budget.ram)]
        .into_iter()
        .chain(stack.map(|stack| ("stack", stack, budget.stack)))
        .filter(|(_, bytes, most)| bytes > most)
        .map(|(what, bytes, most)| {
            format!(
                "{name}: {bytes} bytes of {what}, {} over its budget in firmware/budgets.toml",
                bytes - most
            )
        })
        .collect()
}

/// The file with the deepest stack of an image.
fn note(image: &Path) -> std::path::PathBuf {
    image.with_extension("stack")
}

/// Records the deepest stack of this image.
pub(crate) fn note_stack(path: &Path, image: &[u8], stack: u32) -> Result<(), Failure> {
    let note = note(path);
    std::fs::write(&note, format!("{} {stack}\n", fingerprint(image))).map_err(Failure::at(note.display()))
}

/// The recorded stack, if it is of this image.
fn noted(note: &Path, image: &[u8]) -> Option<u64> {
    let text = std::fs::read_to_string(note).ok()?;
    let (of, stack) = text.trim().split_once(' ')?;
    if of == fingerprint(image) { stack.parse().ok() } else { None }
}

/// A hash that identifies the build.
fn fingerprint(image: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { flash: 100, ram: 50, stack: 10 };

    #[test]
    fn what_is_over_budget_is_named_and_what_is_not_is_not() {
        let total = Bytes { flash: 100, ram: 50 };
        assert!(excess("b", total, Some(10), BUDGET).is_empty());
        assert!(excess("b", total, None, BUDGET).is_empty());
        let over = excess("b", Bytes { flash: 101, ram: 52 }, Some(13), BUDGET);
        assert_eq!(over.len(), 3);
        assert!(over[0].starts_with("b: 101 bytes of flash, 1 over"), "{over:?}");
        assert!(over[2].starts_with("b: 13 bytes of stack, 3 over"), "{over:?}");
    }

    #[test]
    fn a_stack_counts_for_the_image_it_was_measured_with() {
        let image = std::env::temp_dir().join(format!("deaddrop-size-{}", std::process::id()));
        note_stack(&image, b"image", 42).unwrap();
        assert_eq!(noted(&note(&image), b"image"), Some(42));
        assert_eq!(noted(&note(&image), b"other"), None);
        std::fs::remove_file(note(&image)).unwrap();
        assert_eq!(noted(&note(&image), b"image"), None);
    }

    #[test]
    fn a_row_tells_parts_of_the_budget() {
        let row = row("b", Bytes { flash: 50, ram: 50 }, None, BUDGET);
        assert!(
            row.contains("50  50 %") && row.contains("50 100 %") && row.contains("not measured"),
            "{row}"
        );
    }
}
