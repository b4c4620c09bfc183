//! Unique names: `name (1).ext`, as the host names the files it saves.

use core::str;

use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer::Kind;

/// The longest part after the last dot that stays whole when a name is cut.
const EXTENSION_MAX: usize = 32;

/// `wanted`, or the first other name that is not taken, in `buffer`. What has no name is called what it is.
pub(super) fn unlike<'a>(
    wanted: &str,
    kind: Kind,
    buffer: &'a mut [u8; NAME_MAX],
    taken: impl Fn(&str) -> bool,
) -> &'a str {
    let wanted = match wanted {
        "" if kind == Kind::Message => "message",
        "" => "drop",
        wanted => wanted,
    };
    // One of as many names as there may be entries, and one more, is free.
    for n in 0..=256_u16 {
        let len = numbered(wanted, n, buffer);
        if !str::from_utf8(buffer.get(..len).unwrap_or_default()).is_ok_and(&taken) {
            return str::from_utf8(buffer.get(..len).unwrap_or_default()).unwrap_or_default();
        }
    }
    ""
}

/// Writes the `n`th other name, and says how long it is. The 0th is the name itself.
fn numbered(name: &str, n: u16, to: &mut [u8; NAME_MAX]) -> usize {
    let mut number = [0; 5];
    let number = if n == 0 { "" } else { digits(n, &mut number) };
    let (open, close) = if n == 0 { ("", "") } else { (" (", ")") };
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if n != 0 && dot > 0 && name.len() - dot <= EXTENSION_MAX => name.split_at(dot),
        _ => (name, ""),
    };
    let space = NAME_MAX - open.len() - number.len() - close.len() - extension.len();
    let stem = stem.get(..stem.floor_char_boundary(space)).unwrap_or(stem);
    let mut len = 0;
    let parts = [stem, open, number, close, extension];
    for (to, from) in to.iter_mut().zip(parts.iter().flat_map(|part| part.bytes())) {
        *to = from;
        len += 1;
    }
    len
}

fn digits(mut n: u16, to: &mut [u8; 5]) -> &str {
    let mut at = to.len();
    while n > 0 || at == to.len() {
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
    use std::vec::Vec;

    fn name(wanted: &str, kind: Kind, taken: &[&str]) -> String {
        unlike(wanted, kind, &mut [0; NAME_MAX], |name| taken.contains(&name)).into()
    }

    #[test]
    fn a_name_that_is_free_stays_as_it_is() {
        assert_eq!(name("a.jpg", Kind::File, &["b.jpg"]), "a.jpg");
        assert_eq!(name(&"é".repeat(127), Kind::File, &[]), "é".repeat(127));
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_before_its_extension() {
        assert_eq!(name("a.jpg", Kind::File, &["a.jpg"]), "a (1).jpg");
        assert_eq!(name("a.jpg", Kind::File, &["a.jpg", "a (1).jpg"]), "a (2).jpg");
        assert_eq!(name("a", Kind::File, &["a"]), "a (1)");
        assert_eq!(name(".profile", Kind::File, &[".profile"]), ".profile (1)");
        let taken: Vec<String> = (0..12).map(|n| format!("a ({n})")).collect();
        let mut taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        taken.push("a");
        assert_eq!(name("a", Kind::File, &taken), "a (12)");
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
        let long = format!("{}.jpg", "a".repeat(251));
        assert_eq!(name(&long, Kind::File, &[&long]), format!("{} (1).jpg", "a".repeat(247)));
        let long = format!("{}.jpg", "é".repeat(125));
        assert_eq!(name(&long, Kind::File, &[&long]), format!("{} (1).jpg", "é".repeat(123)));
    }

    #[test]
    fn what_has_no_name_is_called_what_it_is() {
        assert_eq!(name("", Kind::Message, &[]), "message");
        assert_eq!(name("", Kind::Message, &["message"]), "message (1)");
        assert_eq!(name("", Kind::File, &[]), "drop");
    }
}
