//! Uniform random choices, drawn from the front end's generator.

use core::time::Duration;

use rand_core::CryptoRng;

/// A number below `n`; 0 if `n` is 0. The bias is below n / 2^32.
pub(crate) fn below(rng: &mut impl CryptoRng, n: u32) -> u32 {
    u32::try_from((u64::from(rng.next_u32()) * u64::from(n)) >> 32).unwrap_or(0)
}

/// A random duration of whole milliseconds from zero to `most`, both inclusive.
pub(crate) fn up_to(rng: &mut impl CryptoRng, most: Duration) -> Duration {
    let ms = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
    Duration::from_millis(u64::from(below(rng, ms.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    #[test]
    fn both_bounds_are_reached_and_never_exceeded() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[usize::try_from(up_to(&mut rng, Duration::from_millis(3)).as_millis()).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(below(&mut rng, 0), 0);
        assert_eq!(up_to(&mut rng, Duration::ZERO), Duration::ZERO);
    }
}
