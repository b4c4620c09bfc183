//! What of the screen is on the terminal: the last rows there, which are painted over, and erased before anything that
//! stays.

use super::layout::{Look, Row};
use super::text::width;
use crate::ui::status::Window;

/// The end of any look.
const PLAIN: &str = "\x1b[0m";

/// The rows on the terminal.
#[derive(Default)]
pub(super) struct Frame {
    painted: Vec<Row>,
}

impl Frame {
    /// Paints these rows over those that are there. Nothing if they are the same.
    pub(super) fn paint(&mut self, rows: Vec<Row>, window: Window, colour: bool) -> Vec<u8> {
        if rows == self.painted {
            return Vec::new();
        }
        // Row after row, and each to its end, so that nothing flickers.
        let mut bytes = self.to_top(window);
        for (n, row) in rows.iter().enumerate() {
            bytes.push_str(if n > 0 { "\n" } else { "" });
            let (look, plain) = if colour { (look(row.look), PLAIN) } else { ("", "") };
            if look.is_empty() {
                bytes.push_str(&row.text);
            } else {
                bytes.extend([look, &row.text, plain]);
            }
            bytes.push_str("\x1b[K");
        }
        bytes.push_str("\x1b[J");
        self.painted = rows;
        bytes.into_bytes()
    }

    /// Erases all rows.
    pub(super) fn erase(&mut self, window: Window) -> Vec<u8> {
        if self.painted.is_empty() {
            return Vec::new();
        }
        let erased = format!("{}\x1b[J", self.to_top(window));
        self.painted.clear();
        erased.into_bytes()
    }

    /// Leaves on the terminal what is there: others have written below it.
    pub(super) fn leave(&mut self) {
        self.painted.clear();
    }

    /// Moves from the end of the last row to the start of the first.
    fn to_top(&self, window: Window) -> String {
        // A terminal that has become narrower shows a row as several.
        let columns = usize::from(window.columns.max(1));
        let rows: usize = self.painted.iter().map(|row| width(&row.text).div_ceil(columns).max(1)).sum();
        let up = if rows > 1 { format!("\x1b[{}A", rows - 1) } else { String::new() };
        format!("\r{up}")
    }
}

fn look(look: Look) -> &'static str {
    match look {
        Look::Plain => "",
        Look::Heading => "\x1b[1m",
        Look::Selected => "\x1b[7m",
        Look::Faint => "\x1b[2m",
        Look::Warning => "\x1b[33m",
        Look::Error => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Window = Window { columns: 80, rows: 24 };
    const NARROW: Window = Window { columns: 10, rows: 24 };

    fn rows(rows: &[(&str, Look)]) -> Vec<Row> {
        rows.iter().map(|(text, look)| Row { text: (*text).to_owned(), look: *look }).collect()
    }

    fn paint(frame: &mut Frame, of: &[(&str, Look)], colour: bool) -> String {
        String::from_utf8(frame.paint(rows(of), WIDE, colour)).unwrap()
    }

    #[test]
    fn rows_are_painted_over_those_before() {
        let mut frame = Frame::default();
        let (first, second) = ([("1 offer", Look::Heading), ("> a", Look::Selected)], [("no", Look::Plain)]);
        assert_eq!(
            paint(&mut frame, &first, true),
            "\r\x1b[1m1 offer\x1b[0m\x1b[K\n\x1b[7m> a\x1b[0m\x1b[K\x1b[J"
        );
        assert_eq!(paint(&mut frame, &first, true), "", "nothing has changed");
        assert_eq!(paint(&mut frame, &second, true), "\r\x1b[1Ano\x1b[K\x1b[J");
        assert_eq!(frame.erase(WIDE), b"\r\x1b[J");
        assert_eq!(frame.erase(WIDE), b"");
        paint(&mut frame, &first, true);
        frame.leave();
        assert_eq!(paint(&mut frame, &second, true), "\rno\x1b[K\x1b[J");
    }

    #[test]
    fn without_colour_nothing_but_the_cursor_is_touched() {
        use Look::{Error, Faint, Heading, Plain, Selected, Warning};
        let all = [Plain, Heading, Selected, Faint, Warning, Error].map(|look| ("text", look));
        let mut frame = Frame::default();
        let painted = paint(&mut frame, &all, false);
        assert!(!painted.contains('m'), "{painted:?}");
        assert!(paint(&mut Frame::default(), &all, true).contains("\x1b[31mtext\x1b[0m"));
    }

    #[test]
    fn a_terminal_that_has_become_narrower_is_cleared_too() {
        let mut frame = Frame::default();
        // Two rows of the terminal, one, and two: a wide character counts twice.
        paint(
            &mut frame,
            &[
                ("0123456789ab", Look::Plain),
                ("0123", Look::Plain),
                ("\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}", Look::Plain),
            ],
            false,
        );
        assert_eq!(frame.erase(NARROW), b"\r\x1b[4A\x1b[J");
    }
}
