//! The handshake as a typestate: each step consumes itself and returns the next, so that a wrong
//! order does not compile and a scalar is used once.

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

/// The label that begins CPace's channel identifier.
const LABEL: &[u8] = b"deaddrop/1";
/// `lv_cat("deaddrop/1", greeting without nonce, suite)`: three lengths of one byte each.
const CI_LEN: usize = 1 + LABEL.len() + 1 + GREETING_FIXED_LEN + 1 + 1;

/// Both directions of an agreed connection.
pub struct Channel {
    /// Seals what we say.
    pub sealer: Sealer,
    /// Opens what the peer says.
    pub opener: Opener,
}

impl Channel {
    /// The same keys under another implementation of the cipher.
    pub(crate) fn use_cipher(&mut self, cipher: &'static dyn Cipher) {
        self.sealer.use_cipher(cipher);
        self.opener.use_cipher(cipher);
    }
}

/// Why a handshake went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HandshakeError {
    /// The greeting is not one of ours.
    Greeting(GreetingError),
    /// The server cannot answer now.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Another process answers there than the beacon spoke of.
    OtherInstance,
    /// We connected to ourselves.
    OwnInstance,
    /// The server offers no suite that we have.
    NoSuite,
    /// Message 2 is not one of ours.
    Hello(HelloError),
    /// The peer's share is not a point of the group, or is its identity.
    Share,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting(e) => write!(f, "{e}"),
            Self::Busy { retry_after } => {
                write!(f, "the sender is busy: try again in {} ms", retry_after.as_millis())
            }
            Self::OtherInstance => f.write_str("another process answers there now: look for offers again"),
            Self::OwnInstance => f.write_str("that is this very process"),
            Self::NoSuite => {
                f.write_str("the sender offers no cipher suite of this version: update one of the two")
            }
            Self::Hello(e) => write!(f, "{e}"),
            Self::Share => f.write_str("the peer's handshake share is not a valid group element"),
        }
    }
}

impl core::error::Error for HandshakeError {}

/// The channel identifier both ends feed to CPace.
fn channel_id(greeting: &[u8; GREETING_LEN], suite: u8) -> [u8; CI_LEN] {
    let mut ci = [0; CI_LEN];
    let fixed = greeting.get(..GREETING_FIXED_LEN).unwrap_or_default();
    let mut at = ci.iter_mut();
    for part in [LABEL, fixed, &[suite]] {
        // Each part is shorter than 128 bytes, so its LEB128 length is one byte.
        let len = u8::try_from(part.len()).unwrap_or(0);
        // The source first: the side that ends the zip must not be `at`, or a place in it is lost.
        for (from, to) in core::iter::once(&len).chain(part).zip(at.by_ref()) {
            *to = *from;
        }
    }
    ci
}

/// CPace's session identifier: the server's nonce, then the client's.
fn session_id(server: &[u8; 16], client: &[u8; 16]) -> [u8; 32] {
    let mut sid = [0; 32];
    for (to, from) in sid.iter_mut().zip(server.iter().chain(client)) {
        *to = *from;
    }
    sid
}

/// A server that has sent its greeting.
pub struct ServerHandshake {
    greeting: [u8; GREETING_LEN],
    nonce: [u8; 16],
}

impl ServerHandshake {
    /// Draws a nonce; the greeting to send is [`ServerHandshake::greeting`].
    pub fn new(instance: Instance, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let greeting = Greeting { status: Status::Ok, suites: Suites::SUPPORTED, instance, nonce };
        Self { greeting: greeting.emit(), nonce }
    }

    /// Message 1.
    pub const fn greeting(&self) -> &[u8; GREETING_LEN] {
        &self.greeting
    }

    /// Takes message 2 and gives message 3. It costs the one who asks a guess: spend it first.
    #[inline(never)]
    pub fn answer(
        self,
        message2: &[u8; CLIENT_HELLO_LEN],
        prs: &Prs,
        rng: &mut impl CryptoRng,
    ) -> Result<(Channel, [u8; SERVER_HELLO_LEN]), HandshakeError> {
        let hello = ClientHello::parse(message2).map_err(HandshakeError::Hello)?;
        let ci = channel_id(&self.greeting, hello.suite.code());
        let sid = session_id(&self.nonce, &hello.nonce);
        let exchange = Exchange::start(prs, &ci, &sid, rng);
        let message3 = ServerHello { share: *exchange.share() }.emit();
        let isk = exchange.finish_responder(&hello.share).map_err(|_| HandshakeError::Share)?;
        let keys = SessionKeys::derive(isk, &transcript(&self.greeting, message2, &message3));
        Ok((Channel { sealer: Sealer::new(keys.s2c), opener: Opener::new(keys.c2s) }, message3))
    }
}

/// A client that has sent message 2.
pub struct ClientHandshake {
    exchange: Exchange,
    greeting: [u8; GREETING_LEN],
    message2: [u8; CLIENT_HELLO_LEN],
}

impl ClientHandshake {
    /// Takes message 1 and gives message 2.
    ///
    /// `expected` is the instance a beacon spoke of, `own` that of this process.
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

    /// Takes message 3. The server has proved nothing yet: its first record does.
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
