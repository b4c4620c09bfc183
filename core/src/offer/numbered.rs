//! The other names of a drop whose own is taken: `name (1).ext`.

use core::str;

use crate::limits::NAME_MAX;

/// The longest part after the last dot that stays whole when a name is cut.
const EXTENSION_MAX: usize = 32;
/// Digits of the largest number.
const DIGITS_MAX: usize = 5;

/// Writes the `n`th other name into `buffer`. The 0th is the name itself. One that would be longer than
/// [`NAME_MAX`] is cut between characters, and keeps its extension.
pub fn numbered<'a>(name: &str, n: u16, buffer: &'a mut [u8; NAME_MAX]) -> &'a str {
    let mut number = [0; DIGITS_MAX];
    let (open, number, close) = if n == 0 { ("", "", "") } else { (" (", digits(n, &mut number), ")") };
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION_MAX => name.split_at(dot),
        _ => (name, ""),
    };
    let space = NAME_MAX - open.len() - number.len() - close.len() - extension.len();
    let stem = stem.get(..stem.floor_char_boundary(space)).unwrap_or(stem);
    let mut len = 0;
    let parts = [stem, open, number, close, extension];
    for (to, from) in buffer.iter_mut().zip(parts.iter().flat_map(|part| part.bytes())) {
        *to = from;
        len += 1;
    }
    // Whole strings were written, so this is UTF-8.
    buffer.get(..len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
}

fn digits(mut n: u16, to: &mut [u8; DIGITS_MAX]) -> &str {
    let mut at = to.len();
    while n > 0 {
        at -= 1;
        if let (Some(digit), Ok(value)) = (to.get_mut(at), u8::try_from(n % 10)) {
            *digit = b'0' + value;
        }
        n /= 10;
    }
    to.get(at..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::String;

    fn name(name: &str, n: u16) -> String {
        numbered(name, n, &mut [0; NAME_MAX]).into()
    }

    #[test]
    fn the_number_goes_before_the_extension() {
        assert_eq!(name("a.jpg", 0), "a.jpg");
        assert_eq!(name("a.jpg", 1), "a (1).jpg");
        assert_eq!(name("a", 12), "a (12)");
        assert_eq!(name(".profile", 1), ".profile (1)");
        assert_eq!(name("a.tar.gz", 65_535), "a.tar (65535).gz");
        assert_eq!(name(&format!("a.{}", "b".repeat(40)), 1), format!("a.{} (1)", "b".repeat(40)));
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
        let long = format!("{}.jpg", "a".repeat(251));
        assert_eq!(name(&long, 0), long);
        assert_eq!(name(&long, 1), format!("{} (1).jpg", "a".repeat(247)));
        assert_eq!(name(&format!("{}.jpg", "é".repeat(125)), 1), format!("{} (1).jpg", "é".repeat(123)));
        assert_eq!(name(&format!("{}.jpg", "é".repeat(200)), 0), format!("{}.jpg", "é".repeat(125)));
        assert_eq!(name(&"é".repeat(127), 0), "é".repeat(127));
        assert_eq!(name(&"é".repeat(200), 65_535).len(), 254);
    }
}
