//! A clock that counts the time a machine sleeps.

use std::time::Duration;

/// Time since a moment in the past that stays the same for as long as the process runs.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// The same on std's clock, which on some of these systems stands still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn since_boot() -> Duration {
    use std::sync::LazyLock;
    static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    ORIGIN.elapsed()
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
