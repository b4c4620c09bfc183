//! The clock that TTLs run on.

use deaddrop_core::time::Instant;

/// The present moment on a clock that never runs backwards and counts the time the machine sleeps:
/// a drop with a TTL of two minutes is gone when the lid is opened an hour later.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn now() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    Instant::from_millis(seconds.saturating_mul(1_000).saturating_add(millis))
}

/// The present moment on std's clock, which on some systems stands still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Instant {
    use std::sync::LazyLock;
    static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    Instant::from_millis(u64::try_from(ORIGIN.elapsed().as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let first = now();
        assert!((0..1_000).map(|_| now()).all(|later| later >= first));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_the_clock_that_counts_suspend() {
        // The kernel shows the same clock, to a hundredth of a second, as the first number here.
        let before = now();
        let shown = std::fs::read_to_string("/proc/uptime").unwrap();
        let after = now();
        let uptime = shown.split(' ').next().unwrap().replace('.', "").parse::<u64>().unwrap() * 10;
        assert!(uptime + 10 >= before.as_millis() && uptime <= after.as_millis(), "{uptime} {before:?}");
    }
}
