//! The trace that `-v` shows: one line on standard error for each decision of the library and of core.

use std::io::Write;
use std::time::{Duration, Instant};

use deaddrop::text;
use deaddrop_core::limits::VERSION;
use log::{LevelFilter, Log, Metadata, Record};

/// What the targets of our own lines begin with: core's is this, the library's are its modules.
const TARGET: &str = "deaddrop";

/// Writes each line to standard error, with the milliseconds since the start.
struct Trace {
    started: Instant,
}

/// Sets the logger. `verbose` is how often `-v` was given: once shows decisions, twice also every beacon and retry.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    // Set once in a process, so that this does not fail.
    if log::set_boxed_logger(Box::new(Trace { started: Instant::now() })).is_ok() {
        log::set_max_level(level);
        log::debug!("program: version {}, protocol {VERSION}", env!("CARGO_PKG_VERSION"));
    }
}

impl Log for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target.strip_prefix(TARGET).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(self.started.elapsed(), record);
            // A broken standard error is no reason to stop: there is nowhere left to say so.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line, whatever the entry holds: control characters are escaped.
fn line(elapsed: Duration, record: &Record<'_>) -> String {
    let entry = record.args().to_string();
    format!("{:>7} ms {:<5} {}\n", elapsed.as_millis(), record.level(), text::line(&entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    #[test]
    fn an_entry_is_one_line_without_control_characters() {
        let args = format_args!("server: a\u{1b}[2J\nb");
        let record = Record::builder().level(Level::Debug).target(TARGET).args(args).build();
        assert_eq!(
            line(Duration::from_millis(1_234), &record),
            "   1234 ms DEBUG server: a\\u{1b}[2J\\u{a}b\n"
        );
    }

    #[test]
    fn only_our_own_lines_are_shown() {
        let trace = Trace { started: Instant::now() };
        for (target, ours) in
            [("deaddrop", true), ("deaddrop::lan::beacons", true), ("deaddropped", false), ("polling", false)]
        {
            let metadata = Metadata::builder().level(Level::Trace).target(target).build();
            assert_eq!(trace.enabled(&metadata), ours, "{target}");
        }
    }
}
