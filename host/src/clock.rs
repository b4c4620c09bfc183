//! The clock that TTLs run on.

use deaddrop_core::time::Instant;

use crate::platform;

/// The present moment on a clock that never runs backwards and counts the time the machine sleeps:
/// a drop with a TTL of two minutes is gone when the lid is opened an hour later.
pub(crate) fn now() -> Instant {
    Instant::from_millis(u64::try_from(platform::since_boot().as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let first = now();
        assert!((0..1_000).map(|_| now()).all(|later| later >= first));
    }
}
