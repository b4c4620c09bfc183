//! Standard input and output as a serial line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorType, Read, Write};

/// How often input is polled: too short for a person to notice.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The serial line. A thread reads standard input into a queue, so that a cancelled read loses nothing.
pub(crate) struct Serial(Arc<Mutex<VecDeque<u8>>>);

impl Serial {
    /// Starts the reader thread. The process ends at the end of input.
    pub(crate) fn start() -> Self {
        let come = Arc::new(Mutex::new(VecDeque::new()));
        let gathered = come.clone();
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(len @ 1..) = stdin().lock().read(&mut bytes) {
                let mut come = gathered.lock().unwrap_or_else(PoisonError::into_inner);
                come.extend(bytes.get(..len).unwrap_or_default());
            }
            std::process::exit(0);
        });
        Self(come)
    }
}

impl ErrorType for Serial {
    type Error = Infallible;
}

impl Read for Serial {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        loop {
            {
                let mut come = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if !come.is_empty() {
                    let len = to.len().min(come.len());
                    to.iter_mut().zip(come.drain(..len)).for_each(|(to, byte)| *to = byte);
                    return Ok(len);
                }
            }
            Timer::after(LOOK_EVERY).await;
        }
    }
}

impl Write for Serial {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // Standard output may be closed.
        let _ = stdout().write_all(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        let _ = stdout().flush();
        Ok(())
    }
}
