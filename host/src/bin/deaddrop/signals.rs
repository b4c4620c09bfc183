//! Signals that end the command.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deaddrop::{Error, Stopper};
use event_listener::Event;

use crate::exit::Failure;
use crate::platform::{self, Request, Requests};

/// The first signal that asked the command to end, and the stopper that passes it on to the library.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    first: AtomicU8,
    stopper: Stopper,
    /// SIGHUP asks to read the room file again, and ends nothing.
    reloads: AtomicBool,
    /// Notified when it has come.
    hung_up: Event,
    /// It has come, and was not heeded yet.
    reload: AtomicBool,
    /// What has the terminal in a mode of its own.
    terminal: Mutex<Option<Arc<dyn HasTerminal>>>,
}

/// Has the terminal in a mode of its own: without echo, for instance.
pub(crate) trait HasTerminal: Send + Sync {
    /// Gives it back, before the process is stopped.
    fn give_back(&self);

    /// Takes it again, after the process was stopped.
    fn take_again(&self);

    /// The terminal has another size.
    fn resized(&self) {}
}

const NONE: u8 = 0;
const INTERRUPT: u8 = 1;
const TERMINATE: u8 = 2;

impl Signals {
    /// How the command ends, if a signal has come.
    pub(crate) fn received(&self) -> Option<Failure> {
        match self.0.first.load(Ordering::Acquire) {
            NONE => None,
            INTERRUPT => Some(Failure::interrupted()),
            _ => Some(Failure::terminated()),
        }
    }

    /// Used when a signal comes.
    pub(crate) fn stopper(&self) -> &Stopper {
        &self.0.stopper
    }

    /// Waits for a signal.
    pub(crate) async fn wait(&self) -> Failure {
        self.0.stopper.stopped().await;
        self.received().unwrap_or_else(Failure::interrupted)
    }

    /// From now on SIGHUP asks to read the room file again. It is kept until somebody [does](Self::reload).
    pub(crate) fn reload_on_hangup(&self) {
        self.0.reloads.store(true, Ordering::Release);
    }

    /// From now on SIGHUP ends the command, and so does one that was kept.
    pub(crate) fn end_on_hangup(&self) {
        self.0.reloads.store(false, Ordering::Release);
        if self.0.reload.swap(false, Ordering::AcqRel) {
            self.end(TERMINATE);
        }
    }

    fn end(&self, code: u8) {
        // The first signal decides how the process ends: a later one finds it set.
        let _ = self.0.first.compare_exchange(NONE, code, Ordering::AcqRel, Ordering::Acquire);
        self.0.stopper.stop();
    }

    /// Waits until the room file is to be read again. Dropping the future loses nothing.
    pub(crate) async fn reload(&self) {
        loop {
            let hung_up = self.0.hung_up.listen();
            if self.0.reload.swap(false, Ordering::AcqRel) {
                return;
            }
            hung_up.await;
        }
    }

    /// The failure for an error of the library: the signal, if that was the reason.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        match error {
            Error::Stopped => self.received().unwrap_or_else(Failure::interrupted),
            error => error.into(),
        }
    }

    /// Has a terminal given back whenever the process is stopped, and taken again when it goes on.
    pub(crate) fn set_terminal(&self, terminal: Option<Arc<dyn HasTerminal>>) {
        *self.0.terminal.lock().unwrap_or_else(PoisonError::into_inner) = terminal;
    }

    fn with_terminal(&self, act: impl FnOnce(&dyn HasTerminal)) {
        let terminal = self.0.terminal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        terminal.as_deref().map(act);
    }

    /// Handles the process's signals for as long as the future is polled. Ends only with an error.
    pub(crate) async fn handle(&self) -> io::Result<Infallible> {
        let mut requests = Requests::new()?;
        loop {
            let code = match requests.next().await? {
                Request::Suspend => {
                    self.with_terminal(|terminal| terminal.give_back());
                    platform::suspend();
                    continue;
                }
                Request::GoOn => {
                    self.with_terminal(|terminal| terminal.take_again());
                    continue;
                }
                Request::Resize => {
                    self.with_terminal(|terminal| terminal.resized());
                    continue;
                }
                Request::HangUp if self.0.reloads.load(Ordering::Acquire) => {
                    self.0.reload.store(true, Ordering::Release);
                    self.0.hung_up.notify(usize::MAX);
                    continue;
                }
                Request::Interrupt => INTERRUPT,
                Request::HangUp | Request::Terminate => TERMINATE,
            };
            self.end(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_that_was_kept_ends_what_has_no_room_file() {
        let signals = Signals::default();
        signals.end_on_hangup();
        assert!(signals.received().is_none());
        signals.reload_on_hangup();
        signals.0.reload.store(true, Ordering::Release);
        assert!(signals.received().is_none());
        signals.end_on_hangup();
        assert_eq!(signals.received(), Some(Failure::terminated()));
    }
}
