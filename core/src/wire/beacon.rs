//! The beacon: a UDP datagram of 32 bytes in clear, for discovery (protocol.md, section 3.1).
//!
//! ```text
//! 0       4     5      6      8          16         20          32
//! "DDRP"  vers  kind   port   instance   revision   12 zeros
//! ```

use core::fmt;

use super::MAGIC;
use crate::limits::{TCP_PORT_MIN, VERSION};
use crate::token::Instance;

/// Bytes of a beacon.
pub const BEACON_LEN: usize = 32;

/// The kind of a beacon (protocol.md, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BeaconKind {
    /// Unsolicited: this process serves.
    Announce,
    /// A listener asks which processes serve.
    Solicit,
    /// Unicast answer to a solicit.
    Answer,
    /// The last drop has ended; the server lingers and then stops.
    Farewell,
}

impl BeaconKind {
    const fn code(self) -> u8 {
        match self {
            Self::Announce => 1,
            Self::Solicit => 2,
            Self::Answer => 3,
            Self::Farewell => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Announce),
            2 => Some(Self::Solicit),
            3 => Some(Self::Answer),
            4 => Some(Self::Farewell),
            _ => None,
        }
    }
}

/// One beacon. Neither confidential nor authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Its kind.
    pub kind: BeaconKind,
    /// TCP port of the server: [`TCP_PORT_MIN`] or higher, and 0 in a solicit.
    pub port: u16,
    /// The process that sends it.
    pub instance: Instance,
    /// A random number, redrawn whenever the server's set of drops changes.
    pub revision: u32,
}

impl Beacon {
    /// Encodes it. A port that is illegal for the kind is encoded unchecked, and every peer ignores such a
    /// beacon.
    pub fn emit(&self) -> [u8; BEACON_LEN] {
        let fields = MAGIC
            .into_iter()
            .chain([VERSION, self.kind.code()])
            .chain(self.port.to_be_bytes())
            .chain(*self.instance.as_bytes())
            .chain(self.revision.to_be_bytes());
        // Bytes outside of the fields are reserved and stay zero.
        let mut out = [0; BEACON_LEN];
        for (to, from) in out.iter_mut().zip(fields) {
            *to = from;
        }
        out
    }

    /// Decodes a datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, BeaconError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(BeaconError::Magic)?;
        let (&version, rest) = rest.split_first().ok_or(BeaconError::Length)?;
        // Checked before the length, which a later version may change.
        if version != VERSION {
            return Err(BeaconError::Version(version));
        }
        let rest: &[u8; BEACON_LEN - 5] = rest.try_into().map_err(|_| BeaconError::Length)?;
        let [kind, p0, p1, i0, i1, i2, i3, i4, i5, i6, i7, r0, r1, r2, r3, reserved @ ..] = *rest;
        let kind = BeaconKind::from_code(kind).ok_or(BeaconError::Kind(kind))?;
        let port = u16::from_be_bytes([p0, p1]);
        let legal = match kind {
            BeaconKind::Solicit => port == 0,
            BeaconKind::Announce | BeaconKind::Answer | BeaconKind::Farewell => port >= TCP_PORT_MIN,
        };
        if !legal {
            return Err(BeaconError::Port(port));
        }
        if reserved != [0; 12] {
            return Err(BeaconError::Reserved);
        }
        Ok(Self {
            kind,
            port,
            instance: Instance::from_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            revision: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }
}

/// Why a datagram is not a beacon of this version. Ignore it; at most trace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeaconError {
    /// It is of another protocol.
    Magic,
    /// It is a beacon of another version.
    Version(u8),
    /// It is not [`BEACON_LEN`] bytes long.
    Length,
    /// Unknown kind.
    Kind(u8),
    /// The port is illegal for its kind.
    Port(u16),
    /// A reserved byte is not zero.
    Reserved,
}

