//! Retry-after as a wire value: whole milliseconds.

use core::time::Duration;

/// `after` as a wire value: rounded up, so that no client retries too early, and clamped to 1 to `max`,
/// because 0 means "not busy". A client that needs to wait longer is told again.
pub(super) fn to_wire(after: Duration, max: u32) -> u32 {
    // Not `as_nanos`: a 128-bit division costs a board 800 bytes of code.
    let millis = after.as_secs().saturating_mul(1_000);
    let millis = millis.saturating_add(after.subsec_nanos().div_ceil(1_000_000).into());
    u32::try_from(millis).unwrap_or(u32::MAX).clamp(1, max.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_up_and_stays_within_its_bounds() {
        for (nanos, ms) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (4_999_999, 5), (5_000_001, 5)] {
            assert_eq!(to_wire(Duration::from_nanos(nanos), 5), ms, "{nanos}");
        }
        assert_eq!(to_wire(Duration::MAX, u32::MAX), u32::MAX);
        assert_eq!(to_wire(Duration::MAX, u32::from(u16::MAX)), 65_535);
    }
}
