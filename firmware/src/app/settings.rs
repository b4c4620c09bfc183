//! Settings of the app.

use core::time::Duration;

/// How the app behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether messages are fetched as they are offered. The console can change it later.
    pub auto: bool,
    /// How long a drop of this board may be claimed: 1 second to 7 days.
    pub ttl: Duration,
    /// Fixed delay between a handshake message and its reply. On parts whose multiply instruction takes data-dependent
    /// time (Cortex-M3), what [`measured_reply_delay`](super::measured_reply_delay) gives, so that timing reveals nothing
    /// about the secret operands. Zero elsewhere.
    pub reply_delay: Duration,
}

impl Default for Settings {
    /// Messages wait to be fetched by hand, drops live for ten minutes, and answers are not delayed.
    fn default() -> Self {
        Self { auto: false, ttl: Duration::from_secs(600), reply_delay: Duration::ZERO }
    }
}
