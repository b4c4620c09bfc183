//! A board's console, as the tests use it.
//!
//! News are printed as they come, between the answers, so that a test waits for words and never for a prompt.

use std::time::Duration;

use crate::firmware::emulator::Emulated;
use crate::firmware::lab::PATIENCE;
use crate::repo::Failure;

/// Characters of a token.
const TOKEN: usize = 26;
/// What begins the news that an order came to nothing.
const NOT_DONE: &str = "Not done: ";

impl Emulated {
    /// Waits until it is on the network.
    pub(crate) fn is_up(&mut self) -> Result<(), Failure> {
        self.until("On the network as 10.79.0.", PATIENCE).map(drop)
    }

    /// Types a line.
    pub(crate) fn order(&mut self, line: &str) -> Result<(), Failure> {
        self.say(line)?;
        self.say("\r")
    }

    /// Waits until the board tells of this offer of another.
    pub(crate) fn sees(&mut self, token: &str) -> Result<(), Failure> {
        self.until(&format!("fetch {token}"), PATIENCE).map(drop)
    }

    /// Fetches the drop with this token, which it has told of, and gives what it says of it.
    pub(crate) fn fetch(&mut self, token: &str) -> Result<(), Failure> {
        self.order(&format!("fetch {token}"))?;
        // The echo.
        self.until(token, PATIENCE)?;
        self.does("Received ", PATIENCE)
    }

    /// Waits for these words, but not if an order came to nothing.
    pub(crate) fn does(&mut self, words: &str, patience: Duration) -> Result<(), Failure> {
        match self.until_any(&[words, NOT_DONE], patience)? {
            0 => Ok(()),
            _ => Err(Failure(format!(
                "the board was to say {words:?}, and did not: {}",
                self.until("\r", PATIENCE)?
            ))),
        }
    }

    /// Offers a message and gives its token.
    pub(crate) fn send(&mut self, text: &str) -> Result<String, Failure> {
        self.order(&format!("send {text}"))?;
        self.offering()
    }

    /// Offers something that it holds and gives the token.
    pub(crate) fn offer(&mut self, name: &str) -> Result<String, Failure> {
        self.order(&format!("offer {name}"))?;
        self.offering()
    }

    /// The token of what it says that it offers.
    fn offering(&mut self) -> Result<String, Failure> {
        self.does("Offering ", PATIENCE)?;
        self.until("--token ", PATIENCE)?;
        let token = self.until("\r", PATIENCE)?;
        if token.len() == TOKEN { Ok(token) } else { Err(Failure(format!("{token:?} is no token"))) }
    }

    /// Waits until it says that a drop of its own was fetched.
    pub(crate) fn is_fetched(&mut self) -> Result<(), Failure> {
        self.until("Fetched: ", PATIENCE)?;
        self.until("wiped here", PATIENCE).map(drop)
    }

    /// Fails if it holds anything.
    pub(crate) fn holds_nothing(&mut self) -> Result<(), Failure> {
        self.order("list")?;
        match self.until_any(&["Nothing is kept here", "bytes free"], PATIENCE)? {
            0 => Ok(()),
            _ => Err(Failure(format!("the board still holds something:\n{}", self.console().all()))),
        }
    }
}
