//! The cost model of handshakes, which are charged to a processor and not computed.
//!
//! The charges are the times of core's handshake where `docs/scale.md` was written, rounded up, plus the
//! system calls around it. [`measure`] measures this machine.

use std::time::{Duration, Instant};

use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::session::{ClientHandshake, ServerHandshake};
use deaddrop_core::token::Instance;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::queue::Micros;

/// A server accepts and greets.
pub(crate) const ACCEPT: Micros = 50;
/// A client draws its scalar and computes Ya.
pub(crate) const MESSAGE_2: Micros = 120;
/// A server computes Yb and the keys.
pub(crate) const MESSAGE_3: Micros = 220;
/// A client computes the keys and seals its request.
pub(crate) const MESSAGE_4: Micros = 150;
/// A server opens the request and seals a list of eight records.
pub(crate) const LIST: Micros = 80;
/// A client opens the list.
pub(crate) const SHOW: Micros = 60;
/// Handling of a message without computation.
pub(crate) const GLANCE: Micros = 10;

/// The listen backlog; the SYN of a further connection is dropped.
pub(crate) const BACKLOG: usize = 128;
/// A dropped SYN is retransmitted after this.
pub(crate) const SYN_AGAIN: Micros = 1_000_000;

/// The times to compute messages 2, 3 and 4 on this machine: medians of many handshakes.
pub(crate) fn measure() -> [Duration; 3] {
    const ROUNDS: usize = 1_001;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let prs = Prs::new([7; 32]);
    let mut took: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let greeted = ServerHandshake::new(Instance::random(&mut rng), &mut rng);
        let greeting = *greeted.greeting();
        let begun = Instant::now();
        let (client, message2) = ClientHandshake::start(&greeting, None, None, &prs, &mut rng).unwrap();
        took[0].push(begun.elapsed());
        let begun = Instant::now();
        let (_, message3) = greeted.answer(&message2, &prs, &mut rng).unwrap();
        took[1].push(begun.elapsed());
        let begun = Instant::now();
        let _ = client.finish(&message3).unwrap();
        took[2].push(begun.elapsed());
    }
    took.map(|mut took| {
        took.sort_unstable();
        took[ROUNDS / 2]
    })
}
