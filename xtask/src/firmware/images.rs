//! Checks all images: within budget, no allocator, no panic or formatting that the allowlist lacks.

use super::board::BOARDS;
use super::budget::Budget;
use super::footprint::Footprint;
use super::{build, panic_allowlist, size};
use crate::environment::repo::{Failure, Repo};

/// Builds and checks every image. The note has their sizes.
pub(crate) fn prove(repo: &Repo) -> Result<String, Failure> {
    let (mut notes, mut failures) = (Vec::new(), Vec::new());
    for board in BOARDS {
        let path = build::image(repo, *board)?;
        let image = std::fs::read(&path).map_err(Failure::at(path.display()))?;
        let total = Footprint::of(&image)?.total;
        failures.extend(size::excess(board.name, total, None, Budget::of(repo, board.name)?));
        match panic_allowlist::check(repo, *board, &image) {
            Ok(note) => notes.push(format!("{} {} KiB, {note}", board.name, total.flash / 1024)),
            Err(failure) => failures.push(failure.0),
        }
    }
    if failures.is_empty() { Ok(notes.join("; ")) } else { Err(Failure(failures.join("\n"))) }
}
