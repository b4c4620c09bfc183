//! Text shown to users, the same in every front end: peers' text escaped, byte counts and durations.
//!
//! A terminal executes control characters, and bidirectional marks reorder text ("Trojan Source"). Both are
//! escaped, as `\u{1b}`, and bytes that are not UTF-8 as `\xff`.

use core::fmt::{self, Write};
use core::time::Duration;

/// Whether a terminal or text layout interprets this character instead of printing it: control characters,
/// line and paragraph separators, and bidirectional controls.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether this character is invisible (zero width).
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Bytes that display as escaped text. Made by [`line()`] and [`lines()`].
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    /// Replacement of a line feed; `None` escapes line feeds and tabs.
    line_end: Option<&'static str>,
}

/// Escapes a text to one line.
pub const fn line(text: &str) -> Escaped<'_> {
    Escaped { bytes: text.as_bytes(), line_end: None }
}

/// Escapes bytes and keeps tabs and line feeds. A line feed becomes `line_end`: `"\n"` on a system's
/// terminal, `"\r\n"` on a serial line.
pub const fn lines<'a>(bytes: &'a [u8], line_end: &'static str) -> Escaped<'a> {
    Escaped { bytes, line_end: Some(line_end) }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match (c, self.line_end) {
                    ('\n', Some(line_end)) => f.write_str(line_end)?,
                    ('\t', Some(_)) => f.write_char(c)?,
                    (c, _) if is_control(c) || is_invisible(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    (c, _) => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Number of bytes at the end of a chunk that may be an incomplete UTF-8 character, continued in the next
/// chunk.
pub fn unfinished(piece: &[u8]) -> usize {
    for (behind, byte) in piece.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if needed > behind + 1 { behind + 1 } else { 0 };
    }
    0
}

/// Formats a number of bytes: `1 byte`, `12 bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "byte" } else { "bytes" })
    }
}

/// Formats a duration in its largest fitting unit, rounded down: `90 s`, `20 min`, `11 h`, `3 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.0.as_secs() {
            seconds @ 0..=600 => (seconds, "s"),
            seconds @ 601..=36_000 => (seconds / 60, "min"),
            seconds @ 36_001..=259_200 => (seconds / 3_600, "h"),
            seconds => (seconds / 86_400, "days"),
        };
        write!(f, "{count} {unit}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::{String, ToString};

    #[test]
    fn no_escape_sequence_reaches_a_terminal() {
        assert_eq!(line("\x1b[2J\x1b]0;pwned\x07").to_string(), r"\u{1b}[2J\u{1b}]0;pwned\u{7}");
        assert_eq!(line("a\r\u{9b}31m\u{8}\u{7f}").to_string(), r"a\u{d}\u{9b}31m\u{8}\u{7f}");
        assert_eq!(line("a\nb\tc").to_string(), r"a\u{a}b\u{9}c");
        assert_eq!(lines(b"a\nb\tc\r\n\x1b[1m", "\r\n").to_string(), "a\r\nb\tc\\u{d}\r\n\\u{1b}[1m");
        assert_eq!(lines(b"a\nb\tc\r\n\x1b[1m", "\n").to_string(), "a\nb\tc\\u{d}\n\\u{1b}[1m");
        for c in (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32) {
            assert!(line(&c.to_string()).to_string().starts_with("\\u{"), "{c:?}");
        }
    }

    #[test]
    fn bidirectional_and_invisible_characters_are_escaped() {
        let marks = (0x202a..=0x202e).chain(0x2066..=0x2069).chain([
            0x61c, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x2060, 0xfeff, 0xad, 0x3164,
            0xe0041,
        ]);
        for c in marks.filter_map(char::from_u32) {
            assert_eq!(line(&format!("a{c}b")).to_string(), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
    }

    #[test]
    fn invalid_utf8_is_escaped_and_valid_text_is_kept() {
        assert_eq!(lines(b"ok\xff\xc3(\xe2\x82", "\n").to_string(), r"ok\xff\xc3(\xe2\x82");
        for text in ["plain", "naïve 中文 العربية", r"C:\x", "🎉️", "e\u{301}"] {
            assert_eq!(line(text).to_string(), text);
        }
    }

    /// Escaping in chunks gives the same text as escaping at once.
    #[test]
    fn chunks_never_split_a_character() {
        let text = [
            &b"a\xff"[..],
            "é中🎉".as_bytes(),
            b"\xe2\x82\xf0\x9f",
            "🎉\n".as_bytes(),
            b"\x80\x80\x80\x80\xc3",
        ]
        .concat();
        for size in 4..12 {
            let (mut rest, mut shown) = (&text[..], String::new());
            while !rest.is_empty() {
                let piece = &rest[..size.min(rest.len())];
                let tail = if piece.len() < rest.len() { unfinished(piece) } else { 0 };
                let piece = &piece[..piece.len() - tail];
                shown += &lines(piece, "\n").to_string();
                rest = &rest[piece.len()..];
            }
            assert_eq!(shown, lines(&text, "\n").to_string(), "{size}");
        }
    }

    #[test]
    fn counts_and_spans_have_their_units() {
        assert_eq!([0, 1, 2].map(|n| Bytes(n).to_string()), ["0 bytes", "1 byte", "2 bytes"]);
        for (seconds, text) in [
            (0, "0 s"),
            (600, "600 s"),
            (601, "10 min"),
            (36_000, "600 min"),
            (36_001, "10 h"),
            (259_200, "72 h"),
            (259_201, "3 days"),
            (604_800, "7 days"),
        ] {
            assert_eq!(Span(Duration::from_millis(seconds * 1_000 + 999)).to_string(), text);
        }
    }
}
