//! Text in so many columns of a terminal. A wide character takes two, one that is put upon another none.

use std::time::Duration;

use deaddrop::text;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the rest of a text that is cut.
const CUT: char = '~';

/// A peer's or the system's words on one line: what a terminal would act on is escaped, and where it shows ASCII alone
/// all else too.
pub(super) fn shown(words: &str, utf8: bool) -> String {
    let escaped = text::line(words).to_string();
    if utf8 || escaped.is_ascii() {
        return escaped;
    }
    let ascii = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
    escaped.chars().map(ascii).collect()
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of it as fits into so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = beginning(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        kept.push(CUT);
    }
    kept
}

/// The end of a text that fits, which tells an address from others.
pub(super) fn cut_front(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let fits = |(at, _): &(usize, char)| text[*at..].width() < columns;
    let at = text.char_indices().find(fits).map_or(text.len(), |(at, _)| at);
    if columns == 0 { String::new() } else { format!("{CUT}{}", &text[at..]) }
}

/// The text in exactly so many columns, at their left.
pub(super) fn left(text: &str, columns: usize) -> String {
    let mut text = cut(text, columns);
    text.extend(std::iter::repeat_n(' ', columns.saturating_sub(text.width())));
    text
}

/// The text in exactly so many columns, at their right.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let free = columns.saturating_sub(text.width());
    format!("{}{text}", " ".repeat(free))
}

/// The text on at most so many rows, between words where it can be.
pub(super) fn wrap(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let (columns, mut rest, mut wrapped) = (columns.max(1), text.trim(), Vec::new());
    while wrapped.len() < rows && !rest.is_empty() {
        if wrapped.len() + 1 == rows {
            wrapped.push(cut(rest, columns));
            break;
        }
        let fitting = beginning(rest, columns);
        let end = match fitting.rfind(' ') {
            _ if fitting.len() == rest.len() || rest[fitting.len()..].starts_with(' ') => fitting.len(),
            Some(space) if space > 0 => space,
            // A character that is wider than the terminal stands alone all the same.
            _ => fitting.len().max(rest.chars().next().map_or(1, char::len_utf8)),
        };
        wrapped.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    wrapped
}

/// As much of a text as fits.
fn beginning(text: &str, columns: usize) -> &str {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        // The sum would be more than what characters take that belong together.
        if c.width().unwrap_or(0) > 0 && text[..at + c.len_utf8()].width() > columns {
            break;
        }
        end = at + c.len_utf8();
    }
    &text[..end]
}

/// A time that is counted down: `1:59`, `1:02:03`, `6 d 23 h`.
pub(super) fn countdown(left: Duration) -> String {
    let seconds = left.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", seconds % 60),
        (0, _) => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_the_columns_that_it_takes() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab~");
        assert_eq!((cut("abcd", 1), cut("abcd", 0)), ("~".into(), String::new()));
        // Two columns each.
        let wide = "\u{4e2d}\u{6587}\u{5b57}";
        assert_eq!((width(wide), cut(wide, 6)), (6, wide.into()));
        assert_eq!((cut(wide, 5), cut(wide, 4)), ("\u{4e2d}\u{6587}~".into(), "\u{4e2d}~".into()));
        // An accent belongs to the letter before it.
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}~");
        for columns in 0..12 {
            for text in ["abcdefghi", wide, "e\u{301}\u{4e2d}e\u{301}x\u{4e2d}yz"] {
                assert!(width(&cut(text, columns)) <= columns, "{text} {columns}");
                assert!(width(&cut_front(text, columns)) <= columns, "{text} {columns}");
                assert_eq!(width(&left(text, columns)), columns, "{text}");
                assert_eq!(width(&right(text, columns)), columns, "{text}");
                for rows in 0..4 {
                    let wrapped = wrap(text, columns.max(2), rows);
                    assert!(wrapped.len() <= rows && wrapped.iter().all(|row| width(row) <= columns.max(2)));
                }
            }
        }
        assert_eq!(cut_front("fe80::1%eth0", 8), "~:1%eth0");
    }

    #[test]
    fn a_text_is_wrapped_between_words() {
        assert_eq!(wrap("to be or not to be", 8, 9), ["to be or", "not to", "be"]);
        assert_eq!(wrap("to be or not to be", 8, 2), ["to be or", "not to ~"]);
        assert_eq!(wrap("/a/very/long/path x", 7, 9), ["/a/very", "/long/p", "ath x"]);
        assert_eq!(wrap("", 7, 9), [""; 0]);
    }

    #[test]
    fn words_of_others_are_escaped_for_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}\u{e9}", true), "a\\u{1b}[2J\\u{202e}\u{e9}");
        assert_eq!(shown("a\u{1b}[2J\u{e9}\u{4e2d}", false), r"a\u{1b}[2J\u{e9}\u{4e2d}");
    }

    #[test]
    fn a_time_is_short() {
        let times = [0, 59, 60, 119, 3_599, 3_600, 86_399, 86_400, 604_799];
        assert_eq!(
            times.map(|seconds| countdown(Duration::from_secs(seconds))),
            ["0:00", "0:59", "1:00", "1:59", "59:59", "1:00:00", "23:59:59", "1 d 0 h", "6 d 23 h"]
        );
    }
}
