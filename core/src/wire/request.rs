//! Requests: control messages from client to server (protocol.md, section 6).

use super::ControlError;
use super::cbor::{Fields, Writer};
use crate::limits::RECORD_MIN;
use crate::token::{FetchId, Token};

const LIST: u64 = 1;
const FETCH: u64 = 2;
const PROGRESS: u64 = 3;
const READY: u64 = 4;
const COMMIT: u64 = 5;
const RELEASE: u64 = 6;

/// `fetch`: claims a drop, from its start or resumed after an earlier connection (protocol.md, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The drop.
    pub token: Token,
    /// The fetch id of the claim.
    pub id: FetchId,
    /// Largest data record the receiver takes: [`RECORD_MIN`] or more. Values above
    /// [`RECORD_MAX`](crate::limits::RECORD_MAX) are legal, because a later version may send larger records.
    pub record_max: u32,
    /// Bytes that the receiver holds already.
    pub offset: u64,
    /// Digest over those bytes; present unless `offset` is 0.
    pub digest: Option<[u8; 32]>,
}

impl FetchRequest {
    fn check(&self) -> Result<(), ControlError> {
        if self.record_max < RECORD_MIN {
            return Err(ControlError::Range("record size"));
        }
        if self.digest.is_some() != (self.offset > 0) {
            return Err(ControlError::Range("digest"));
        }
        Ok(())
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, ControlError> {
        let (token, id) = parse_claim(fields)?;
        let record_max =
            u32::try_from(fields.need(3)?.uint()?).map_err(|_| ControlError::Range("record size"))?;
        let offset = fields.need(4)?.uint()?;
        let digest = if fields.find(5)? { Some(fields.array()?) } else { None };
        Ok(Self { token, id, record_max, offset, digest })
    }
}

/// A request (protocol.md, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `list`: asks for the offers.
    List {
        /// Only drops whose tokens sort after this one.
        after: Option<Token>,
    },
    /// `fetch`: claims a drop and asks for its data.
    Fetch(FetchRequest),
    /// `progress`: sign of life of the receiver. No answer.
    Progress {
        /// The drop.
        token: Token,
        /// The fetch id of the claim.
        id: FetchId,
        /// Bytes stored, counted from the drop's start.
        stored: u64,
    },
    /// `ready`: all but the final record is stored; asks for the final record.
    Ready {
        /// The drop.
        token: Token,
        /// The fetch id of the claim.
        id: FetchId,
    },
    /// `commit`: the whole drop is verified and durable.
    Commit {
        /// The drop.
        token: Token,
        /// The fetch id of the claim.
        id: FetchId,
    },
    /// `release`: the receiver gives its claim up. No answer.
    Release {
        /// The drop.
        token: Token,
        /// The fetch id of the claim.
        id: FetchId,
    },
}

