//! Records of fixed size, sealed and opened in place with ChaCha20-Poly1305 (protocol.md, section 5).
//!
//! ```text
//! record    = sealed plaintext, tag (16 bytes)
//! plaintext = payload, zero padding, kind u8, payload length u24
//! nonce     = 4 zero bytes, u64 counter of this direction; no associated data
//! ```
//!
//! A [`RecordKey`] seals and opens by index behind `&self`, so that several cores can work on one stream. Two
//! records never share an AEAD nonce: the [`Counters`] that the key's only [`Sealer`] owns issue each
//! [`Counter`] once, and sealing consumes it.

use core::fmt;

use zeroize::Zeroize;

use super::cipher::{Cipher, CipherError, RustCrypto};
use super::counter::{Counter, Counters, Exhausted};
use crate::limits::{CONTROL_RECORD, RECORD_MAX, RECORD_OVERHEAD, TAG, TRAILER};
use crate::secret::Secret;

/// Most bytes of a record on the wire.
pub const RECORD_WIRE_MAX: usize = RECORD_MAX as usize + RECORD_OVERHEAD;

/// The kind of a record (protocol.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A control message.
    Control = 0,
    /// Bytes of a drop, more to come.
    Data = 1,
    /// The last bytes of a drop.
    Final = 2,
}

impl TryFrom<u8> for RecordKind {
    type Error = OpenError;

    fn try_from(kind: u8) -> Result<Self, OpenError> {
        match kind {
            0 => Ok(Self::Control),
            1 => Ok(Self::Data),
            2 => Ok(Self::Final),
            other => Err(OpenError::Kind(other)),
        }
    }
}

/// What [`RecordKey::open_at`] found: the payload is the record's first `len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The kind of the record.
    pub kind: RecordKind,
    /// Bytes of payload.
    pub len: usize,
}

/// Why a record was not sealed. The buffer is unchanged, or zero after the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The buffer is smaller or larger than any record.
    RecordSize,
    /// The payload does not fit the buffer.
    PayloadSize,
    /// The counters of the key are exhausted.
    Exhausted,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordSize => "the buffer does not have the size of a record",
            Self::PayloadSize => "the payload does not fit the record",
            Self::Exhausted => "the key has sealed as many records as it may",
        })
    }
}

impl core::error::Error for SealError {}

