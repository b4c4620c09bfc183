//! What an image holds that it ought to hold little of: the allocator, panics, and the formatting of text.
//!
//! The first must not be there at all. What remains of the others is listed in `firmware/panic_allowlist.toml`, so
//! that a change that brings more is seen.

use std::collections::BTreeSet;

use super::board::Board;
use crate::environment::repo::{Failure, Repo};
use crate::noalloc::Symbols;

/// What begins the names of functions that end in a panic, or lead there.
const PANICS: &[&str] = &[
    "core::panicking::",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::result::unwrap_failed",
    "core::cell::panic_",
    "core::slice::index::slice_",
    "core::slice::copy_from_slice_impl::",
    "core::str::slice_error_fail",
    "core::num::error::",
    "__rustc::rust_begin_unwind",
];

/// The same of a method: whose, and what it is called.
const UNWRAPS: (&[&str], &[&str]) =
    (&["core::option::Option<", "core::result::Result<"], &[">::unwrap", ">::expect"]);

/// What is in the names of functions that make text of values.
const FORMATTING: &[&str] = &["core::fmt::"];

/// Fails if the image allocates, or holds panics or formatting that are not listed for the board. The note
/// says how much there is.
pub(crate) fn check(repo: &Repo, board: Board, image: &[u8]) -> Result<String, Failure> {
    let symbols = Symbols::read(image)?;
    if let Some(symbol) = symbols.allocator() {
        return Err(Failure(format!(
            "the image of {} holds {symbol}: something in it allocates",
            board.name
        )));
    }
    let found = remaining(symbols.names());
    let Some(listed) = listed(repo, board.name)? else {
        // Makers' drivers bring what they bring; the list is kept for the board that is measured.
        return Ok(format!("{} functions that panic or format, counted alone: no list is kept", found.len()));
    };
    let new: String = found.difference(&listed).map(|name| format!("    \"{name}\",\n")).collect();
    if !new.is_empty() {
        return Err(Failure(format!(
            "functions of {} that panic or format and are not in firmware/panic_allowlist.toml:\n{new}",
            board.name
        )));
    }
    // Another compiler folds them otherwise, so that some may be missing is no fault.
    Ok(format!("{} of {} known functions that panic or format", found.len(), listed.len()))
}

/// The names that are of either sort.
fn remaining<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let begins =
        |name: &str, with: &[&str]| with.iter().any(|start| name.trim_start_matches('<').starts_with(start));
    let unwraps =
        |name: &str| begins(name, UNWRAPS.0) && UNWRAPS.1.iter().any(|method| name.contains(method));
    let panics = |name: &str| begins(name, PANICS) || unwraps(name);
    let formats = |name: &str| FORMATTING.iter().any(|part| name.contains(part));
    // The compiler numbers those that it has made one of.
    let plain = |name: &'a str| match name.rsplit_once('.') {
        Some((plain, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => plain,
        _ => name,
    };
    names.map(plain).filter(|name| panics(name) || formats(name)).map(str::to_owned).collect()
}

/// What the file lists for this board, if it lists anything.
fn listed(repo: &Repo, board: &str) -> Result<Option<BTreeSet<String>>, Failure> {
    const FILE: &str = "firmware/panic_allowlist.toml";
    let text = std::fs::read_to_string(repo.root.join(FILE)).map_err(Failure::at(FILE))?;
    let table: toml::Table = text.parse().map_err(Failure::at(FILE))?;
    let names = table.get(board).and_then(toml::Value::as_array);
    Ok(names.map(|names| names.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_formatting_are_told_by_their_names() {
        let names = [
            "core::panicking::panic_fmt",
            "<core::option::Option<u8>>::unwrap",
            "core::result::unwrap_failed",
            "<core::result::Result<u8, x::Y>>::map_err",
            "<u32 as core::fmt::Display>::fmt",
            "<core::fmt::Formatter>::pad",
            "<core::fmt::Formatter>::pad.362",
            "deaddrop_core::session::server::ServerSession::poll",
            "core::ptr::drop_in_place::<x::Y>",
            "memcpy",
        ];
        let found = remaining(names.into_iter());
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(!found.contains("memcpy") && found.contains("core::panicking::panic_fmt"));
    }
}
