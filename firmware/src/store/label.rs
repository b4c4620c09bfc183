//! The beginning of a name, short enough to be copied into events.

use heapless::String;

/// Bytes of a name that a label keeps.
const LABEL_MAX: usize = 44;

/// The beginning of a name, for a line on the console. A peer may have chosen it: escape it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    text: String<LABEL_MAX, u8>,
    cut: bool,
}

impl Label {
    /// As much of `name` as a label keeps.
    pub fn of(name: &str) -> Self {
        let kept = name.get(..name.floor_char_boundary(LABEL_MAX)).unwrap_or_default();
        Self { text: String::try_from(kept).unwrap_or_default(), cut: kept.len() < name.len() }
    }

    /// The beginning of the name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the name goes on.
    pub const fn is_cut(&self) -> bool {
        self.cut
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        for (name, kept) in [
            (std::string::String::new(), 0),
            ("a".repeat(44), 44),
            ("a".repeat(45), 44),
            (std::format!("a{}", "é".repeat(30)), 43),
        ] {
            let label = Label::of(&name);
            assert_eq!(label.as_str().len(), kept);
            assert!(name.starts_with(label.as_str()));
            assert_eq!(label.is_cut(), kept < name.len());
        }
    }
}
