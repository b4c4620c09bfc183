//! The firmware's console: its commands, and the messages that answer them.
//!
//! The firmware prints events between answers, so a test waits for a message and never for a prompt.

use std::time::Duration;

use crate::emulator::Emulated;
use crate::{Failure, PATIENCE};

/// Characters of a token.
const TOKEN: usize = 26;
/// The start of the message that a command failed.
const NOT_DONE: &str = "Not done: ";

impl Emulated {
    /// Waits until it is on the network.
    pub fn is_up(&mut self) -> Result<(), Failure> {
        self.until("On the network as 10.77.0.", PATIENCE).map(drop)
    }

    /// Types a line.
    pub fn command(&mut self, line: &str) -> Result<(), Failure> {
        self.say(line)?;
        self.say("\r")
    }

    /// Waits until the console shows another member's offer with this token.
    pub fn sees(&mut self, token: &str) -> Result<(), Failure> {
        self.until(&format!("fetch {token}"), PATIENCE).map(drop)
    }

    /// Fetches the drop with this token, which the console has shown, and waits until it has arrived.
    pub fn fetch(&mut self, token: &str) -> Result<(), Failure> {
        self.command(&format!("fetch {token}"))?;
        // The echo.
        self.until(token, PATIENCE)?;
        self.does("Received ", PATIENCE)
    }

    /// Waits for these words. Fails at once when the console says that a command failed.
    pub fn does(&mut self, words: &str, patience: Duration) -> Result<(), Failure> {
        match self.until_any(&[words, NOT_DONE], patience)? {
            0 => Ok(()),
            _ => Err(Failure(format!(
                "the board was to say {words:?}, and did not: {}",
                self.until("\r", PATIENCE)?
            ))),
        }
    }

    /// Offers a message and gives its token.
    pub fn send(&mut self, text: &str) -> Result<String, Failure> {
        self.command(&format!("send {text}"))?;
        self.offering()
    }

    /// Offers something that the board holds, and gives the token.
    pub fn offer(&mut self, name: &str) -> Result<String, Failure> {
        self.command(&format!("offer {name}"))?;
        self.offering()
    }

    /// The token in the message that an offer is out.
    fn offering(&mut self) -> Result<String, Failure> {
        self.does("Offering ", PATIENCE)?;
        self.until("--token ", PATIENCE)?;
        let token = self.until("\r", PATIENCE)?;
        if token.len() == TOKEN { Ok(token) } else { Err(Failure(format!("{token:?} is no token"))) }
    }

    /// Waits until a drop of its own has been fetched.
    pub fn is_fetched(&mut self) -> Result<(), Failure> {
        self.until("Fetched: ", PATIENCE)?;
        self.until("wiped here", PATIENCE).map(drop)
    }

    /// Fails if it holds anything.
    pub fn holds_nothing(&mut self) -> Result<(), Failure> {
        self.command("list")?;
        match self.until_any(&["Nothing is kept here", "bytes free"], PATIENCE)? {
            0 => Ok(()),
            _ => Err(Failure(format!("the board still holds something:\n{}", self.console().all()))),
        }
    }
}
