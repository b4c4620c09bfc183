//! The handshake as a typestate (protocol.md, section 4): each step consumes itself and returns the next, so
//! that a wrong order does not compile and a scalar is used once.

use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::crypto::cipher::Cipher;
use crate::crypto::cpace::Exchange;
use crate::crypto::keys::{Prs, SessionKeys, transcript};
use crate::crypto::record::{Opener, Sealer};
use crate::token::Instance;
use crate::wire::{CLIENT_HELLO_LEN, ClientHello, HelloError, SERVER_HELLO_LEN, ServerHello};
use crate::wire::{GREETING_FIXED_LEN, GREETING_LEN, Greeting, GreetingError, Status, Suites};

/// The suites that a server offers, and takes from a client.
const OFFERED: Suites = Suites::SUPPORTED;
/// The label that begins CPace's channel identifier.
const LABEL: &[u8] = b"deaddrop/1";
/// `lv_cat("deaddrop/1", greeting without nonce, suite)`: three lengths of one byte each.
const CI_LEN: usize = 1 + LABEL.len() + 1 + GREETING_FIXED_LEN + 1 + 1;

/// The sealer and opener of an established connection.
pub struct Channel {
    /// Seals what we send.
    pub sealer: Sealer,
    /// Opens what the peer sends.
    pub opener: Opener,
}

impl Channel {
    /// The same keys under another implementation of the cipher.
    pub(crate) fn use_cipher(&mut self, cipher: &'static dyn Cipher) {
        self.sealer.use_cipher(cipher);
        self.opener.use_cipher(cipher);
    }
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HandshakeError {
    /// The greeting is malformed.
    Greeting(GreetingError),
    /// The server is busy.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The greeting has another instance than the beacon.
    OtherInstance,
    /// The greeting has our own instance: we connected to ourselves.
    OwnInstance,
    /// There is no common suite.
    NoSuite,
    /// Message 2 is malformed.
    Hello(HelloError),
    /// The peer's share does not decode, or the product is the identity.
    Share,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting(e) => write!(f, "{e}"),
            Self::Busy { retry_after } => {
                write!(f, "the sender is busy, with a retry-after of {} ms", retry_after.as_millis())
            }
            Self::OtherInstance => f.write_str("the greeting has another instance than the beacon"),
            Self::OwnInstance => f.write_str("the greeting has our own instance"),
            Self::NoSuite => f.write_str("there is no common cipher suite"),
            Self::Hello(e) => write!(f, "{e}"),
            Self::Share => f.write_str("the peer's share is not a valid group element"),
        }
    }
}

impl core::error::Error for HandshakeError {}

/// CPace's channel identifier (CI).
fn channel_id(greeting: &[u8; GREETING_LEN], suite: u8) -> [u8; CI_LEN] {
    let mut ci = [0; CI_LEN];
    let fixed = greeting.get(..GREETING_FIXED_LEN).unwrap_or_default();
    let mut at = ci.iter_mut();
    for part in [LABEL, fixed, &[suite]] {
        // Each part is shorter than 128 bytes, so its LEB128 length is one byte.
        let len = u8::try_from(part.len()).unwrap_or(0);
        // The source comes first: a zip that ends on its other side would drop an element of `at`.
        for (from, to) in core::iter::once(&len).chain(part).zip(at.by_ref()) {
            *to = *from;
        }
    }
    ci
}

/// CPace's session identifier (sid): the server's nonce, then the client's.
fn session_id(server: &[u8; 16], client: &[u8; 16]) -> [u8; 32] {
    let mut sid = [0; 32];
    for (to, from) in sid.iter_mut().zip(server.iter().chain(client)) {
        *to = *from;
    }
    sid
}

/// A server after message 1.
pub struct ServerHandshake {
    greeting: [u8; GREETING_LEN],
    nonce: [u8; 16],
}

impl ServerHandshake {
    /// Draws a nonce. The greeting to send is [`ServerHandshake::greeting`].
    pub fn new(instance: Instance, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let greeting = Greeting { status: Status::Ok, suites: OFFERED, instance, nonce };
        Self { greeting: greeting.emit(), nonce }
    }

    /// Message 1.
    pub const fn greeting(&self) -> &[u8; GREETING_LEN] {
        &self.greeting
    }

    /// Handles message 2 and returns message 3, which lets the client test one guess: take a guess token
    /// first.
    pub fn answer(
        self,
        message2: &[u8; CLIENT_HELLO_LEN],
        prs: &Prs,
        rng: &mut impl CryptoRng,
    ) -> Result<(Channel, [u8; SERVER_HELLO_LEN]), HandshakeError> {
        self.share(message2, prs, rng)?.key()
    }

