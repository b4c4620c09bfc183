//! A clock that counts the time a machine sleeps.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Time since a moment in the past that stays the same for as long as the process runs. std's clock is the performance
/// counter here, which counts on while the machine sleeps.
pub(crate) fn since_boot() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed()
}