impl Request {
    /// Encodes the message into `out` and returns its length;
    /// [`CONTROL_PAYLOAD`](crate::limits::CONTROL_PAYLOAD) bytes are always enough.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, ControlError> {
        self.check()?;
        match self {
            Self::List { after } => {
                let mut w = Writer::begin(out, LIST, u64::from(after.is_some()))?;
                if let Some(after) = after {
                    w.bytes(1, after.as_bytes())?;
                }
                Ok(w.len())
            }
            Self::Fetch(fetch) => {
                let mut w = Writer::begin(out, FETCH, 4 + u64::from(fetch.digest.is_some()))?;
                w.bytes(1, fetch.token.as_bytes())?.bytes(2, fetch.id.as_bytes())?;
                w.uint(3, fetch.record_max.into())?.uint(4, fetch.offset)?;
                if let Some(digest) = &fetch.digest {
                    w.bytes(5, digest)?;
                }
                Ok(w.len())
            }
            Self::Progress { token, id, stored } => {
                let mut w = Writer::begin(out, PROGRESS, 3)?;
                Ok(w.bytes(1, token.as_bytes())?.bytes(2, id.as_bytes())?.uint(3, *stored)?.len())
            }
            Self::Ready { token, id } => emit_claim(out, READY, token, id),
            Self::Commit { token, id } => emit_claim(out, COMMIT, token, id),
            Self::Release { token, id } => emit_claim(out, RELEASE, token, id),
        }
    }

    /// Decodes a request.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let (mut fields, kind) = Fields::open(bytes)?;
        let request = match kind {
            LIST => {
                let after = if fields.find(1)? { Some(Token::from_bytes(fields.array()?)) } else { None };
                Self::List { after }
            }
            FETCH => Self::Fetch(FetchRequest::parse(&mut fields)?),
            PROGRESS => {
                let (token, id) = parse_claim(&mut fields)?;
                Self::Progress { token, id, stored: fields.need(3)?.uint()? }
            }
            READY => parse_claim(&mut fields).map(|(token, id)| Self::Ready { token, id })?,
            COMMIT => parse_claim(&mut fields).map(|(token, id)| Self::Commit { token, id })?,
            RELEASE => parse_claim(&mut fields).map(|(token, id)| Self::Release { token, id })?,
            other => return Err(ControlError::UnknownType(other)),
        };
        fields.finish()?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), ControlError> {
        match self {
            Self::Fetch(fetch) => fetch.check(),
            _ => Ok(()),
        }
    }
}

/// Encodes a message that has only a token and a fetch id.
fn emit_claim(out: &mut [u8], kind: u64, token: &Token, id: &FetchId) -> Result<usize, ControlError> {
    let mut w = Writer::begin(out, kind, 2)?;
    Ok(w.bytes(1, token.as_bytes())?.bytes(2, id.as_bytes())?.len())
}

