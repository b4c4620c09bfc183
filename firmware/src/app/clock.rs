//! The board's clock, as core counts time.

use deaddrop_core::time::Instant;
use embassy_time::Timer;

/// This moment.
pub(super) fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}

/// Waits for a moment.
pub(super) async fn at(moment: Instant) {
    Timer::at(embassy_time::Instant::from_millis(moment.as_millis())).await;
}
