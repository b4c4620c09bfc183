//! How a command hears that it should end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use event_listener::Event;

use crate::exit::Failure;

/// Set once, by a signal or by the program that uses us; heard by everything that waits.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    signal: AtomicU8,
    bell: Arc<Event>,
}

const NONE: u8 = 0;
const INTERRUPT: u8 = 1;
const TERMINATE: u8 = 2;

impl Stop {
    /// The end that the signal asks for, if one has come.
    pub(crate) fn asked(&self) -> Option<Failure> {
        match self.0.signal.load(Ordering::Acquire) {
            NONE => None,
            INTERRUPT => Some(Failure::interrupted()),
            _ => Some(Failure::terminated()),
        }
    }

    /// Asks for the end as an interrupt does.
    pub(crate) fn ask(&self) {
        self.set(INTERRUPT);
    }

    fn set(&self, code: u8) {
        // The first one decides how the process ends.
        let _ = self.0.signal.compare_exchange(NONE, code, Ordering::AcqRel, Ordering::Acquire);
        self.0.bell.notify(usize::MAX);
    }

    /// Rings when a signal comes.
    pub(crate) fn bell(&self) -> Arc<Event> {
        self.0.bell.clone()
    }

    /// Waits for a signal.
    pub(crate) async fn wait(&self) -> Failure {
        loop {
            let listener = self.0.bell.listen();
            if let Some(failure) = self.asked() {
                return failure;
            }
            listener.await;
        }
    }

    /// Hears the process's signals from now on, for as long as the future is polled.
    #[cfg(unix)]
    pub(crate) async fn hear_signals(&self) -> std::io::Result<()> {
        use async_signal::{Signal, Signals};
        use smol::stream::StreamExt;

        let mut signals = Signals::new([Signal::Int, Signal::Term])?;
        if !ignored(rustix::process::Signal::HUP) {
            signals.add_signals([Signal::Hup])?;
        }
        while let Some(signal) = signals.next().await {
            self.set(if signal? == Signal::Int { INTERRUPT } else { TERMINATE });
        }
        Ok(())
    }
}

/// Whether this process was started with the signal ignored, as `nohup` does with a hang-up: then it means to
/// outlive its terminal. Where the system does not say, it was not.
#[cfg(unix)]
fn ignored(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let place = u32::try_from(signal.as_raw() - 1).unwrap_or(u32::MAX);
    mask.checked_shr(place).unwrap_or(0) & 1 == 1
}
