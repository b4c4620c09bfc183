//! Message 1, server to client: instance, suites, and whether the server is busy (protocol.md, section 4.1).
//!
//! ```text
//! 0       4     5       6        8             10         18       34
//! "DDRP"  vers  status  suites   retry after   instance   nonce
//! ```
//!
//! The first [`GREETING_FIXED_LEN`] bytes, all but the nonce, are bound into the key exchange (CI).

use core::fmt;
use core::time::Duration;

use super::{MAGIC, retry};
use crate::limits::VERSION;
use crate::token::Instance;

/// Bytes of a greeting.
pub const GREETING_LEN: usize = 34;
/// Bytes of a greeting before its nonce.
pub const GREETING_FIXED_LEN: usize = 18;

/// A cipher suite: key exchange and AEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// CPace on ristretto255 with SHA-512, then records under ChaCha20-Poly1305.
    Ristretto255Sha512ChaCha20Poly1305,
}

impl Suite {
    /// Every suite of this version, the best first.
    const BEST_FIRST: [Self; 1] = [Self::Ristretto255Sha512ChaCha20Poly1305];

    /// Its number on the wire: from 1 to 16.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ristretto255Sha512ChaCha20Poly1305 => 1,
        }
    }

    /// The suite with this number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ristretto255Sha512ChaCha20Poly1305),
            _ => None,
        }
    }

    /// Its bit in [`Suites`].
    const fn bit(self) -> u16 {
        1 << (self.code() - 1)
    }
}

/// A set of suites: suite `s` is bit `s - 1`. Bits of unknown suites are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suites(u16);

impl Suites {
    /// The suites that this version supports.
    pub const SUPPORTED: Self = Self(Suite::Ristretto255Sha512ChaCha20Poly1305.bit());

    /// The set with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `suite` is in it.
    pub const fn contains(self, suite: Suite) -> bool {
        self.0 & suite.bit() != 0
    }

    /// The best suite that is in it and that this version supports.
    pub fn choose(self) -> Option<Suite> {
        Suite::BEST_FIRST.into_iter().find(|suite| self.contains(*suite))
    }
}

/// Whether the server accepts this client now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It awaits message 2.
    Ok,
    /// It is overloaded and closes; the client may retry.
    Busy {
        /// Wait this long before a retry. On the wire in whole milliseconds, rounded up, from 1 to 65,535.
        retry_after: Duration,
    },
}

/// Message 1 (protocol.md, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Ok or busy.
    pub status: Status,
    /// Suites that the server supports. Not empty when the status is ok.
    pub suites: Suites,
    /// The serving process.
    pub instance: Instance,
    /// The server's half of the session id.
    pub nonce: [u8; 16],
}

impl Greeting {
    /// Encodes it. An ok greeting without suites is encoded unchecked, and every client rejects it.
    pub fn emit(&self) -> [u8; GREETING_LEN] {
        let (status, retry_after) = match self.status {
            Status::Ok => (0, 0),
            Status::Busy { retry_after } => {
                let ms = retry::to_wire(retry_after, u32::from(u16::MAX));
                (1, u16::try_from(ms).unwrap_or(u16::MAX))
            }
        };
        let fields = MAGIC
            .into_iter()
            .chain([VERSION, status])
            .chain(self.suites.0.to_be_bytes())
            .chain(retry_after.to_be_bytes())
            .chain(*self.instance.as_bytes())
            .chain(self.nonce);
        let mut out = [0; GREETING_LEN];
        for (to, from) in out.iter_mut().zip(fields) {
            *to = from;
        }
        out
    }

    /// Decodes a greeting.
    pub fn parse(bytes: &[u8]) -> Result<Self, GreetingError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(GreetingError::Magic)?;
        let (&version, rest) = rest.split_first().ok_or(GreetingError::Length)?;
        // Checked before the length, which a later version may change.
        if version != VERSION {
            return Err(GreetingError::Version(version));
        }
        let rest: &[u8; GREETING_LEN - 5] = rest.try_into().map_err(|_| GreetingError::Length)?;
        let [status, s0, s1, r0, r1, i0, i1, i2, i3, i4, i5, i6, i7, nonce @ ..] = *rest;
        let suites = Suites(u16::from_be_bytes([s0, s1]));
        let retry_after = u16::from_be_bytes([r0, r1]);
        let status = match (status, retry_after) {
            (0, 0) if suites.0 == 0 => return Err(GreetingError::Suites),
            (0, 0) => Status::Ok,
            (1, 1..) => Status::Busy { retry_after: Duration::from_millis(u64::from(retry_after)) },
            (0 | 1, ms) => return Err(GreetingError::RetryAfter(ms)),
            (other, _) => return Err(GreetingError::Status(other)),
        };
        Ok(Self { status, suites, instance: Instance::from_bytes([i0, i1, i2, i3, i4, i5, i6, i7]), nonce })
    }
}

/// Why bytes are not a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GreetingError {
    /// Another protocol: the magic bytes differ.
    Magic,
    /// The server has another protocol version.
    Version(u8),
    /// Not [`GREETING_LEN`] bytes long.
    Length,
    /// An unknown status.
    Status(u8),
    /// A retry-after with ok, or none with busy.
    RetryAfter(u16),
    /// Ok without any suite.
    Suites,
}

