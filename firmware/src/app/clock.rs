//! The clock of `embassy_time` as core's [`Instant`].

use deaddrop_core::time::Instant;
use embassy_time::Timer;

/// The current time.
// Not inlined: it divides 64 bits, and is called in many places.
#[inline(never)]
pub(super) fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}

/// Waits until `moment`.
pub(super) async fn at(moment: Instant) {
    Timer::at(embassy_time::Instant::from_millis(moment.as_millis())).await;
}
