//! Standard input and output as a serial line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorType, Read, Write};

/// How often input is looked for: a person does not notice.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The line. What has come and was not read yet is kept by a thread of its own, so that no read that is given up
/// loses any of it.
pub(crate) struct Serial(Arc<Mutex<VecDeque<u8>>>);

impl Serial {
    /// Starts to listen. The process ends with its input.
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
        // Nobody may be there to read it.
        let _ = stdout().write_all(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        let _ = stdout().flush();
        Ok(())
    }
}