    /// The first half of [`answer`](Self::answer), with one of its two scalar multiplications. A processor on which each
    /// takes long can do something else in between.
    #[inline(never)]
    pub fn share(
        self,
        message2: &[u8; CLIENT_HELLO_LEN],
        prs: &Prs,
        rng: &mut impl CryptoRng,
    ) -> Result<ServerShare, HandshakeError> {
        let hello = ClientHello::parse(message2, OFFERED).map_err(HandshakeError::Hello)?;
        let ci = channel_id(&self.greeting, hello.suite.code());
        let sid = session_id(&self.nonce, &hello.nonce);
        let exchange = Exchange::start(prs, &ci, &sid, rng);
        Ok(ServerShare { exchange, peer_share: hello.share, greeting: self.greeting, message2: *message2 })
    }
}

/// A server that has drawn its scalar and computed its share, and has not sent it.
pub struct ServerShare {
    exchange: Exchange,
    peer_share: [u8; 32],
    greeting: [u8; GREETING_LEN],
    message2: [u8; CLIENT_HELLO_LEN],
}

impl ServerShare {
    /// The second half of [`ServerHandshake::answer`]. There is no message 3 for a share that is not valid.
    #[inline(never)]
    ///
    /// By reference, so that who keeps it can drop it, and so wipe it, in its place. Call it once: with one share, every call
    /// gives the same keys.
    pub fn key(&self) -> Result<(Channel, [u8; SERVER_HELLO_LEN]), HandshakeError> {
        let message3 = ServerHello { share: *self.exchange.share() }.emit();
        let isk = self.exchange.finish_responder(&self.peer_share).map_err(|_| HandshakeError::Share)?;
        let keys = SessionKeys::derive(isk, &transcript(&self.greeting, &self.message2, &message3));
        Ok((Channel { sealer: Sealer::new(keys.s2c), opener: Opener::new(keys.c2s) }, message3))
    }
}

/// A client after message 2.
pub struct ClientHandshake {
    exchange: Exchange,
    greeting: [u8; GREETING_LEN],
    message2: [u8; CLIENT_HELLO_LEN],
}

impl ClientHandshake {
    /// Handles message 1 and returns message 2.
    ///
    /// `expected` is the instance of the beacon, `own` that of this process.
    #[inline(never)]
    pub fn start(
        message1: &[u8; GREETING_LEN],
        expected: Option<Instance>,
        own: Option<Instance>,
        prs: &Prs,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, [u8; CLIENT_HELLO_LEN]), HandshakeError> {
        let greeting = Greeting::parse(message1).map_err(HandshakeError::Greeting)?;
        if own == Some(greeting.instance) {
            return Err(HandshakeError::OwnInstance);
        }
        if expected.is_some_and(|instance| instance != greeting.instance) {
            return Err(HandshakeError::OtherInstance);
        }
        if let Status::Busy { retry_after } = greeting.status {
            return Err(HandshakeError::Busy { retry_after });
        }
        let suite = greeting.suites.choose().ok_or(HandshakeError::NoSuite)?;
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let ci = channel_id(message1, suite.code());
        let exchange = Exchange::start(prs, &ci, &session_id(&greeting.nonce, &nonce), rng);
        let message2 = ClientHello { suite, nonce, share: *exchange.share() }.emit();
        Ok((Self { exchange, greeting: *message1, message2 }, message2))
    }

    /// Handles message 3. The server has proved nothing yet; its first record is the key confirmation.
    #[inline(never)]
    pub fn finish(self, message3: &[u8; SERVER_HELLO_LEN]) -> Result<Channel, HandshakeError> {
        let hello = ServerHello::parse(message3).map_err(HandshakeError::Hello)?;
        let isk = self.exchange.finish_initiator(&hello.share).map_err(|_| HandshakeError::Share)?;
        let keys = SessionKeys::derive(isk, &transcript(&self.greeting, &self.message2, message3));
        Ok(Channel { sealer: Sealer::new(keys.c2s), opener: Opener::new(keys.s2c) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_id_holds_every_part_with_its_length() {
        let greeting: [u8; GREETING_LEN] = core::array::from_fn(|i| 0x40 + u8::try_from(i).unwrap());
        let ci = channel_id(&greeting, 1);
        assert_eq!(ci[..12], *b"\x0adeaddrop/1\x12");
        assert_eq!(ci[12..30], greeting[..GREETING_FIXED_LEN]);
        assert_eq!(ci[30..], [1, 1], "the suite is bound");
        assert_ne!(ci, channel_id(&greeting, 2));
    }

    #[test]
    fn the_session_id_holds_both_nonces() {
        let sid = session_id(&[1; 16], &[2; 16]);
        assert_eq!((sid[..16] == [1; 16], sid[16..] == [2; 16]), (true, true));
    }
}
