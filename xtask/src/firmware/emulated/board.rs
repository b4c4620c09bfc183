//! A board's console, as the tests use it.

use std::thread;
use std::time::{Duration, Instant};

use crate::firmware::emulator::Emulated;
use crate::firmware::lab::PATIENCE;
use crate::repo::Failure;

/// What the console says when it waits for a line.
const PROMPT: &str = "> ";
/// How often to look again.
const AGAIN: Duration = Duration::from_millis(300);
/// Characters of a token.
const TOKEN: usize = 26;

impl Emulated {
    /// Waits until it is on the network.
    pub(crate) fn is_up(&mut self) -> Result<(), Failure> {
        self.until(PROMPT, PATIENCE)?;
        self.looks_until("status", "10.79.0.", true)
    }

    /// Types a line and gives what is said up to the next prompt.
    pub(crate) fn order(&mut self, line: &str) -> Result<String, Failure> {
        self.console().skip();
        self.say(line)?;
        self.say("\r")?;
        self.until(PROMPT, PATIENCE)
    }

    /// Fetches the drop with this token, once the board has heard of it.
    pub(crate) fn fetch(&mut self, token: &str) -> Result<(), Failure> {
        self.sees(token)?;
        self.order(&format!("fetch {token}")).map(drop)
    }

    /// Offers a message and gives its token.
    pub(crate) fn send(&mut self, text: &str) -> Result<String, Failure> {
        let said = self.order(&format!("send {text}"))?;
        token(&said).ok_or_else(|| Failure(format!("the board sent {text:?} and told no token:\n{said}")))
    }

    /// Offers something that it holds and gives the token.
    pub(crate) fn offer(&mut self, name: &str) -> Result<String, Failure> {
        let said = self.order(&format!("offer {name}"))?;
        token(&said).ok_or_else(|| Failure(format!("the board offered {name:?} and told no token:\n{said}")))
    }

    /// Waits until the board lists this offer of another.
    pub(crate) fn sees(&mut self, token: &str) -> Result<(), Failure> {
        self.looks_until("offers", token, true)
    }

    /// Waits until it does so no longer.
    pub(crate) fn no_longer_sees(&mut self, token: &str) -> Result<(), Failure> {
        self.looks_until("offers", token, false)
    }

    /// Waits until it no longer holds a drop of its own with this token.
    pub(crate) fn has_no(&mut self, token: &str) -> Result<(), Failure> {
        self.looks_until("list", token, false)
    }

    /// Types this line until its answer holds `part`, or does not.
    fn looks_until(&mut self, line: &str, part: &str, holds: bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.order(line)?;
            if said.contains(part) == holds {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let what = if holds { "never came" } else { "stayed" };
                return Err(Failure(format!("{part:?} {what} in the answer to {line:?}:\n{said}")));
            }
            thread::sleep(AGAIN);
        }
    }
}

/// The first token in a text.
fn token(text: &str) -> Option<String> {
    let is_of_token = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    text.split(|c: char| !is_of_token(c)).find(|word| word.len() == TOKEN).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_among_words() {
        let said = "send hello\r\nOffering message, 5 bytes, for 120 s: cp2j3z761xdq7dfjzs3z499z44\r\n";
        assert_eq!(token(said).as_deref(), Some("cp2j3z761xdq7dfjzs3z499z44"));
        assert_eq!(token("nothing to see"), None);
    }
}
