//! What people and scripts see.

mod bar;
mod event;
mod human;
mod progress;
mod screen;
mod status;
mod stream;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use deaddrop::{Token, Zeroizing, text};
use log::LevelFilter;

pub(crate) use event::{Content, Event, Serving};
pub(crate) use human::what;
pub(crate) use progress::{EVERY, Pace, Progress};
pub(crate) use screen::Screen;

use crate::exit::{Exit, Failure};
use crate::platform::{self, in_foreground, moves_cursor};
use crate::signals::Signals;
use status::{Status, Window};
use stream::Stream;

/// Shows events: as JSON lines on standard output, or as text for a person.
///
/// Each line is whole, and flushed before the call returns. Of two calls at once either may come first. A signal ends the wait for a reader that stalls.
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    out_is_terminal: bool,
    signals: Signals,
    out: Stream,
    err: Stream,
    /// The lines that show progress, if there is a terminal for them. Locked by writes to `err` alone.
    status: Option<Arc<Mutex<Status>>>,
    /// What shows everything, while it is there.
    screen: Mutex<Option<Screen>>,
}

/// Why a drop was not copied out.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl Ui {
    /// Shows events on the process's own standard output and standard error.
    pub(crate) fn new(json: bool, quiet: bool, signals: &Signals) -> Self {
        let stdout = io::stdout();
        let out_is_terminal = stdout.is_terminal();
        // Past std's buffer, in which a part of a message would stay. Every line is written at once.
        let out: Box<dyn Write + Send> = match platform::stdout() {
            Ok(out) => Box::new(out),
            Err(_) => Box::new(stdout),
        };
        let err = io::stderr();
        // The lines of a trace are written past this one, in the midst of it.
        let traced = log::max_level() != LevelFilter::Off;
        let shown = !json && !quiet && !traced && err.is_terminal() && moves_cursor();
        let status = shown.then(Arc::default);
        Self { status, ..Self::with_streams(json, quiet, out_is_terminal, signals, out, Box::new(err)) }
    }

    /// Shows events on other streams. `out_is_terminal` says how messages are written on `out`.
    pub(crate) fn with_streams(
        json: bool,
        quiet: bool,
        out_is_terminal: bool,
        signals: &Signals,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        let (signals, out, err) = (signals.clone(), Stream::new(out), Stream::new(err));
        Self { json, quiet, out_is_terminal, signals, out, err, status: None, screen: Mutex::default() }
    }

    /// Whether a person reads along, rather than a script.
    pub(crate) fn is_for_people(&self) -> bool {
        !self.json
    }

    /// Whether standard output is a terminal.
    pub(crate) fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Shows an event. Fails when the stream it belongs on does not take it, or a signal comes before it does.
    pub(crate) async fn show(&self, event: &Event<'_>) -> Result<(), Failure> {
        if self.json {
            return self.to_out(event.to_json()).await;
        }
        if let Some(screen) = self.screen() {
            return self.show_on(&screen, event).await;
        }
        let human::Lines { results, errors, notices } = human::lines(event, self.out_is_terminal);
        if !results.is_empty() {
            self.to_out(results).await?;
        }
        self.to_err(errors).await?;
        if !self.quiet {
            self.to_err(notices).await?;
        }
        Ok(())
    }

    /// Shows the offer that is about to be taken: an event for a script, a notice for a person, whose standard
    /// output is for the drop itself.
    pub(crate) async fn taking(&self, offer: &Event<'_>) -> Result<(), Failure> {
        if self.json {
            return self.show(offer).await;
        }
        if self.quiet {
            return Ok(());
        }
        match self.screen() {
            Some(screen) => self.on_screen(&screen, human::taking(offer)).await,
            None => self.to_err(human::taking(offer)).await,
        }
    }

    /// A line for a person, which no script waits for: shown on standard error, unless `--quiet` or
    /// `--json` was given. Control characters in it are escaped.
    pub(crate) async fn notice(&self, notice: &str) -> Result<(), Failure> {
        if self.json || self.quiet {
            return Ok(());
        }
        let line = format!("{}\n", text::line(notice)).into_bytes();
        match self.screen() {
            Some(screen) => self.on_screen(&screen, line).await,
            None => self.to_err(line).await,
        }
    }

    /// Whether there can be a screen: a person sees and types at a terminal, and a program reads nothing of it.
    pub(crate) fn can_have_screen(&self) -> bool {
        self.status.is_some() && self.out_is_terminal && io::stdin().is_terminal()
    }

    /// Opens the screen, if there can be one. From now on it shows everything, until it is [closed](Self::close_screen).
    pub(crate) fn open_screen(&self) -> Option<Screen> {
        let screen = self.can_have_screen().then(Screen::open)?.ok()?;
        self.signals.set_terminal(Some(Arc::new(screen.clone())));
        *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = Some(screen.clone());
        Some(screen)
    }

    /// Takes the screen from the terminal. What was fetched stays there.
    pub(crate) async fn close_screen(&self) -> Result<(), Failure> {
        let Some(screen) = self.screen.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        self.signals.set_terminal(None);
        // The terminal may take nothing, and a signal ends the wait for it.
        screen.give_keyboard_back();
        let erased = self.out.run(&self.signals, move |out| out.write_all(&screen.end())).await?;
        erased.map_err(|error| Failure::output(&error))
    }

    /// Paints what has changed on the screen.
    pub(crate) async fn paint(&self, screen: &Screen) -> Result<(), Failure> {
        self.on_screen(screen, Vec::new()).await
    }

    fn screen(&self) -> Option<Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn show_on(&self, screen: &Screen, event: &Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Ready { addresses, .. } => {
                screen.listens_on(addresses.iter().map(ToString::to_string).collect());
            }
            // These come again, or go by themselves.
            Event::Warning { code, message } => {
                screen.warn(message, !matches!(*code, "flooded" | "crowded"));
            }
            Event::Error { message, .. } => screen.fail(message),
            event => {
                let human::Lines { results, errors, notices } = human::lines(event, true);
                let mut stays = results;
                stays.extend_from_slice(&errors);
                stays.extend_from_slice(&notices);
                return if stays.is_empty() { Ok(()) } else { self.on_screen(screen, stays).await };
            }
        }
        Ok(())
    }

    /// Writes what stays on the terminal above the screen, and paints that.
    async fn on_screen(
        &self,
        screen: &Screen,
        stays: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), Failure> {
        let screen = screen.clone();
        let write = move |out: &mut dyn Write| {
            let bytes = Zeroizing::new(screen.painted(stays.as_ref()));
            if bytes.is_empty() { Ok(()) } else { out.write_all(&bytes) }
        };
        let written = self.out.run(&self.signals, write).await?;
        written.map_err(|error| Failure::output(&error))
    }

    /// Whether anybody is shown progress: a script, or a person at a terminal that can show it.
    pub(crate) fn shows_progress(&self) -> bool {
        (self.json && !self.quiet) || self.status.is_some()
    }

    /// Shows how far the transfers of a drop have come: a script one of them, if `pace` says so, and a person all.
    pub(crate) async fn progress(
        &self,
        pace: &mut Pace,
        (token, size): (Token, u64),
        transfers: Vec<Progress>,
    ) -> Result<(), Failure> {
        let now = Instant::now();
        if self.json {
            let Some(next) = pace.next(now, size, &transfers) else { return Ok(()) };
            let Progress { by, stored, files, .. } = next;
            return self.show(&Event::Progress { token, by, stored, size, files_done: files }).await;
        }
        if let Some(screen) = self.screen() {
            screen.progress(size, transfers);
            return Ok(());
        }
        let paint = move |status: &mut Status| {
            if in_foreground() {
                status.paint(now, size, &transfers, Window::of_stderr())
            } else {
                status.leave();
                Vec::new()
            }
        };
        self.on_status(paint).await
    }

    /// Takes the lines that show progress from the terminal.
    pub(crate) async fn end_progress(&self) -> Result<(), Failure> {
        if let Some(screen) = self.screen() {
            screen.end_progress();
            return Ok(());
        }
        self.on_status(|status| {
            status.end();
            erase(status)
        })
        .await
    }

    /// Writes what the lines that show progress say, if there are any.
    async fn on_status(
        &self,
        act: impl FnOnce(&mut Status) -> Vec<u8> + Send + 'static,
    ) -> Result<(), Failure> {
        let Some(status) = self.status.clone() else { return Ok(()) };
        // A broken standard error is no reason to stop.
        let _ = self.err.run(&self.signals, move |err| err.write_all(&act(&mut lock(&status)))).await?;
        Ok(())
    }

    /// Shows a question on standard error.
    pub(crate) async fn ask(&self, question: String) -> Result<(), Failure> {
        self.to_err(question.into_bytes()).await
    }

    /// Copies a drop to standard output as it is.
    pub(crate) async fn copy_out(&self, drop: impl io::Read + Send + 'static) -> Result<(), Failure> {
        let copied = self.out.run(&self.signals, move |out| copy(drop, out)).await?;
        copied.map_err(|error| match error {
            CopyError::Read(error) => Failure::failed(format!("cannot read what was received: {error}")),
            CopyError::Write(error) => Failure::output(&error),
        })
    }

    /// Shows why a command ends, as the last line, and gives the exit code.
    pub(crate) async fn fail(&self, failure: &Failure) -> Exit {
        // An event that standard output does not take goes to standard error, as text.
        if self.show(&Event::Error { code: failure.code, message: &failure.message }).await.is_err() {
            // If that does not take it either, the exit code is all that is left.
            let _ = self.to_err(format!("deaddrop: {}\n", text::line(&failure.message)).into_bytes()).await;
        }
        failure.exit
    }

    /// The same on this thread, where no other may be started. Nothing ends the wait for a reader that stalls.
    pub(crate) fn fail_now(&self, failure: &Failure) -> Exit {
        let event = Event::Error { code: failure.code, message: &failure.message };
        let line = format!("deaddrop: {}\n", text::line(&failure.message)).into_bytes();
        if !self.json || self.out.write_now(&event.to_json()).is_err() {
            // There is nowhere left to say that this failed.
            let _ = self.err.write_now(&line);
        }
        failure.exit
    }

    async fn to_out(&self, bytes: Zeroizing<Vec<u8>>) -> Result<(), Failure> {
        let written = self.out.run(&self.signals, move |out| out.write_all(&bytes)).await?;
        written.map_err(|error| Failure::output(&error))
    }

    async fn to_err(&self, bytes: Vec<u8>) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let status = self.status.clone();
        let write = move |err: &mut dyn Write| {
            // In the place of the lines that show progress, which are painted again below it.
            let erased = status.map_or_else(Vec::new, |status| erase(&mut lock(&status)));
            err.write_all(&[erased, bytes].concat())
        };
        // A broken standard error is no reason to stop: there is nowhere left to say so.
        let _ = self.err.run(&self.signals, write).await?;
        Ok(())
    }
}

/// What takes the lines that show progress from the terminal.
fn erase(status: &mut Status) -> Vec<u8> {
    if !in_foreground() {
        status.leave();
    }
    status.erase(Window::of_stderr())
}

fn lock(status: &Mutex<Status>) -> std::sync::MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(mut drop: impl io::Read, out: &mut dyn Write) -> Result<(), CopyError> {
    let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
    loop {
        match drop.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => out.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests;
