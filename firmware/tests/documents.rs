//! The documents of this directory against the code that they describe.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

fn board_mains() -> Vec<(String, String)> {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let entries = fs::read_dir(boards).unwrap().map(|entry| entry.unwrap());
    let mains: Vec<_> = entries
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("src/main.rs")).ok()?;
            Some((entry.file_name().into_string().unwrap(), text))
        })
        .collect();
    assert!(mains.len() >= 5, "{} boards", mains.len());
    mains
}

const BOARDS: &str = include_str!("../docs/boards.md");

#[test]
fn the_document_says_how_long_a_board_is() {
    let mains = board_mains();
    let lines = || mains.iter().map(|(_, text)| text.lines().count());
    let said = format!("between {} and {} lines", lines().min().unwrap(), lines().max().unwrap());
    assert!(BOARDS.contains(&said), "docs/boards.md, \"Another board\", has to say: {said}");
}

#[test]
fn the_document_lists_every_board() {
    for (name, _) in board_mains() {
        assert!(BOARDS.contains(&format!("| `{name}`")), "docs/boards.md has no row for {name}");
    }
}