impl fmt::Display for GreetingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("the greeting is not that of a deaddrop server"),
            Self::Version(v) => {
                write!(f, "the server speaks protocol version {v}, and this side version {VERSION}")
            }
            Self::Length => write!(f, "a greeting that is not {GREETING_LEN} bytes long"),
            Self::Status(s) => write!(f, "a greeting of unknown status {s}"),
            Self::RetryAfter(ms) => {
                write!(f, "a greeting whose status does not go with a retry after {ms} ms")
            }
            Self::Suites => f.write_str("a greeting that offers no suite"),
        }
    }
}

impl core::error::Error for GreetingError {}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Greeting = Greeting {
        status: Status::Ok,
        suites: Suites::SUPPORTED,
        instance: Instance::from_bytes([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7]),
        nonce: *b"0123456789abcdef",
    };

    fn busy(ms: u64) -> Greeting {
        Greeting { status: Status::Busy { retry_after: Duration::from_millis(ms) }, ..OK }
    }

    /// `OK` with one byte replaced.
    fn with(at: usize, value: u8) -> [u8; GREETING_LEN] {
        let mut bytes = OK.emit();
        bytes[at] = value;
        bytes
    }

    #[test]
    fn known_answers() {
        let bytes = *b"DDRP\x01\x00\x00\x01\x00\x00\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa70123456789abcdef";
        assert_eq!(OK.emit(), bytes);
        assert_eq!(Greeting::parse(&bytes), Ok(OK));
        assert_eq!(bytes[GREETING_FIXED_LEN..], OK.nonce);

        let bytes = *b"DDRP\x01\x01\x00\x01\x03\xe8\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa70123456789abcdef";
        assert_eq!(busy(1_000).emit(), bytes);
        assert_eq!(Greeting::parse(&bytes), Ok(busy(1_000)));
    }

    #[test]
    fn every_wrong_length_is_refused() {
        let bytes = OK.emit();
        for n in 0..GREETING_LEN {
            let expected = if n < 4 { GreetingError::Magic } else { GreetingError::Length };
            assert_eq!(Greeting::parse(&bytes[..n]), Err(expected));
        }
        let mut longer = [0; GREETING_LEN + 1];
        longer[..GREETING_LEN].copy_from_slice(&bytes);
        assert_eq!(Greeting::parse(&longer), Err(GreetingError::Length));
        assert_eq!(Greeting::parse(b"DDRP\x02"), Err(GreetingError::Version(2)));
    }

    #[test]
    fn every_field_is_checked() {
        for at in 0..4 {
            assert_eq!(Greeting::parse(&with(at, b'x')), Err(GreetingError::Magic));
        }
        for v in (0..=255).filter(|v| *v != VERSION) {
            assert_eq!(Greeting::parse(&with(4, v)), Err(GreetingError::Version(v)));
        }
        for s in 2..=255 {
            assert_eq!(Greeting::parse(&with(5, s)), Err(GreetingError::Status(s)));
        }
        assert_eq!(Greeting::parse(&with(5, 1)), Err(GreetingError::RetryAfter(0)));
        assert_eq!(Greeting::parse(&with(9, 7)), Err(GreetingError::RetryAfter(7)));
        assert_eq!(Greeting::parse(&with(7, 0)), Err(GreetingError::Suites));
    }

    #[test]
    fn a_busy_greeting_may_have_no_suites() {
        let silent = Greeting { suites: Suites::from_bits(0), ..busy(1) };
        assert_eq!(Greeting::parse(&silent.emit()), Ok(silent));
    }

    #[test]
    fn retry_after_is_clamped_to_the_wire_range() {
        assert_eq!(Greeting::parse(&busy(0).emit()), Ok(busy(1)));
        assert_eq!(Greeting::parse(&busy(65_535).emit()), Ok(busy(65_535)));
        assert_eq!(Greeting::parse(&busy(65_536).emit()), Ok(busy(65_535)));
    }

    #[test]
    fn unknown_suites_are_kept_and_never_chosen() {
        let known = Suite::Ristretto255Sha512ChaCha20Poly1305;
        for bits in 1..=u16::MAX {
            let suites = Suites::from_bits(bits);
            assert_eq!(suites.contains(known), bits & 1 == 1);
            assert_eq!(suites.choose(), (bits & 1 == 1).then_some(known));
            let greeting = Greeting { suites, ..OK };
            assert_eq!(Greeting::parse(&greeting.emit()), Ok(greeting));
        }
        assert_eq!(Suites::SUPPORTED.choose(), Some(known));
    }

    #[test]
    fn codes_round_trip() {
        for code in 0..=255 {
            assert!(Suite::from_code(code).is_none_or(|s| s.code() == code));
        }
        for suite in Suite::BEST_FIRST {
            assert_eq!(Suite::from_code(suite.code()), Some(suite));
            assert!(Suites::SUPPORTED.contains(suite));
        }
    }
}
