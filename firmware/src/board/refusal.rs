//! Texts that a board keeps on its console before it runs: a refusal for ever, a report of a restart for a while.

use core::fmt::{self, Write as _};

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use heapless::String;

use super::{Board, RetainedRam, TICK};
use crate::app::Watchdog;
use crate::signal::{Indicator, Signal};

/// The shortest time from one print to the next: a console whose input floats has an error in every moment.
const REPEAT_MIN: Duration = Duration::from_secs(1);

/// A line for the console. The longest is that of a [`BootError`](crate::boot::BootError).
pub(super) type Line = String<400>;

/// A line that begins as all of them do.
pub(super) fn line(what: fmt::Arguments<'_>) -> Line {
    let mut line = Line::new();
    let _cut_short_at_worst = (line.write_str("deaddrop: "), line.write_fmt(what), line.write_str("\r\n"));
    line
}

impl<C: Read + Write, L: Indicator, W: Watchdog, R: RetainedRam> Board<C, L, W, R> {
    /// Prints on the console why the board does not talk, and again whenever something is typed, so that a terminal which
    /// is opened later shows it too. Never returns. `why` is a [`BootError`](crate::boot::BootError) or a message of the
    /// board's own.
    pub async fn refuse(&mut self, why: impl fmt::Display) -> ! {
        let text = line(format_args!("{why}."));
        loop {
            self.show(&text, Signal::Refused, Instant::MAX).await;
        }
    }

    /// Prints a line, and again after input, until a moment; meanwhile the lamp shows `signal`.
    ///
    /// A line error counts as input: it comes when an adapter is plugged in, and then a person may be there to read. The
    /// end of input, which a file has, does not.
    pub(super) async fn show(&mut self, text: &str, signal: Signal, until: Instant) {
        let mut open = true;
        let mut soonest = Instant::MIN;
        let mut due = true;
        loop {
            self.sign(signal);
            let now = Instant::now();
            if due && now >= soonest {
                (due, soonest) = (false, now + REPEAT_MIN);
                // Errors are ignored: there is no other place to report them.
                let _ = self.console.write_all(text.as_bytes()).await;
                let _ = self.console.flush().await;
            }
            if now >= until {
                return;
            }
            let mut bytes = [0; 16];
            let read = async {
                if due || !open { core::future::pending().await } else { self.console.read(&mut bytes).await }
            };
            if let Either::First(read) = select(read, Timer::after(TICK)).await {
                open = !matches!(read, Ok(0));
                due = open;
            }
        }
    }
}
