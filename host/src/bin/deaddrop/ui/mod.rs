//! What people and scripts see.

mod event;
mod human;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use deaddrop::{Zeroizing, text};

pub(crate) use event::{Content, Event, Serving};
pub(crate) use human::what;

use crate::exit::{Exit, Failure};

/// Shows events: as JSON lines on standard output, or as text for a person.
///
/// One at a time, each line whole and flushed before the call returns.
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    out_is_terminal: bool,
    streams: Mutex<Streams>,
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Ui {
    /// Shows events on the process's own standard output and standard error.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let stdout = io::stdout();
        let out_is_terminal = stdout.is_terminal();
        // Past std's buffer, in which a part of a message would stay. Every line is written at once.
        let out: Box<dyn Write + Send> = match stdout.as_fd().try_clone_to_owned() {
            Ok(out) => Box::new(File::from(out)),
            Err(_) => Box::new(stdout),
        };
        Self::with_streams(json, quiet, out_is_terminal, out, Box::new(io::stderr()))
    }

    /// Shows events on other streams. `out_is_terminal` says how messages are written on `out`.
    pub(crate) fn with_streams(
        json: bool,
        quiet: bool,
        out_is_terminal: bool,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self { json, quiet, out_is_terminal, streams: Mutex::new(Streams { out, err }) }
    }

    /// Whether a person reads along, rather than a script.
    pub(crate) fn is_for_people(&self) -> bool {
        !self.json
    }

    /// Whether standard output is a terminal.
    pub(crate) fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Shows an event. Fails when the stream it belongs on does not take it.
    pub(crate) fn show(&self, event: &Event<'_>) -> Result<(), Failure> {
        if self.json {
            let line = event.to_json();
            return self.to_out(&line);
        }
        let human::Lines { results, errors, notices } = human::lines(event, self.out_is_terminal);
        if !results.is_empty() {
            self.to_out(&results)?;
        }
        // A broken standard error is no reason to stop: there is nowhere left to say so.
        self.to_err(&errors);
        if !self.quiet {
            self.to_err(&notices);
        }
        Ok(())
    }

    /// Shows the offer that is about to be taken: an event for a script, a notice for a person, whose standard
    /// output is for the drop itself.
    pub(crate) fn taking(&self, offer: &Event<'_>) -> Result<(), Failure> {
        if self.json {
            return self.show(offer);
        }
        if !self.quiet {
            self.to_err(&human::taking(offer));
        }
        Ok(())
    }

    /// A line for a person, which no script waits for: shown on standard error, unless `--quiet` or
    /// `--json` was given. Control characters in it are escaped.
    pub(crate) fn notice(&self, notice: &str) {
        if !self.json && !self.quiet {
            self.to_err(format!("{}\n", text::line(notice)).as_bytes());
        }
    }

    /// Copies a drop to standard output as it is.
    pub(crate) fn copy_out(&self, mut drop: impl io::Read) -> Result<(), Failure> {
        let mut streams = self.streams();
        let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
        loop {
            let read = match drop.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::failed(format!("cannot read what was received: {error}"))),
            };
            streams.out.write_all(buffer.get(..read).unwrap_or_default()).map_err(|e| Failure::output(&e))?;
        }
        streams.out.flush().map_err(|e| Failure::output(&e))
    }

    /// Shows why a command ends, as the last line, and gives the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        // An event that standard output does not take goes to standard error, as text.
        if self.show(&Event::Error { code: failure.code, message: &failure.message }).is_err() {
            self.to_err(format!("deaddrop: {}\n", text::line(&failure.message)).as_bytes());
        }
        failure.exit
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_out(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut streams = self.streams();
        streams
            .out
            .write_all(bytes)
            .and_then(|()| streams.out.flush())
            .map_err(|error| Failure::output(&error))
    }

    fn to_err(&self, bytes: &[u8]) {
        let mut streams = self.streams();
        let _ = streams.err.write_all(bytes).and_then(|()| streams.err.flush());
    }
}

#[cfg(test)]
mod tests;
