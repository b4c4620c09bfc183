//! Both ends of one handshake, each against recorded messages of the other.

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::session::{Channel, ClientHandshake, ServerHandshake};
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{CLIENT_HELLO_LEN, GREETING_LEN, SERVER_HELLO_LEN};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// The messages of a handshake, so that either end can be replayed alone: from the same seed it draws the
/// same nonce and scalar, so the recorded messages of the other end still match.
pub struct Handshake {
    prs: Prs,
    message1: [u8; GREETING_LEN],
    message2: [u8; CLIENT_HELLO_LEN],
    message3: [u8; SERVER_HELLO_LEN],
}

/// A server after its greeting, and the generator of its scalar.
pub struct Waiting {
    greeted: ServerHandshake,
    rng: ChaCha8Rng,
}

impl Handshake {
    /// Runs it once and records the messages.
    pub fn new() -> Self {
        let prs = RoomSecret::new([1; 32]).prs();
        let Waiting { greeted, mut rng } = greet();
        let message1 = *greeted.greeting();
        let (client, message2) = start(&message1, &prs);
        let (_, message3) = greeted.answer(&message2, &prs, &mut rng).unwrap();
        client.finish(&message3).unwrap();
        Self { prs, message1, message2, message3 }
    }

    /// Message 1 at the server: draws a nonce.
    pub fn greet(&self) -> Waiting {
        greet()
    }

    /// Message 1 in and message 2 out at the client: the CPace generator, a scalar, a share.
    pub fn start(&self) -> ClientHandshake {
        start(&self.message1, &self.prs).0
    }

    /// Message 2 in and message 3 out at the server: all computation that a stranger can cause.
    pub fn answer(&self, waiting: Waiting) -> Channel {
        let Waiting { greeted, mut rng } = waiting;
        greeted.answer(&self.message2, &self.prs, &mut rng).unwrap().0
    }

    /// Message 3 in at the client: the peer's share, and the keys.
    pub fn finish(&self, client: ClientHandshake) -> Channel {
        client.finish(&self.message3).unwrap()
    }

    /// The transcript for the key schedule.
    pub fn messages(&self) -> [&[u8]; 3] {
        [&self.message1, &self.message2, &self.message3]
    }
}

fn greet() -> Waiting {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let greeted = ServerHandshake::new(Instance::random(&mut rng), &mut rng);
    Waiting { greeted, rng }
}

fn start(message1: &[u8; GREETING_LEN], prs: &Prs) -> (ClientHandshake, [u8; CLIENT_HELLO_LEN]) {
    ClientHandshake::start(message1, None, None, prs, &mut ChaCha8Rng::seed_from_u64(2)).unwrap()
}
