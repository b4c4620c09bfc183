//! The record layout of a drop (protocol.md, section 5.1).

/// The division of a drop's bytes from `offset` on into records of `record` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordLayout {
    /// Where the final record begins; all before it are full data records.
    pub(crate) last_at: u64,
    /// Bytes in the final record: 1 to R, or 0 for an empty drop.
    pub(crate) last_len: u32,
}

impl RecordLayout {
    /// `offset` is below `size`, or both are 0; `record` is not 0.
    pub(crate) fn new(offset: u64, size: u64, record: u32) -> Self {
        let remaining = size.saturating_sub(offset);
        let record_len = u64::from(record.max(1));
        let full = remaining.saturating_sub(1) / record_len;
        let last_at = offset.saturating_add(full.saturating_mul(record_len));
        // The rest is at most `record`, which is a u32.
        Self { last_at, last_len: u32::try_from(size.saturating_sub(last_at)).unwrap_or(record) }
    }
}

/// The data record size R of a drop: within the limits of both sides, and no larger than the drop needs.
pub(crate) fn record_size(ours: u32, theirs: u32, size: u64) -> u32 {
    let needed = u32::try_from(size).ok().and_then(u32::checked_next_power_of_two).unwrap_or(u32::MAX);
    let most = ours.min(theirs).min(crate::limits::RECORD_MAX);
    // Their limit is any number from the minimum on: take the greatest power of two within it.
    let most = 1_u32 << most.max(1).ilog2();
    most.min(needed.max(crate::limits::RECORD_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_record_holds_what_is_left_and_never_nothing() {
        for (offset, size, record, last_at, last_len) in [
            (0, 0, 512, 0, 0),
            (0, 1, 512, 0, 1),
            (0, 512, 512, 0, 512),
            (0, 513, 512, 512, 1),
            (0, 65_535, 65_536, 0, 65_535),
            (0, 65_536, 65_536, 0, 65_536),
            (0, 65_537, 65_536, 65_536, 1),
            (100, 700, 512, 612, 88),
            (0, u64::MAX, 65_536, u64::MAX - 65_535, 65_535),
        ] {
            assert_eq!(
                RecordLayout::new(offset, size, record),
                RecordLayout { last_at, last_len },
                "{offset} {size} {record}"
            );
        }
    }

    #[test]
    fn record_sizes_fit_both_sides_and_the_drop() {
        for (ours, theirs, size, record) in [
            (65_536, 65_536, 0, 512),
            (65_536, 65_536, 512, 512),
            (65_536, 65_536, 513, 1_024),
            (65_536, 65_536, u64::MAX, 65_536),
            (65_536, 1_024, 1 << 30, 1_024),
            (1_024, 65_536, 1 << 30, 1_024),
            (65_536, 1_500, 1 << 30, 1_024),
            (65_536, u32::MAX, 1 << 30, 65_536),
        ] {
            assert_eq!(record_size(ours, theirs, size), record, "{ours} {theirs} {size}");
        }
    }
}
