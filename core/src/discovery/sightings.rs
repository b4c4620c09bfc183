//! Which unknown peers were heard before (protocol.md, section 3.4).
//!
//! A sender repeats its first beacon after 250 ms. A flood of forged beacons that are each sent once has no
//! repetitions, so what is heard again is probed first, and gets a place in a full table. The memory holds a
//! fingerprint of each triple, so that it outlasts a flood in little memory.

use core::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;

use crate::limits::HEARD_AGAIN_AFTER;
use crate::time::Instant;
use crate::token::Instance;

/// Bits of a slot that hold the time.
const TIME_BITS: u32 = 12;
/// Bits that hold the fingerprint.
const FINGERPRINT_BITS: u32 = 32 - TIME_BITS;
/// Milliseconds of a unit of that time, as a power of two: it wraps after 32 s.
const UNIT_BITS: u32 = 3;
/// Slots of a set: a triple displaces the oldest of its set, so that a set keeps what was heard last.
const WAYS: usize = 16;
/// Units after which a triple is heard again.
#[expect(clippy::cast_possible_truncation, reason = "a constant of some milliseconds")]
const APART: u32 = (HEARD_AGAIN_AFTER.as_millis() >> UNIT_BITS) as u32;

/// A memory of about the last `S` triples; a multiple of 16.
pub(super) struct Sightings<const S: usize> {
    slots: [u32; S],
    /// Drawn with the first beacon, so that nobody can choose triples that share a set.
    key: u64,
}

impl<const S: usize> Sightings<S> {
    pub(super) const fn new() -> Self {
        Self { slots: [0; S], key: 0 }
    }

    /// Notes a triple; whether it was heard before, some time ago.
    pub(super) fn again(
        &mut self,
        now: Instant,
        address: SocketAddr,
        instance: Instance,
        rng: &mut impl CryptoRng,
    ) -> bool {
        if self.key == 0 {
            self.key = rng.next_u64() | 1;
        }
        let ip = match address.ip() {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            #[expect(clippy::cast_possible_truncation, reason = "the prefix is the same for all")]
            IpAddr::V6(v6) => v6.to_bits() as u64,
        };
        // The upper bits of a product depend on all bits of its factors, the lower ones on fewer. Twice, because
        // an address could be chosen that undoes the difference of two instances.
        let mixed = (u64::from_ne_bytes(*instance.as_bytes()) ^ self.key).wrapping_mul(self.key);
        let mixed = (mixed ^ (mixed >> 32) ^ (ip << 16) ^ u64::from(address.port())).wrapping_mul(self.key);
        let hash = low((mixed ^ (mixed >> 32)).wrapping_mul(self.key) >> 32);
        let fingerprint = hash << TIME_BITS;
        let time = low(now.as_millis() >> UNIT_BITS) & ((1 << TIME_BITS) - 1);
        let age = |slot: u32| time.wrapping_sub(slot) & ((1 << TIME_BITS) - 1);
        let set = (hash >> FINGERPRINT_BITS) as usize % (S / WAYS).max(1);
        let Some(set) = self.slots.chunks_exact_mut(WAYS).nth(set) else { return false };
        if let Some(slot) = set.iter().find(|slot| (**slot ^ fingerprint) >> TIME_BITS == 0) {
            return age(*slot) >= APART;
        }
        if let Some(oldest) = set.iter_mut().max_by_key(|slot| age(**slot)) {
            *oldest = fingerprint | time;
        }
        false
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is not wanted")]
fn low(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    fn triple(n: u64) -> (SocketAddr, Instance) {
        (SocketAddr::from(([10, 0, 0, 1], 5_000)), Instance::from_bytes(n.to_be_bytes()))
    }

    #[test]
    fn copies_of_one_beacon_are_no_repetition() {
        let mut sightings = Sightings::<16>::new();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut hear = |ms: u64, (address, instance)| {
            sightings.again(Instant::from_millis(1_000_000 + ms), address, instance, &mut rng)
        };
        assert!(!hear(0, triple(1)));
        assert!(!hear(2, triple(1)));
        assert!(!hear(80, triple(1)));
        assert!(hear(250, triple(1)));
        assert!(!hear(250, triple(2)), "another instance");
        let (mut address, instance) = triple(2);
        address.set_port(5_001);
        assert!(!hear(500, (address, instance)), "another port");
        let elsewhere = SocketAddr::from(([10, 0, 0, 2], 5_000));
        assert!(!hear(500, (elsewhere, instance)), "another address");
    }

    #[test]
    fn a_flood_that_repeats_nothing_hides_few_repetitions_and_makes_few() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut sightings = std::boxed::Box::new(Sightings::<65_536>::new());
        let (mut recognised, mut mistaken) = (0, 0);
        for round in 0..40_u64 {
            let (address, own) = triple(round + 1);
            for ms in 0..250 {
                let now = Instant::from_millis(1_000_000 + round * 250 + ms);
                if ms == 0 {
                    sightings.again(now, address, own, &mut rng);
                }
                for _ in 0..30 {
                    let forged = triple(rng.next_u64()).1;
                    mistaken += usize::from(sightings.again(now, address, forged, &mut rng));
                }
            }
            let now = Instant::from_millis(1_000_000 + round * 250 + 250);
            recognised += usize::from(sightings.again(now, address, own, &mut rng));
        }
        assert_eq!(recognised, 40);
        assert!(mistaken <= 10, "{mistaken} of 300,000");
    }
}
