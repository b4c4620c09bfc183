//! Signals that end the command.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_signal::{Signal, Signals as SignalStream};
use deaddrop::{Error, Stopper};
use rustix::process::{Signal as RawSignal, getpgrp, getpid, getsid, kill_process};
use smol::stream::StreamExt;

use crate::exit::Failure;
use crate::prompt::Terminal;

/// The first signal that asked the command to end, and the stopper that passes it on to the library.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    first: AtomicU8,
    stopper: Stopper,
    /// The terminal while a question waits on it, with its echo off.
    terminal: Mutex<Option<Arc<Terminal>>>,
}

/// The signals whose default action ends the process and that are not faults of the program. Without a handler a part
/// file and a claim would be left behind. std ignores SIGPIPE already. SIGPWR, SIGSTKFLT and the real-time signals are not
/// in async-signal: they leave a part file, as SIGKILL does.
///
/// The last two stop the process and make it go on: a terminal without echo is given back meanwhile.
const HANDLED: [(Signal, RawSignal); 14] = [
    (Signal::Int, RawSignal::INT),
    (Signal::Term, RawSignal::TERM),
    (Signal::Hup, RawSignal::HUP),
    (Signal::Quit, RawSignal::QUIT),
    (Signal::Alarm, RawSignal::ALARM),
    (Signal::Usr1, RawSignal::USR1),
    (Signal::Usr2, RawSignal::USR2),
    (Signal::Vtalarm, RawSignal::VTALARM),
    (Signal::Prof, RawSignal::PROF),
    (Signal::Io, RawSignal::IO),
    (Signal::Xcpu, RawSignal::XCPU),
    (Signal::Xfsz, RawSignal::XFSZ),
    (Signal::Tstp, RawSignal::TSTP),
    (Signal::Cont, RawSignal::CONT),
];

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

    /// The failure for an error of the library: the signal, if that was the reason.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        match error {
            Error::Stopped => self.received().unwrap_or_else(Failure::interrupted),
            error => error.into(),
        }
    }

    /// Has a terminal given back whenever the process is stopped, and taken again when it goes on.
    pub(crate) fn set_terminal(&self, terminal: Option<Arc<Terminal>>) {
        *self.0.terminal.lock().unwrap_or_else(PoisonError::into_inner) = terminal;
    }

    fn with_terminal(&self, act: impl FnOnce(&Terminal)) {
        let terminal = self.0.terminal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        terminal.as_deref().map(act);
    }

    /// Handles the process's signals for as long as the future is polled. Ends only with an error.
    pub(crate) async fn handle(&self) -> io::Result<Infallible> {
        let ignored = ignored();
        let heard = HANDLED.into_iter().filter(|(_, raw)| !contains(ignored, *raw));
        let mut signals = SignalStream::new(heard.map(|(signal, _)| signal))?;
        loop {
            let signal = signals.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            let code = match signal? {
                // The write that raised it fails too, and says more.
                Signal::Xfsz => continue,
                Signal::Tstp => {
                    if can_go_on() {
                        self.with_terminal(Terminal::give_back);
                        // To ourselves it is always allowed.
                        let _ = kill_process(getpid(), RawSignal::STOP);
                    }
                    continue;
                }
                Signal::Cont => {
                    self.with_terminal(Terminal::take_again);
                    continue;
                }
                Signal::Int => INTERRUPT,
                _ => TERMINATE,
            };
            // The first signal decides how the process ends: a later one finds it set.
            let _ = self.0.first.compare_exchange(NONE, code, Ordering::AcqRel, Ordering::Acquire);
            self.0.stopper.stop();
        }
    }
}

/// Whether a shell can make this process go on once it is stopped. There is none above the process group of a session
/// leader, and the system too lets SIGTSTP stop no process there.
fn can_go_on() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Whether a mask of signals has this one.
fn contains(mask: u64, signal: RawSignal) -> bool {
    let bit = u32::try_from(signal.as_raw() - 1).unwrap_or(u32::MAX);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

/// The signals that this process was started to ignore, as `nohup` does with SIGHUP and `trap '' INT` with SIGINT: it
/// is meant to outlive them. None where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
