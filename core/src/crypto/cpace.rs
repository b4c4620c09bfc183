//! CPace, draft-irtf-cfrg-cpace-21: CPACE-RISTR255-SHA512, initiator and responder.
//!
//! The client is the initiator (Ya, ADa = "client"), the server the responder (Yb, ADb = "server"). CPace is
//! a balanced PAKE: both sides derive the same [`Isk`] only if they agree on PRS, CI and sid, and a run
//! reveals at most whether one guess at the PRS was right (protocol.md, section 2.2). The first record of
//! each side is the key confirmation.

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use sha2::Sha512;
use sha2::digest::{Digest, Output, Update};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::keys::Prs;
use crate::secret::Secret;

/// G.DSI of the suite.
const DSI: &[u8] = b"CPaceRistretto255";
/// G.DSI || "_ISK".
const DSI_ISK: &[u8] = b"CPaceRistretto255_ISK";
/// H.s_in_bytes: the input block of SHA-512.
const BLOCK: usize = 128;
/// Associated data of the initiator (ADa). Not sent: it binds the role.
const AD_CLIENT: &[u8] = b"client";
/// Associated data of the responder (ADb).
const AD_SERVER: &[u8] = b"server";

/// The peer's share is no group element, or the product is the identity. End the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPeer;

impl fmt::Display for InvalidPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer's share is not a valid group element")
    }
}

impl core::error::Error for InvalidPeer {}

/// The intermediate session key. Use it only through [`super::keys::SessionKeys`].
pub struct Isk(Secret<64>);

impl Isk {
    pub(crate) fn expose(&self) -> &[u8; 64] {
        self.0.expose()
    }
}

impl fmt::Debug for Isk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isk(..)")
    }
}

/// One side of one run (typestate). Finishing consumes it, so the scalar is ephemeral.
pub struct Exchange {
    scalar: Zeroizing<Scalar>,
    share: [u8; 32],
    sid: [u8; 32],
}

impl Exchange {
    /// Draws the ephemeral scalar and computes the public share.
    ///
    /// `ci` is the channel identifier (at most 64 bytes in this protocol), `sid` the session identifier: the
    /// server's nonce, then the client's.
    pub fn start(prs: &Prs, ci: &[u8], sid: &[u8; 32], rng: &mut impl CryptoRng) -> Self {
        // Twice the width of the group order, so that the reduction has no bias.
        let mut wide = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *wide);
        Self::with_scalar(prs.expose(), ci, sid, Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide)))
    }

    fn with_scalar(prs: &[u8], ci: &[u8], sid: &[u8; 32], scalar: Zeroizing<Scalar>) -> Self {
        let share = *product(&scalar, &generator(prs, ci, sid));
        Self { scalar, share, sid: *sid }
    }

    /// The share to send: Ya of a client, Yb of a server.
    pub const fn share(&self) -> &[u8; 32] {
        &self.share
    }

    /// Finishes as the client, with the server's share.
    pub fn finish_initiator(self, peer_share: &[u8; 32]) -> Result<Isk, InvalidPeer> {
        let k = scalar_mult_vfy(&self.scalar, peer_share)?;
        Ok(isk_ir(&self.sid, &k, (&self.share, AD_CLIENT), (peer_share, AD_SERVER)))
    }

    /// Finishes as the server, with the client's share.
    pub fn finish_responder(&self, peer_share: &[u8; 32]) -> Result<Isk, InvalidPeer> {
        let k = scalar_mult_vfy(&self.scalar, peer_share)?;
        Ok(isk_ir(&self.sid, &k, (peer_share, AD_CLIENT), (&self.share, AD_SERVER)))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}

/// A share (or, in tests, any byte string) and the associated data of its sender.
type Party<'a> = (&'a [u8], &'a [u8]);

/// `prepend_len`: the length in LEB128, then the bytes, written into `out`.
fn put_lv(out: &mut impl Update, part: &[u8]) {
    let mut rest = part.len();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.update(&[low & 0x7f]);
            break;
        }
        out.update(&[low | 0x80]);
    }
    out.update(part);
}