impl fmt::Display for BeaconError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("a datagram that is not a beacon"),
            Self::Version(v) => {
                write!(f, "a beacon of protocol version {v}, and this side has version {VERSION}")
            }
            Self::Length => write!(f, "a beacon that is not {BEACON_LEN} bytes long"),
            Self::Kind(k) => write!(f, "a beacon of unknown kind {k}"),
            Self::Port(p) => write!(f, "a beacon with port {p}, which its kind may not carry"),
            Self::Reserved => f.write_str("a beacon whose reserved bytes are not zero"),
        }
    }
}

impl core::error::Error for BeaconError {}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOUNCE: Beacon = Beacon {
        kind: BeaconKind::Announce,
        port: 48_556,
        instance: Instance::from_bytes([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7]),
        revision: 0x0102_0304,
    };

    /// `ANNOUNCE` with one byte replaced.
    fn with(at: usize, value: u8) -> [u8; BEACON_LEN] {
        let mut bytes = ANNOUNCE.emit();
        bytes[at] = value;
        bytes
    }

    #[test]
    fn known_answers() {
        let bytes = *b"DDRP\x01\x01\xbd\xac\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\x01\x02\x03\x04\
            \0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(ANNOUNCE.emit(), bytes);
        assert_eq!(Beacon::parse(&bytes), Ok(ANNOUNCE));

        let solicit = Beacon { kind: BeaconKind::Solicit, port: 0, ..ANNOUNCE };
        assert_eq!(solicit.emit()[..8], *b"DDRP\x01\x02\0\0");
        assert_eq!(Beacon::parse(&solicit.emit()), Ok(solicit));
        for (kind, code) in [(BeaconKind::Answer, 3), (BeaconKind::Farewell, 4)] {
            let beacon = Beacon { kind, ..ANNOUNCE };
            assert_eq!(beacon.emit(), with(5, code));
            assert_eq!(Beacon::parse(&beacon.emit()), Ok(beacon));
        }
    }

    #[test]
    fn every_wrong_length_is_refused() {
        let bytes = ANNOUNCE.emit();
        for n in 0..4 {
            assert_eq!(Beacon::parse(&bytes[..n]), Err(BeaconError::Magic));
        }
        for n in 4..BEACON_LEN {
            assert_eq!(Beacon::parse(&bytes[..n]), Err(BeaconError::Length));
        }
        let mut longer = [0; BEACON_LEN + 1];
        longer[..BEACON_LEN].copy_from_slice(&bytes);
        assert_eq!(Beacon::parse(&longer), Err(BeaconError::Length));
    }

    #[test]
    fn every_field_is_checked() {
        for at in 0..4 {
            assert_eq!(Beacon::parse(&with(at, b'x')), Err(BeaconError::Magic));
        }
        for v in (0..=255).filter(|v| *v != VERSION) {
            assert_eq!(Beacon::parse(&with(4, v)), Err(BeaconError::Version(v)));
        }
        for k in (0..=255).filter(|k| !(1..=4).contains(k)) {
            assert_eq!(Beacon::parse(&with(5, k)), Err(BeaconError::Kind(k)));
        }
        for at in 20..BEACON_LEN {
            assert_eq!(Beacon::parse(&with(at, 1)), Err(BeaconError::Reserved));
        }
    }

    #[test]
    fn another_version_is_reported_by_its_number_at_any_length() {
        assert_eq!(Beacon::parse(b"DDRP\x02"), Err(BeaconError::Version(2)));
    }

    #[test]
    fn every_kind_has_its_ports() {
        use BeaconKind::{Announce, Answer, Farewell, Solicit};
        for port in 0..=u16::MAX {
            for kind in [Announce, Solicit, Answer, Farewell] {
                let beacon = Beacon { kind, port, ..ANNOUNCE };
                let legal = if kind == Solicit { port == 0 } else { port >= 1_024 };
                let expected = if legal { Ok(beacon) } else { Err(BeaconError::Port(port)) };
                assert_eq!(Beacon::parse(&beacon.emit()), expected);
            }
        }
    }
}
