//! What a board's owner may choose.

use core::time::Duration;

/// How the app behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether messages are fetched as they are offered, from the start. The console can change it.
    pub auto: bool,
    /// How long a drop of this board may be claimed: 1 second to 7 days.
    pub ttl: Duration,
    /// A handshake message is answered this long after it came, not sooner. On parts whose multiplication takes
    /// longer for some numbers than for others it has to be longer than the answer ever takes to compute, so that
    /// the time of the answer tells nothing; on others it is zero.
    pub reply_delay: Duration,
}

impl Default for Settings {
    /// Messages wait to be fetched by hand, drops live for ten minutes, and answers are not delayed.
    fn default() -> Self {
        Self { auto: false, ttl: Duration::from_secs(600), reply_delay: Duration::ZERO }
    }
}
