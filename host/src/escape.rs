//! A peer's words, made harmless for a terminal.
//!
//! A terminal obeys control characters, and directional marks make a text read as another. Both are
//! shown as what they are, `\u{1b}`, and bytes that are no text as `\xff`.

use std::fmt::{self, Write};

/// Whether a terminal or a text layout obeys this character instead of showing it: the controls, line
/// and paragraph separators, and the directional overrides.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether this character takes part in a text without being seen.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Bytes as text that can be shown. Made by [`line()`] and [`lines()`].
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    keep_lines: bool,
}

/// A text on one line.
pub fn line(text: &str) -> Escaped<'_> {
    Escaped { bytes: text.as_bytes(), keep_lines: false }
}

/// Any bytes, with their line ends and tabs kept.
pub fn lines(bytes: &[u8]) -> Escaped<'_> {
    Escaped { bytes, keep_lines: true }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if self.keep_lines && matches!(c, '\n' | '\t') {
                    f.write_char(c)?;
                } else if is_control(c) || is_invisible(c) {
                    write!(f, "\\u{{{:x}}}", u32::from(c))?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_reaches_a_terminal() {
        assert_eq!(line("\x1b[2J\x1b]0;pwned\x07").to_string(), r"\u{1b}[2J\u{1b}]0;pwned\u{7}");
        assert_eq!(line("a\r\u{9b}31m\u{8}\u{7f}").to_string(), r"a\u{d}\u{9b}31m\u{8}\u{7f}");
        assert_eq!(line("a\nb\tc").to_string(), r"a\u{a}b\u{9}c");
        assert_eq!(lines(b"a\nb\tc\r\n\x1b[1m").to_string(), "a\nb\tc\\u{d}\n\\u{1b}[1m");
    }

    #[test]
    fn every_control_is_caught() {
        for c in (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32) {
            assert!(line(&c.to_string()).to_string().starts_with("\\u{"), "{c:?}");
        }
    }

    #[test]
    fn nothing_hides_or_turns_a_text_around() {
        let marks = (0x202a..=0x202e).chain(0x2066..=0x2069).chain([
            0x61c, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x2060, 0xfeff, 0xad, 0x3164,
            0xe0041,
        ]);
        for c in marks.filter_map(char::from_u32) {
            let shown = line(&format!("a{c}b")).to_string();
            assert_eq!(shown, format!("a\\u{{{:x}}}b", u32::from(c)));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(lines(b"ok\xff\xc3(\xe2\x82").to_string(), r"ok\xff\xc3(\xe2\x82");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["plain", "naïve 中文 العربية", r"C:\x", "🎉️", "e\u{301}"] {
            assert_eq!(line(text).to_string(), text);
        }
    }
}
