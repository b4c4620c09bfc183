//! One line that shows how far a transfer has come. indicatif computes rate and time left and lays the line out; it never
//! writes to the terminal itself, because a terminal that is stopped with Ctrl-S would then stop the transfer too.

use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{
    DecimalBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};

use super::human::Files;
use super::progress::Progress;

/// From this many columns on a line has a bar and a rate.
const WIDE: u16 = 60;
/// So many columns stay free: for the `^C` that a terminal echoes, which would begin another row otherwise, and the last
/// one, after which a terminal may be on the next row already.
const FREE: u16 = 3;
/// So many columns of a line with a bar are for other things than the receiver's address: both sizes, rate and time left.
const WIDE_REST: usize = 50;
/// The same of a line without a bar.
const NARROW_REST: usize = 16;
/// With fewer columns than these an address says nothing.
const ADDRESS_MIN: usize = 8;
const WIDE_LINE: &str = "{prefix}[{wide_bar}] {decimal_bytes} of {decimal_total_bytes}{rate}{left}{msg}";
const NARROW_LINE: &str = "{prefix}{percent}%{left}{msg}";

/// A longer time than this is not worth telling.
const LEFT_MAX: Duration = Duration::from_secs(99 * 3600);

/// The line of one transfer.
pub(super) struct Bar {
    bar: ProgressBar,
    canvas: Canvas,
    /// The receiver's address, if there may be several, and a space.
    prefix: String,
}

impl Bar {
    /// Of a transfer of `size` bytes, which goes on from here.
    pub(super) fn new(size: u64, progress: &Progress) -> Self {
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like(Box::new(canvas.clone()));
        let bar = ProgressBar::with_draw_target(Some(size), target);
        // The rate is that of this transfer. What comes before a step back does not count.
        bar.set_position(progress.stored.saturating_add(1));
        bar.tick();
        bar.set_position(progress.stored);
        bar.tick();
        let prefix = progress.by.map(|by| format!("{by} ")).unwrap_or_default();
        Self { bar, canvas, prefix }
    }

    /// The line, in ASCII. It leaves columns free on the terminal.
    pub(super) fn line(&self, progress: &Progress, columns: u16) -> String {
        let free = usize::from(columns.saturating_sub(FREE));
        let wide = columns >= WIDE && free >= self.prefix.len() + WIDE_REST;
        let template = if wide { WIDE_LINE } else { NARROW_LINE };
        let room = free.saturating_sub(if wide { WIDE_REST } else { NARROW_REST });
        self.bar.set_prefix(shortened(&self.prefix, room));
        let columns = columns.saturating_sub(FREE).max(1);
        self.canvas.with(|canvas| canvas.columns = columns);
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.progress_chars("=> ").with_key("rate", rate).with_key("left", left);
            self.bar.set_style(style);
        }
        if let Some(files) = progress.files {
            self.bar.set_message(format!(", {}", Files(files)));
        }
        self.bar.set_position(progress.stored);
        self.bar.tick();
        let line = self.canvas.with(|canvas| std::mem::take(&mut canvas.line));
        line.trim().chars().take(columns.into()).collect()
    }
}

/// An address in so many columns. Its end tells it from others.
fn shortened(address: &str, columns: usize) -> String {
    match address.len().checked_sub(columns) {
        None | Some(0) => address.to_owned(),
        Some(_) if columns < ADDRESS_MIN => String::new(),
        Some(over) => format!("~{}", address.get(over + 1..).unwrap_or_default()),
    }
}

/// How fast it goes, once that is known.
fn rate(state: &ProgressState, to: &mut dyn Write) {
    if state.per_sec() >= 1.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1; it saturates"
        )]
        let rate = DecimalBytes(state.per_sec() as u64);
        // Writing into memory does not fail.
        let _ = write!(to, ", {rate}/s");
    }
}

/// The time left at that rate.
fn left(state: &ProgressState, to: &mut dyn Write) {
    if state.per_sec() >= 1.0 && state.eta() <= LEFT_MAX {
        // Writing into memory does not fail.
        let _ = write!(to, ", {:#} left", HumanDuration(state.eta()));
    }
}

/// What indicatif takes for a terminal of one line.
#[derive(Clone, Debug, Default)]
struct Canvas(Arc<Mutex<Drawn>>);

#[derive(Debug, Default)]
struct Drawn {
    columns: u16,
    /// What is being written.
    text: String,
    /// The last line that was written whole.
    line: String,
}

impl Canvas {
    fn with<T>(&self, act: impl FnOnce(&mut Drawn) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        // Before a line is asked for there is no width: any will do.
        self.with(|canvas| if canvas.columns == 0 { 80 } else { canvas.columns })
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.with(|canvas| canvas.text.push_str(text));
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.with(|canvas| canvas.text.clear());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|canvas| canvas.line = std::mem::take(&mut canvas.text));
        Ok(())
    }

    // There is one line, and each is written from its start.
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
}
