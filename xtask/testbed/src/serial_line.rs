//! The text that a board or an emulator writes, read as it comes and searched.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// The text of a stream since its start. A thread reads it, so that the writer never blocks.
pub struct SerialLine {
    what: String,
    pieces: Receiver<Vec<u8>>,
    said: String,
    /// Length of the part that earlier waits have consumed.
    seen: usize,
}

impl SerialLine {
    /// Reads this stream; `what` is its name in failures.
    pub fn read(what: impl Into<String>, mut from: impl Read + Send + 'static) -> Self {
        let (to, pieces) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if to.send(buffer.get(..read).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { what: what.into(), pieces, said: String::new(), seen: 0 }
    }

    /// Waits for `part` behind what earlier waits consumed, gives the text before it, and consumes both.
    pub fn until(&mut self, part: &str, patience: Duration) -> Result<String, Failure> {
        self.until_any(&[part], patience).map(|(_, before)| before)
    }

    /// The same for the first of several parts; gives its index too.
    pub fn until_any(&mut self, parts: &[&str], patience: Duration) -> Result<(usize, String), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            let rest = self.said.get(self.seen..).unwrap_or_default();
            let found =
                parts.iter().enumerate().filter_map(|(n, part)| Some((rest.find(part)?, n, part.len())));
            if let Some((at, n, length)) = found.min() {
                let before = rest.get(..at).unwrap_or_default().to_owned();
                self.seen += at + length;
                return Ok((n, before));
            }
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.said.push_str(&String::from_utf8_lossy(&piece)),
                Err(why) => {
                    let why = if why == RecvTimeoutError::Timeout { "in time" } else { "before it ended" };
                    return Err(Failure(format!(
                        "{} did not say {parts:?} {why}; it said:\n{}",
                        self.what,
                        self.tail()
                    )));
                }
            }
        }
    }

    /// Consumes all text so far.
    pub fn skip(&mut self) {
        while let Ok(piece) = self.pieces.try_recv() {
            self.said.push_str(&String::from_utf8_lossy(&piece));
        }
        self.seen = self.said.len();
    }

    /// All text since the start.
    pub fn all(&mut self) -> &str {
        while let Ok(piece) = self.pieces.try_recv() {
            self.said.push_str(&String::from_utf8_lossy(&piece));
        }
        &self.said
    }

    /// The last lines, for a failure.
    fn tail(&self) -> String {
        let lines: Vec<_> = self.said.lines().collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn parts_are_waited_for_in_order() {
        let mut text = SerialLine::read("it", &b"one two\nthree two four"[..]);
        assert_eq!(text.until("two", SOON).unwrap(), "one ");
        assert_eq!(text.until_any(&["four", "two"], SOON).unwrap(), (1, "\nthree ".to_owned()));
        let failure = text.until("three", SOON).unwrap_err().0;
        assert!(
            failure.starts_with("it did not say [\"three\"] before it ended; it said:\none two\n"),
            "{failure}"
        );
        assert_eq!(text.all(), "one two\nthree two four");
    }

    #[test]
    fn what_is_skipped_is_not_found() {
        let mut text = SerialLine::read("it", &b"one"[..]);
        text.until("on", SOON).unwrap();
        while text.all().len() < 3 {}
        text.skip();
        assert!(text.until("e", SOON).is_err());
    }
}
