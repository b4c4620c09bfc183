//! The last lines of a terminal: one for each transfer that takes longer. They are erased before anything else is written,
//! and painted again after it.

use std::time::{Duration, Instant};

use super::bar::Bar;
use super::progress::Progress;
use crate::platform::window_of_stderr;

/// A transfer that ends sooner than this shows no line.
const AFTER: Duration = Duration::from_millis(500);
/// At most so many lines, the last of which then counts the others.
const LINES_MAX: u16 = 10;

/// The size of a terminal.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// The lines, and what of them is on the terminal.
#[derive(Default)]
pub(super) struct Status {
    transfers: Vec<Transfer>,
    /// The lengths of the lines on the terminal.
    painted: Vec<usize>,
}

struct Transfer {
    id: u32,
    since: Instant,
    bar: Bar,
}

impl Window {
    /// Of standard error. A terminal that does not know its size is taken for one of the usual size.
    pub(super) fn of_stderr() -> Self {
        let (columns, rows) = window_of_stderr().unwrap_or_default();
        let known = |value: u16, usual| if value == 0 { usual } else { value };
        Self { columns: known(columns, 80), rows: known(rows, 24) }
    }
}

impl Status {
    /// Moves to where the lines begin and erases all from there. Nothing if no line is there.
    pub(super) fn erase(&mut self, window: Window) -> Vec<u8> {
        if self.painted.is_empty() {
            return Vec::new();
        }
        // A terminal that has become narrower shows a line on several rows.
        let columns = usize::from(window.columns.max(1));
        let rows: usize = self.painted.iter().map(|length| length.div_ceil(columns).max(1)).sum();
        self.painted.clear();
        let up = if rows > 1 { format!("\x1b[{}A", rows - 1) } else { String::new() };
        format!("\r{up}\x1b[J").into_bytes()
    }

    /// Leaves on the terminal what is there. In the background others write below it, and to erase it would erase that.
    pub(super) fn leave(&mut self) {
        self.painted.clear();
    }

    /// Forgets all transfers.
    pub(super) fn end(&mut self) {
        self.transfers.clear();
    }

    /// Replaces the lines by those of these transfers of a drop of `size` bytes.
    pub(super) fn paint(
        &mut self,
        now: Instant,
        size: u64,
        transfers: &[Progress],
        window: Window,
    ) -> Vec<u8> {
        let mut bytes = self.erase(window);
        let lines = self.lines(now, size, transfers, window);
        self.painted = lines.iter().map(String::len).collect();
        bytes.extend_from_slice(lines.join("\n").as_bytes());
        bytes
    }

    /// The lines of these transfers of a drop of `size` bytes.
    pub(super) fn lines(
        &mut self,
        now: Instant,
        size: u64,
        transfers: &[Progress],
        window: Window,
    ) -> Vec<String> {
        self.transfers.retain(|known| transfers.iter().any(|transfer| transfer.id == known.id));
        let mut lines = Vec::new();
        for progress in transfers {
            match self.transfers.iter().find(|known| known.id == progress.id) {
                Some(known) if now >= known.since + AFTER => {
                    lines.push(known.bar.line(progress, window.columns));
                }
                Some(_) => {}
                None => {
                    let bar = Bar::new(size, progress);
                    self.transfers.push(Transfer { id: progress.id, since: now, bar });
                }
            }
        }
        let most = usize::from(window.rows.saturating_sub(1).clamp(1, LINES_MAX));
        if lines.len() > most {
            let more = lines.len() - (most - 1);
            lines.truncate(most - 1);
            lines.push(
                format!("and {more} more")
                    .chars()
                    .take(usize::from(window.columns.saturating_sub(1)))
                    .collect(),
            );
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SIZE: u64 = 1_000_000_000_000;
    const STORED: u64 = 750_000_000_000;

    fn at_sender(count: u8) -> Vec<Progress> {
        let by = |id| Some(Ipv4Addr::new(192, 168, 100, 100 + id).into());
        (0..count).map(|id| Progress { id: id.into(), by: by(id), stored: STORED, files: None }).collect()
    }

    /// What is painted of these transfers once they have gone on for a while, without the erasing before it.
    fn painted(transfers: &[Progress], columns: u16, rows: u16) -> Vec<String> {
        let (mut status, window, now) = (Status::default(), Window { columns, rows }, Instant::now());
        assert_eq!(status.paint(now, SIZE, transfers, window), b"");
        assert_eq!(status.paint(now + AFTER - Duration::from_millis(1), SIZE, transfers, window), b"");
        let bytes = status.paint(now + AFTER, SIZE, transfers, window);
        String::from_utf8(bytes).unwrap().split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn a_line_fits_every_terminal() {
        let at_receiver = [Progress { id: 0, by: None, stored: 999_999_999_999, files: Some(4_000_000_000) }];
        for columns in [1, 2, 10, 39, 40, 59, 60, 61, 80, 200] {
            for transfers in [&at_receiver[..], &at_sender(3)] {
                for line in painted(transfers, columns, 24) {
                    assert!(line.len() + 3 <= usize::from(columns.max(4)), "{columns}: {line:?}");
                    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_says_who_how_much_and_how_many_files() {
        let [line] = &painted(&at_sender(1), 80, 24)[..] else { panic!() };
        assert!(line.starts_with("192.168.100.100 [=") && line.ends_with("] 750.00 GB of 1.00 TB"), "{line}");
        assert_eq!(painted(&at_sender(1), 40, 24), ["192.168.100.100 75%"]);
        assert_eq!(
            painted(&at_sender(1), 60, 24),
            ["192.168.100.100 75%"],
            "rather than a number that is cut"
        );
        let by = Some("2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap());
        let far = [Progress { id: 0, by, stored: STORED, files: None }];
        let line = |columns| painted(&far, columns, 24).remove(0);
        assert_eq!(line(80), "2001:db8:1234:5678:9abc:def0:1234:5678 75%");
        assert_eq!(line(40), "~9abc:def0:1234:5678 75%");
        assert_eq!(line(20), "75%");
        let half = [Progress { id: 0, by: None, stored: SIZE / 2, files: Some(1) }];
        let [line] = &painted(&half, 80, 24)[..] else { panic!() };
        assert!(line.starts_with("[=") && line.ends_with("] 500.00 GB of 1.00 TB, 1 file"), "{line}");
        assert_eq!(painted(&half, 40, 24), ["50%, 1 file"]);
    }

    #[test]
    fn no_more_lines_than_the_terminal_has() {
        let lines = painted(&at_sender(12), 80, 24);
        assert_eq!((lines.len(), &*lines[9]), (10, "and 3 more"));
        let lines = painted(&at_sender(12), 80, 4);
        assert_eq!((lines.len(), &*lines[2]), (3, "and 10 more"));
        assert_eq!(painted(&at_sender(2), 80, 1), ["and 2 more"]);
    }

    #[test]
    fn what_was_painted_is_erased_once() {
        let (mut status, now) = (Status::default(), Instant::now());
        let (wide, narrow) = (Window { columns: 80, rows: 24 }, Window { columns: 40, rows: 24 });
        let transfers = at_sender(2);
        status.paint(now, SIZE, &transfers, wide);
        status.paint(now + AFTER, SIZE, &transfers, wide);
        assert_eq!(status.erase(wide), b"\r\x1b[1A\x1b[J");
        assert_eq!(status.erase(wide), b"");
        // On a terminal that has become narrower each of them has two rows.
        status.paint(now + AFTER, SIZE, &transfers, wide);
        assert_eq!(status.erase(narrow), b"\r\x1b[3A\x1b[J");
    }
}
