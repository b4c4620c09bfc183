//! When to join the network, and what to tell about it.
//!
//! [`Joining`] is told what happened and when, and says what to do next; the clock and the radio are its caller's. It waits
//! longer after each failure of a row, and longest after a key that was refused: the network may count guesses. It never
//! gives up, because a network that is switched off comes back, and one failure is not proof of a wrong key. A network
//! that is lost soon after it was joined counts as a failure, so that one which throws the board out at once is not
//! stormed.

use core::time::Duration;

/// The first wait after a failure. It doubles with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait for a network that is not there, or does not answer.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The first wait after the key was refused.
const WAIT_REFUSED_FIRST: Duration = Duration::from_secs(4);
/// The longest.
const WAIT_REFUSED_MAX: Duration = Duration::from_secs(300);
/// A network that was lost after this long was a good one: it is joined again at once.
const GOOD_AFTER: Duration = Duration::from_secs(60);
/// A failure is told again after this many of its kind.
const TELL_EVERY: u32 = 20;

/// How long an attempt may take.
pub const JOIN_WITHIN: Duration = Duration::from_secs(20);
/// How long the link may take to come up once the network was joined.
pub const LINK_WITHIN: Duration = Duration::from_secs(5);

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No access point has this SSID, or none with the security that is asked for.
    NotFound,
    /// The key was refused.
    KeyRefused,
    /// The access point refused for another reason.
    Refused,
    /// There was no end to it.
    NoAnswer,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The attempt ended well, and the link is up.
    Joined,
    /// The attempt failed.
    Failed(Failure),
    /// The link went down.
    Lost,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Join, and report how it ended.
    Join,
    /// Wait until this time since the start; then ask again.
    WaitUntil(Duration),
    /// Report when the link goes down.
    Watch,
}

/// The part of a board that keeps it in its network.
#[derive(Clone, Debug)]
pub struct Joining {
    phase: Phase,
    /// Failures in a row, and how many of them of the kind that was last.
    failures: u32,
    /// How many of them were a key that was refused.
    refused: u32,
    last: Option<Failure>,
    of_kind: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next attempt is due then.
    Out(Duration),
    /// In the network since then.
    In(Duration),
}

impl Default for Joining {
    fn default() -> Self {
        Self::new()
    }
}

impl Joining {
    /// Not in the network yet, and an attempt is due.
    pub const fn new() -> Self {
        Self { phase: Phase::Out(Duration::ZERO), failures: 0, refused: 0, last: None, of_kind: 0 }
    }

    /// What to do, at this time since the start.
    pub fn action(&self, now: Duration) -> Action {
        match self.phase {
            Phase::Out(due) if due <= now => Action::Join,
            Phase::Out(due) => Action::WaitUntil(due),
            Phase::In(_) => Action::Watch,
        }
    }

    /// Takes in what happened, and gives a line to tell on the console if it is news.
    pub fn handle(&mut self, input: Input, now: Duration) -> Option<&'static str> {
        match (input, self.phase) {
            (Input::Joined, _) => {
                self.phase = Phase::In(now);
                // The failures count until the network has proved to be a good one.
                self.last = None;
                self.of_kind = 0;
                Some("In the Wi-Fi network")
            }
            (Input::Failed(failure), _) => {
                self.failed(failure, now);
                self.of_kind = if self.last == Some(failure) { self.of_kind.saturating_add(1) } else { 0 };
                self.last = Some(failure);
                self.of_kind.is_multiple_of(TELL_EVERY).then_some(text(failure))
            }
            (Input::Lost, Phase::In(since)) => {
                if now.saturating_sub(since) >= GOOD_AFTER {
                    (self.failures, self.refused) = (0, 0);
                    self.phase = Phase::Out(now);
                } else {
                    self.failed(Failure::NoAnswer, now);
                }
                Some("Out of the Wi-Fi network: joining it again")
            }
            (Input::Lost, Phase::Out(_)) => None,
        }
    }

    fn failed(&mut self, failure: Failure, now: Duration) {
        // A refused key is not the next of failures of another kind: a night without an access point, and then one lost
        // message of the key, would wait for minutes.
        let (first, most, before) = match failure {
            Failure::KeyRefused => (WAIT_REFUSED_FIRST, WAIT_REFUSED_MAX, self.refused),
            _ => (WAIT_FIRST, WAIT_MAX, self.failures),
        };
        let doubled = first.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.refused = self.refused.saturating_add(u32::from(failure == Failure::KeyRefused));
        self.phase = Phase::Out(now.saturating_add(doubled.min(most)));
    }
}

/// What a failure is on the console, and what to do.
const fn text(failure: Failure) -> &'static str {
    match failure {
        Failure::NotFound => {
            "No such Wi-Fi network is near: check its name and that it has 2.4 GHz and a key as the board's; trying on"
        }
        Failure::KeyRefused => {
            "The Wi-Fi network refused the key: check it, and provision the board again; trying on"
        }
        Failure::Refused => {
            "The Wi-Fi network refused the board: check what its access point allows; trying on"
        }
        Failure::NoAnswer => {
            "The Wi-Fi network does not answer: bring board and access point nearer to each other; trying on"
        }
    }
}

#[cfg(test)]
mod tests;