/// Decodes the token and the fetch id of a message.
fn parse_claim(fields: &mut Fields<'_>) -> Result<(Token, FetchId), ControlError> {
    let token = Token::from_bytes(fields.need(1)?.array()?);
    Ok((token, FetchId::from_bytes(fields.need(2)?.array()?)))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::limits::CONTROL_PAYLOAD;

    const TOKEN: Token = Token::from_bytes([b'T'; 16]);
    const ID: FetchId = FetchId::from_bytes([b'I'; 16]);
    const FETCH: FetchRequest =
        FetchRequest { token: TOKEN, id: ID, record_max: 65_536, offset: 1_000, digest: Some([b'D'; 32]) };

    fn emit(request: &Request) -> Result<Vec<u8>, ControlError> {
        let mut out = [0; CONTROL_PAYLOAD];
        request.emit(&mut out).map(|n| out[..n].to_vec())
    }

    #[test]
    fn known_answers() {
        let (token, id) = (TOKEN, ID);
        let known: [(Request, &[u8]); 8] = [
            (Request::List { after: None }, b"\xa1\x00\x01"),
            (Request::List { after: Some(TOKEN) }, b"\xa2\x00\x01\x01\x50TTTTTTTTTTTTTTTT"),
            (
                Request::Fetch(FetchRequest { offset: 0, digest: None, record_max: 512, ..FETCH }),
                b"\xa5\x00\x02\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII\x03\x19\x02\x00\x04\x00",
            ),
            (
                Request::Fetch(FETCH),
                b"\xa6\x00\x02\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII\x03\x1a\x00\x01\x00\x00\
                \x04\x19\x03\xe8\x05\x58\x20DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD",
            ),
            (
                Request::Progress { token, id, stored: 24 },
                b"\xa4\x00\x03\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII\x03\x18\x18",
            ),
            (Request::Ready { token, id }, b"\xa3\x00\x04\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII"),
            (Request::Commit { token, id }, b"\xa3\x00\x05\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII"),
            (Request::Release { token, id }, b"\xa3\x00\x06\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII"),
        ];
        for (request, bytes) in known {
            assert_eq!(emit(&request).as_deref(), Ok(bytes), "{request:?}");
            assert_eq!(Request::parse(bytes), Ok(request));
        }
    }

    #[test]
    fn every_field_is_needed_and_has_its_type() {
        let refused: [&[u8]; 10] = [
            b"\xa1\x00\x01\x00",                                             // a byte after the end
            b"\xa2\x00\x01\x01\x4fTTTTTTTTTTTTTTT",                          // a token of 15 bytes
            b"\xa2\x00\x01\x01\x51TTTTTTTTTTTTTTTTT",                        // of 17
            b"\xa2\x00\x01\x01\x70TTTTTTTTTTTTTTTT",                         // a text
            b"\xa2\x00\x01\x01\x58\x10TTTTTTTTTTTTTTTT", // a head that is not the shortest
            b"\xa2\x00\x01\x01\x5f\x50TTTTTTTTTTTTTTTT\xff", // of indefinite length
            b"\xa2\x00\x01\x01\xf6",                     // null
            b"\xa1\x00\x04",                             // no token
            b"\xa2\x00\x04\x01\x50TTTTTTTTTTTTTTTT",     // no fetch id
            b"\xa3\x00\x03\x01\x50TTTTTTTTTTTTTTTT\x02\x50IIIIIIIIIIIIIIII", // no count
        ];
        for bytes in refused {
            assert_eq!(Request::parse(bytes), Err(ControlError::Malformed), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_fetch_keeps_its_rules_both_ways() {
        let range = |field| Err(ControlError::Range(field));
        let fetch = |change: fn(&mut FetchRequest)| {
            let mut fetch = FETCH;
            change(&mut fetch);
            emit(&Request::Fetch(fetch)).map(|_| ())
        };
        assert_eq!(fetch(|f| f.record_max = 512), Ok(()));
        assert_eq!(fetch(|f| f.record_max = 511), range("record size"));
        assert_eq!(fetch(|f| f.record_max = u32::MAX), Ok(()), "a later version may take larger ones");
        assert_eq!(fetch(|f| f.digest = None), range("digest"));
        assert_eq!(fetch(|f| f.offset = 0), range("digest"));

        let parse = |from: &[u8], to: &[u8]| {
            let bytes = emit(&Request::Fetch(FETCH)).unwrap();
            let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
            Request::parse(&[&bytes[..at], to, &bytes[at + from.len()..]].concat()).map(|_| ())
        };
        let record = b"\x03\x1a\x00\x01\x00\x00";
        assert_eq!(parse(record, b"\x03\x19\x01\xff"), range("record size"));
        assert_eq!(parse(record, b"\x03\x1b\x00\x00\x00\x01\x00\x00\x00\x00"), range("record size"));
        assert_eq!(parse(record, b"\x03\x1a\x00\x02\x00\x00"), Ok(()));
        assert_eq!(parse(b"\x04\x19\x03\xe8", b"\x04\x00"), range("digest"));
        assert_eq!(parse(b"\x05\x58\x20", b"\x06\x58\x20"), range("digest"));
    }

    #[test]
    fn unknown_types_are_reported_by_their_number() {
        for n in (0..=255_u8).filter(|n| !(1..=6).contains(n)) {
            let bytes: &[u8] = if n < 24 { &[0xa1, 0x00, n] } else { &[0xa1, 0x00, 0x18, n] };
            assert_eq!(Request::parse(bytes), Err(ControlError::UnknownType(n.into())));
        }
    }

    #[test]
    fn a_short_buffer_is_not_enough() {
        let request = Request::Fetch(FETCH);
        let len = emit(&request).unwrap().len();
        let mut out = [0; CONTROL_PAYLOAD];
        for n in 0..len {
            assert_eq!(request.emit(&mut out[..n]), Err(ControlError::Space));
        }
        assert_eq!(request.emit(&mut out[..len]), Ok(len));
    }
}
