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
const WIDE_LINE: &str = "{prefix}[{wide_bar}] {decimal_bytes} of {decimal_total_bytes}{rate}{left}{msg}";
const NARROW_LINE: &str = "{prefix}{percent}%{left}{msg}";

/// A longer time than this is not worth telling.
const LEFT_MAX: Duration = Duration::from_secs(99 * 3600);

/// The line of one transfer.
pub(super) struct Bar {
    bar: ProgressBar,
    canvas: Canvas,
}

impl Bar {
    /// Of a transfer of `size` bytes, which goes on from here.
    pub(super) fn new(size: u64, progress: &Progress) -> Self {
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like(Box::new(canvas.clone()));
        let bar = ProgressBar::with_draw_target(Some(size), target);
        if let Some(by) = progress.by {
            bar.set_prefix(format!("{by} "));
        }
        // The rate is that of this transfer. What comes before a step back does not count.
        bar.set_position(progress.stored.saturating_add(1));
        bar.tick();
        bar.set_position(progress.stored);
        bar.tick();
        Self { bar, canvas }
    }

    /// The line, in ASCII. It leaves columns free on the terminal.
    pub(super) fn line(&self, progress: &Progress, columns: u16) -> String {
        let template = if columns >= WIDE { WIDE_LINE } else { NARROW_LINE };
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
