//! Checks an image for the allocator, for panics and for text formatting.
//!
//! The allocator must not be there. The panics and formatting that remain are listed in
//! `firmware/panic_allowlist.toml`, so that a change that adds one fails.

use std::collections::BTreeSet;

use super::board::Board;
use crate::environment::repo::{Failure, Repo};
use crate::noalloc::Symbols;

/// Prefixes of functions that panic or lead to a panic.
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

/// The same for methods: prefixes of the type, and parts of the method.
const UNWRAPS: (&[&str], &[&str]) =
    (&["core::option::Option<", "core::result::Result<"], &[">::unwrap", ">::expect"]);

/// Parts of the names of functions that format values as text.
const FORMATTING: &[&str] = &["core::fmt::"];

/// Fails if the image has an allocator, or panics or formatting that are not listed for the board. The note
/// has their number.
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
        // Vendors' drivers panic and format as they like; only the measured board has a list.
        return Ok(format!("{} functions that panic or format, counted alone: no list is kept", found.len()));
    };
    let new: String = found.difference(&listed).map(|name| format!("    \"{name}\",\n")).collect();
    if !new.is_empty() {
        return Err(Failure(format!(
            "functions of {} that panic or format and are not in firmware/panic_allowlist.toml:\n{new}",
            board.name
        )));
    }
    // Another compiler merges other functions, so that fewer than listed is no failure.
    Ok(format!("{} of {} known functions that panic or format", found.len(), listed.len()))
}

/// The names of functions that panic or format.
fn remaining<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let begins =
        |name: &str, with: &[&str]| with.iter().any(|start| name.trim_start_matches('<').starts_with(start));
    let unwraps =
        |name: &str| begins(name, UNWRAPS.0) && UNWRAPS.1.iter().any(|method| name.contains(method));
    let panics = |name: &str| begins(name, PANICS) || unwraps(name);
    let formats = |name: &str| FORMATTING.iter().any(|part| name.contains(part));
    // The compiler numbers copies of one function.
    let plain = |name: &'a str| match name.rsplit_once('.') {
        Some((plain, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => plain,
        _ => name,
    };
    names.map(plain).filter(|name| panics(name) || formats(name)).map(str::to_owned).collect()
}

/// The list of this board, if it has one.
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
