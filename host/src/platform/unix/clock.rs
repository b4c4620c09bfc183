//! A clock that counts the time a machine sleeps.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: Option<ClockId> = Some(ClockId::Boottime);

/// Of macOS, whose monotonic clock goes on while the machine sleeps (`clock_gettime(3)`); std's does not.
#[cfg(target_vendor = "apple")]
const CLOCK: Option<ClockId> = Some(ClockId::Monotonic);

/// On other systems std's clock is used, which on some of them stands still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
const CLOCK: Option<ClockId> = None;

/// Time since a moment in the past that stays the same for as long as the process runs.
pub(crate) fn since_boot() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let Some(clock) = CLOCK else { return ORIGIN.elapsed() };
    let time = clock_gettime(clock);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_clock_that_counts_suspend() {
        // The kernel shows the same clock, to a hundredth of a second, as the first number here.
        let before = since_boot().as_millis();
        let shown = std::fs::read_to_string("/proc/uptime").unwrap();
        let after = since_boot().as_millis();
        let uptime = shown.split(' ').next().unwrap().replace('.', "").parse::<u128>().unwrap() * 10;
        assert!(uptime + 10 >= before && uptime <= after, "{uptime} {before}");
    }
}
