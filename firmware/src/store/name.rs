//! Unique names in the store.

use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer::{Kind, numbered};

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
    // Of one name more than the store may have entries, one is free.
    let free = (0..=256).find(|n| !taken(numbered(wanted, *n, buffer)));
    free.map_or("", |n| numbered(wanted, n, buffer))
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
    }

    #[test]
    fn a_name_that_is_taken_gets_the_first_free_number() {
        assert_eq!(name("a.jpg", Kind::File, &["a.jpg"]), "a (1).jpg");
        assert_eq!(name("a.jpg", Kind::File, &["a.jpg", "a (1).jpg"]), "a (2).jpg");
        let taken: Vec<String> = (0..12).map(|n| format!("a ({n})")).collect();
        let mut taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        taken.push("a");
        assert_eq!(name("a", Kind::File, &taken), "a (12)");
    }

    #[test]
    fn what_has_no_name_is_called_what_it_is() {
        assert_eq!(name("", Kind::Message, &[]), "message");
        assert_eq!(name("", Kind::Message, &["message"]), "message (1)");
        assert_eq!(name("", Kind::File, &[]), "drop");
    }
}