impl From<Exhausted> for SealError {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Why a record was not opened. The buffer is wiped. End the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The buffer is smaller or larger than any record.
    RecordSize,
    /// Authentication failed: another key or counter, or an altered record.
    Forged,
    /// Authentic, but of an unknown kind.
    Kind(u8),
    /// Authentic, but the payload length exceeds the record.
    Length,
    /// Authentic, but the padding is not zero.
    Padding,
    /// The counters of the key are exhausted.
    Exhausted,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordSize => f.write_str("the buffer does not have the size of a record"),
            Self::Forged => f.write_str("a record failed authentication"),
            Self::Kind(kind) => write!(f, "a record of unknown kind {kind}"),
            Self::Length => f.write_str("a record whose length field exceeds its size"),
            Self::Padding => f.write_str("a record whose padding is not zero"),
            Self::Exhausted => f.write_str("the key has opened as many records as it may"),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<Exhausted> for OpenError {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// The AEAD key of one direction of one connection. Wiped when dropped, redacted in debug output, not
/// `Clone`.
pub struct RecordKey {
    key: Secret<32>,
    cipher: &'static dyn Cipher,
}

impl RecordKey {
    /// The default cipher with this key. Give each key to one [`Sealer`] or [`Opener`] only, which issues its
    /// counters.
    pub fn new(key: Secret<32>) -> Self {
        Self { key, cipher: &RustCrypto }
    }

    /// The same with another implementation of the cipher.
    pub(crate) fn use_cipher(&mut self, cipher: &'static dyn Cipher) {
        self.cipher = cipher;
    }

    /// A copy of the key for another thread, which may seal only with counters of the one [`Sealer`].
    pub(crate) const fn duplicate(&self) -> Self {
        Self { key: Secret::new(*self.key.expose()), cipher: self.cipher }
    }

    /// Seals `record[..len]` as record `n`: zeroes the padding, writes trailer and tag.
    ///
    /// `record` is the whole record as sent.
    pub fn seal_at(
        &self,
        n: Counter,
        record: &mut [u8],
        kind: RecordKind,
        len: usize,
    ) -> Result<(), SealError> {
        let plaintext = plaintext(record).ok_or(SealError::RecordSize)?;
        let (space, trailer) = plaintext.split_last_chunk_mut::<TRAILER>().ok_or(SealError::RecordSize)?;
        space.get_mut(len..).ok_or(SealError::PayloadSize)?.fill(0);
        // `len` is at most RECORD_MAX here, which fits a u24.
        let [_, high, mid, low] = u32::try_from(len).map_err(|_| SealError::PayloadSize)?.to_be_bytes();
        *trailer = [kind as u8, high, mid, low];
        self.cipher.seal(&self.key, &nonce(n), record).map_err(|CipherError| SealError::RecordSize)
    }

    /// Opens record `n` in place. On any error the whole buffer is wiped.
    pub fn open_at(&self, n: Counter, record: &mut [u8]) -> Result<Opened, OpenError> {
        let opened = self.open_in_place(n, record);
        if opened.is_err() {
            record.zeroize();
        }
        opened
    }

    fn open_in_place(&self, n: Counter, record: &mut [u8]) -> Result<Opened, OpenError> {
        plaintext(record).ok_or(OpenError::RecordSize)?;
        self.cipher.open(&self.key, &nonce(n), record).map_err(|CipherError| OpenError::Forged)?;
        let plaintext = plaintext(record).ok_or(OpenError::RecordSize)?;
        let (space, [kind, high, mid, low]) =
            plaintext.split_last_chunk::<TRAILER>().ok_or(OpenError::RecordSize)?;
        let kind = RecordKind::try_from(*kind)?;
        let len =
            usize::try_from(u32::from_be_bytes([0, *high, *mid, *low])).map_err(|_| OpenError::Length)?;
        let padding = space.get(len..).ok_or(OpenError::Length)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(OpenError::Padding);
        }
        Ok(Opened { kind, len })
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}

/// All but the tag, if the buffer has the size of a record.
fn plaintext(record: &mut [u8]) -> Option<&mut [u8]> {
    if !(CONTROL_RECORD..=RECORD_WIRE_MAX).contains(&record.len()) {
        return None;
    }
    record.split_last_chunk_mut::<TAG>().map(|(plaintext, _)| plaintext)
}

#[expect(clippy::needless_pass_by_value, reason = "consuming the counter makes nonce reuse impossible")]
fn nonce(n: Counter) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(n.index().to_be_bytes()) {
        *to = from;
    }
    nonce
}

/// Seals the records of one direction in order.
#[derive(Debug)]
pub struct Sealer {
    key: RecordKey,
    counters: Counters,
}

impl Sealer {
    /// Takes the key over and starts with record 0.
    pub const fn new(key: RecordKey) -> Self {
        Self { key, counters: Counters::new() }
    }

    /// Seals `record[..len]` as the next record.
    pub fn seal(&mut self, record: &mut [u8], kind: RecordKind, len: usize) -> Result<(), SealError> {
        self.key.seal_at(self.counters.issue()?, record, kind, len)
    }

    /// The same with another implementation of the cipher.
    pub(crate) fn use_cipher(&mut self, cipher: &'static dyn Cipher) {
        self.key.use_cipher(cipher);
    }

    /// The key, to seal with [`RecordKey::seal_at`] and counters taken from [`Self::counters`].
    pub const fn key(&self) -> &RecordKey {
        &self.key
    }

    /// The issuer of the key's counters.
    pub const fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }
}

/// Opens the records of one direction in order.
#[derive(Debug)]
pub struct Opener {
    key: RecordKey,
    counters: Counters,
}

impl Opener {
    /// Takes the key over and starts with record 0.
    pub const fn new(key: RecordKey) -> Self {
        Self { key, counters: Counters::new() }
    }

    /// Opens the next record. An error is final, because the counter has advanced.
    pub fn open(&mut self, record: &mut [u8]) -> Result<Opened, OpenError> {
        self.key.open_at(self.counters.issue()?, record)
    }

    /// The same with another implementation of the cipher.
    pub(crate) fn use_cipher(&mut self, cipher: &'static dyn Cipher) {
        self.key.use_cipher(cipher);
    }

    /// The key, to open with [`RecordKey::open_at`] and counters taken from [`Self::counters`].
    pub const fn key(&self) -> &RecordKey {
        &self.key
    }

    /// The issuer of the key's counters.
    pub const fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }
}
