//! Content for drops: bytes without a pattern in which a wrong offset could hide.

/// `len` bytes of splitmix64 from this seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::from_fn(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(word ^ (word >> 31))
    });
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    for word in words.take(len.div_ceil(8)) {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_many_as_asked_for_and_differ_by_seed() {
        assert_eq!(noise(1, 13).len(), 13);
        assert_ne!(noise(1, 13), noise(2, 13));
        // The first output of splitmix64 from seed 0.
        assert_eq!(noise(0, 8), 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }
}
