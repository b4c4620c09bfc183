//! Standard output or standard error, written by other threads.
//!
//! A write to a pipe that nobody reads blocks until somebody does. It blocks a thread of the pool, so that signals are
//! heard meanwhile. Each caller waits for its write, so that at most a few are under way.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smol::{Timer, future};

use crate::exit::Failure;
use crate::signals::Signals;

/// How long a write may take once a signal has come: enough for a reader that is there, and a part of the second in
/// which a signal ends a command.
const PATIENCE: Duration = Duration::from_millis(100);

/// A stream that is written to.
pub(super) struct Stream {
    to: Arc<Mutex<Box<dyn Write + Send>>>,
    /// A write was given up that still blocks.
    stalled: Arc<AtomicBool>,
}

impl Stream {
    pub(super) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to: Arc::new(Mutex::new(to)), stalled: Arc::default() }
    }

    /// Writes on this thread, and waits for a reader for as long as it takes.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<()> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(bytes)?;
        to.flush()
    }

    /// Has `write` write to the stream, after all that is being written already, and flushes it. What `write` holds is
    /// dropped when it is done.
    ///
    /// # Errors
    /// The signal, if one has come and the write takes too long. It goes on as long as the process does. Inside is what
    /// became of the write otherwise.
    pub(super) async fn run<E: From<io::Error> + Send + 'static>(
        &self,
        signals: &Signals,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E> + Send + 'static,
    ) -> Result<Result<(), E>, Failure> {
        if self.stalled.load(Ordering::Acquire)
            && let Some(failure) = signals.received()
        {
            return Err(failure);
        }
        let (to, stalled) = (self.to.clone(), self.stalled.clone());
        let mut written = smol::unblock(move || {
            let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
            let written = write(&mut **to).and_then(|()| to.flush().map_err(E::from));
            stalled.store(false, Ordering::Release);
            written
        });
        let given_up = async {
            let failure = signals.wait().await;
            Timer::after(PATIENCE).await;
            Err(failure)
        };
        let result = future::or(async { Ok((&mut written).await) }, given_up).await;
        if result.is_err() {
            self.stalled.store(true, Ordering::Release);
        }
        // A line that a caller has given up is still written, and whole, if there is a reader after all.
        if !written.is_finished() {
            written.detach();
        }
        result
    }
}