/// Length of what [`put_lv`] writes.
fn lv_len(part: &[u8]) -> usize {
    let mut bytes = 1;
    let mut rest = part.len() >> 7;
    while rest > 0 {
        bytes += 1;
        rest >>= 7;
    }
    bytes + part.len()
}

/// `lv_cat`, written into `out`.
fn put_lv_cat(out: &mut impl Update, parts: &[&[u8]]) {
    for part in parts {
        put_lv(out, part);
    }
}

/// `generator_string`, written into `out`. ZPAD fills the first block of the hash, so that this block
/// contains only DSI and PRS.
fn put_generator_string(out: &mut impl Update, prs: &[u8], ci: &[u8], sid: &[u8]) {
    let pad = BLOCK.saturating_sub(1 + lv_len(prs) + lv_len(DSI));
    let zeros = [0; BLOCK];
    put_lv_cat(out, &[DSI, prs, zeros.get(..pad).unwrap_or_default(), ci, sid]);
}

/// `transcript_ir`, written into `out`.
fn put_transcript_ir(out: &mut impl Update, initiator: Party<'_>, responder: Party<'_>) {
    put_lv_cat(out, &[initiator.0, initiator.1, responder.0, responder.1]);
}

/// `calculate_generator`. Its result allows an offline test of PRS guesses, so it is wiped too.
// Not inlined, here and in `handshake`, so that stack frames do not add up: a board's stack then holds the
// largest of them, not their sum.
#[inline(never)]
fn generator(prs: &[u8], ci: &[u8], sid: &[u8]) -> Zeroizing<RistrettoPoint> {
    Zeroizing::new(RistrettoPoint::from_uniform_bytes(&generator_hash(prs, ci, sid)))
}

/// SHA-512 of `generator_string`.
#[inline(never)]
fn generator_hash(prs: &[u8], ci: &[u8], sid: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut hash = Sha512::new();
    put_generator_string(&mut hash, prs, ci, sid);
    let mut uniform = Zeroizing::new([0; 64]);
    hash.finalize_into(<&mut Output<Sha512>>::from(&mut *uniform));
    uniform
}

/// `scalar_mult_vfy`: the encoding of the product, or an error where the draft returns the identity.
fn scalar_mult_vfy(scalar: &Scalar, share: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, InvalidPeer> {
    let product = product(scalar, &decode(share).ok_or(InvalidPeer)?);
    // The group has prime order, so only the identity or a zero scalar gives the identity, whose encoding
    // alone is all zeros (RFC 9496, section 4.3.2).
    if bool::from(product.ct_eq(&[0; 32])) {
        return Err(InvalidPeer);
    }
    Ok(product)
}

/// `ristretto255_Decode`.
#[inline(never)]
fn decode(share: &[u8; 32]) -> Option<RistrettoPoint> {
    CompressedRistretto(*share).decompress()
}

/// The encoding of the product.
#[inline(never)]
fn product(scalar: &Scalar, point: &RistrettoPoint) -> Zeroizing<[u8; 32]> {
    encode(&multiply(scalar, point))
}

#[inline(never)]
fn multiply(scalar: &Scalar, point: &RistrettoPoint) -> Zeroizing<RistrettoPoint> {
    Zeroizing::new(point * scalar)
}

/// `ristretto255_Encode`.
#[inline(never)]
fn encode(point: &RistrettoPoint) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(point.compress().to_bytes())
}

/// ISK = H(lv_cat(DSI || "_ISK", sid, K) || transcript_ir).
fn isk_ir(sid: &[u8], k: &[u8; 32], initiator: Party<'_>, responder: Party<'_>) -> Isk {
    let mut hash = Sha512::new();
    put_lv_cat(&mut hash, &[DSI_ISK, sid, k]);
    put_transcript_ir(&mut hash, initiator, responder);
    Isk(Secret::fill_with(|out| hash.finalize_into(<&mut Output<Sha512>>::from(out))))
}

#[cfg(test)]
mod tests;
