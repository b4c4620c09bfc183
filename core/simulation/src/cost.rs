//! What a handshake costs a processor. Handshakes are charged, not computed.
//!
//! The charges are what core's own handshake took where `docs/scale.md` was written, rounded up, and what the
//! system takes for the calls around it. [`measure`] shows what it takes elsewhere.

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
/// A side only looks at what came.
pub(crate) const GLANCE: Micros = 10;

/// Connections that wait to be accepted; the system drops the next one's first segment.
pub(crate) const BACKLOG: usize = 128;
/// A dropped first segment is sent once more after this.
pub(crate) const SYN_AGAIN: Micros = 1_000_000;

/// What the messages 2, 3 and 4 take to compute on this machine: the medians of many handshakes.
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
