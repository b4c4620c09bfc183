//! Jitter entropy: random bytes from a free-running ring oscillator that is sampled one bit at a time.
//!
//! The samples are biased and correlated, and no data sheet promises their entropy. So SHA-512 conditions 8,192 samples
//! into each 32 bytes: twice what is needed if a sample has 1/16 bit of min-entropy, the assumed minimum. The samples
//! pass the two health tests of NIST SP 800-90B, section 4.4, with cut-offs for that entropy and a false-positive rate
//! of 2^-30. The result is not used alone: it is mixed with the seed.

use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use super::entropy::{HardwareEntropy, NoEntropy};

/// Samples for one fill.
const BITS: usize = 8_192;
/// Cut-off of the repetition count test: this many equal samples in a row fail. 1 + 30 / (1/16).
const REPETITIONS: u32 = 481;
/// Window of the adaptive proportion test, in samples.
const WINDOW: u32 = 1_024;
/// Cut-off of the adaptive proportion test: this many samples of a window equal to its first fail. Independent samples,
/// each equal with p = 2^(-1/16), reach it in one window of 2^30.
const PROPORTION: u32 = 1_014;

/// A generator that takes samples with `F`. The caller chooses the time between two: long against the oscillator's
/// period.
pub struct JitterEntropy<F>(F);

impl<F: FnMut() -> bool> JitterEntropy<F> {
    /// `read` takes one sample.
    pub const fn new(read: F) -> Self {
        Self(read)
    }
}

impl<F: FnMut() -> bool> HardwareEntropy for JitterEntropy<F> {
    fn fill(&mut self, to: &mut [u8; 32]) -> Result<(), NoEntropy> {
        let mut health = Health::default();
        let mut hash = Sha512::new();
        let mut healthy = true;
        for _ in 0..BITS / 8 {
            let mut byte = 0_u8;
            for _ in 0..8 {
                let bit = (self.0)();
                healthy &= health.takes(bit);
                byte = byte << 1 | u8::from(bit);
            }
            hash.update([byte]);
        }
        let mut digest = hash.finalize();
        for (to, from) in to.iter_mut().zip(&digest) {
            *to = *from;
        }
        digest.as_mut_slice().zeroize();
        if healthy { Ok(()) } else { Err(NoEntropy) }
    }

    fn stands_alone(&self) -> bool {
        false
    }
}

/// The two health tests, over one fill.
#[derive(Default)]
struct Health {
    last: Option<bool>,
    repeated: u32,
    first: bool,
    seen: u32,
    same: u32,
}

impl Health {
    /// Adds a sample. False if a test fails.
    fn takes(&mut self, bit: bool) -> bool {
        self.repeated = if self.last == Some(bit) { self.repeated + 1 } else { 1 };
        self.last = Some(bit);
        if self.seen == 0 {
            self.first = bit;
            self.same = 0;
        }
        self.same += u32::from(bit == self.first);
        self.seen = (self.seen + 1) % WINDOW;
        self.repeated < REPETITIONS && self.same < PROPORTION
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    fn filled(read: impl FnMut() -> bool) -> Result<[u8; 32], NoEntropy> {
        let mut bytes = [0; 32];
        JitterEntropy::new(read).fill(&mut bytes).map(|()| bytes)
    }

    /// Bits that are one with this probability of 2^32.
    fn biased(seed: u64, ones: u32) -> impl FnMut() -> bool {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        move || rng.next_u32() < ones
    }

    #[test]
    fn bits_of_some_worth_are_taken_and_each_counts() {
        for ones in [1 << 31, 1 << 29, 3 << 30] {
            assert_ne!(filled(biased(1, ones)).unwrap(), filled(biased(2, ones)).unwrap());
        }
        let mut bits = 0;
        filled(|| {
            bits += 1;
            bits % 2 == 0
        })
        .unwrap();
        assert_eq!(bits, BITS);
        // The last one too.
        let with_last = |last| {
            let mut read = biased(1, 1 << 31);
            let mut at = 0;
            filled(move || {
                at += 1;
                let bit = read();
                if at == BITS { last } else { bit }
            })
            .unwrap()
        };
        assert_ne!(with_last(false), with_last(true));
    }

    #[test]
    fn an_oscillator_that_stands_still_fails() {
        assert_eq!(filled(|| false), Err(NoEntropy));
        assert_eq!(filled(|| true), Err(NoEntropy));
        // And one that stands still for a while only.
        let still = |length: u32, from: u32| {
            let mut read = biased(1, 1 << 31);
            let mut at = 0;
            filled(move || {
                at += 1;
                // Other bits around it, so that its length is what is said.
                let bit = read();
                if at == from - 1 || at == from + length {
                    false
                } else {
                    (from..from + length).contains(&at) || bit
                }
            })
        };
        for from in [2, 500, 7_000] {
            assert!(still(REPETITIONS - 1, from).is_ok(), "{from}");
            assert_eq!(still(REPETITIONS, from), Err(NoEntropy), "{from}");
        }
    }

    #[test]
    fn one_that_hardly_ever_changes_fails() {
        // A change every 400 bits, back after one: no long repetition, and nothing to be had from it.
        let every = |period: u32| {
            let mut at = 0_u32;
            filled(move || {
                at += 1;
                at.is_multiple_of(period)
            })
        };
        assert_eq!(every(400), Err(NoEntropy));
        assert!(every(20).is_ok());
    }

    #[test]
    fn it_does_not_stand_alone() {
        assert!(!JitterEntropy::new(|| true).stands_alone());
    }
}
