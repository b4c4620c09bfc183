//! Checks the product of 64 bits, which a core without a long multiply has from `deaddrop-long-multiply`.

use core::hint::black_box;

use chacha20::ChaCha20Rng;
use rand_core::Rng;

/// Where carries start and end.
const EDGES: [u64; 12] = [
    0,
    1,
    0xFFFF,
    0x1_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x1_0000_FFFF,
    0xFFFF_0000_FFFF,
    0x8000_0000_8000_0000,
    0xFFFF_FFFF_0000_0000,
    0xFFFE_FFFF_FFFE_FFFF,
    u64::MAX,
];
const RANDOM: usize = 2_000;

/// Whether every product is right.
pub(crate) fn is_right(rng: &mut ChaCha20Rng) -> bool {
    let edges = EDGES.into_iter().flat_map(|a| EDGES.into_iter().map(move |b| (a, b)));
    let random = core::iter::repeat_with(|| (rng.next_u64(), rng.next_u64())).take(RANDOM);
    // Products of 32 by 32 bits too: what a handshake needs.
    edges
        .chain(random)
        .all(|(a, b)| is_product(a, b) && is_product(a >> 32, b >> 32) && is_product(a, b >> 32))
}

/// Hidden from the compiler, which else would know the product.
fn is_product(a: u64, b: u64) -> bool {
    black_box(a).wrapping_mul(black_box(b)) == by_additions(a, b)
}

/// The product without a multiply instruction.
fn by_additions(mut a: u64, mut b: u64) -> u64 {
    let mut sum: u64 = 0;
    while b != 0 {
        if b & 1 == 1 {
            sum = sum.wrapping_add(a);
        }
        a <<= 1;
        // Hidden, so that this loop is not recognised as a multiplication.
        b = black_box(b >> 1);
    }
    sum
}
