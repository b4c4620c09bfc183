//! The provisioning record: what a board reads at every start and never writes.
//!
//! ```text
//! 0       4        6       8     9     10      11     12       16       20    32   64        80
//! "DDPG"  version  length  mode  kind  prefix  zero   address  gateway  zero  PRS  checksum
//! ```
//!
//! Integers are big-endian, and the encoding is canonical. In every later version too, the first 8 bytes are magic,
//! version and length, and the last 16 of `length` bytes are the checksum of all before.

use core::fmt;
use core::net::Ipv4Addr;

use deaddrop_core::crypto::keys::Prs;

use crate::address::{Address, AddressError, Ipv4Network};
use crate::checksum::{self, CHECKSUM_LEN};
use crate::field::{Put, take};

/// Bytes of a provisioning record of this version.
pub const RECORD_LEN: usize = 80;
/// The version of the layout.
pub const RECORD_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"DDPG";
/// Magic, version and length, alike in all versions.
const HEAD_LEN: usize = 8;
/// What erased flash reads as.
const ERASED: u8 = 0xFF;

const MODE_AUTO: u8 = 1;
const KIND_DHCP: u8 = 0;
const KIND_STATIC: u8 = 1;

/// A board's room and its network settings.
#[derive(Debug)]
pub struct ProvisioningRecord {
    /// The password-related string of CPace, which is all that a member needs. The room secret, from which later versions
    /// may derive other keys, stays where the passphrase is.
    pub prs: Prs,
    /// How the board gets its address.
    pub address: Address,
    /// What the board does without a command.
    pub mode: Mode,
}

/// What a board does without a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Fetch messages as they are offered.
    pub auto: bool,
}

/// Why these bytes are no provisioning record. `Display` says what is wrong; the board adds what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvisioningError {
    /// The flash is erased: the board was never provisioned.
    Blank,
    /// Not a record, or one that was altered or cut short since it was written.
    Corrupt,
    /// The checksum is right, and the version is one that this program does not know.
    Newer {
        /// That version.
        version: u16,
    },
    /// The checksum is right, and a field has an illegal value.
    Invalid(Field),
}

/// A field with an illegal value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The version is 0.
    Version,
    /// The length is not that of this version.
    Length,
    /// Flags that this version does not know.
    Mode(u8),
    /// A way to get an address that this version does not know.
    AddressKind(u8),
    /// A static address that no host can have.
    Address(AddressError),
    /// Bytes that must be zero are not.
    Reserved,
    /// The PRS is all zeros or all ones.
    Prs,
}

impl ProvisioningRecord {
    /// Encodes it. The bytes are secret: wipe them after use.
    pub fn emit(&self, record: &mut [u8; RECORD_LEN]) {
        let (kind, prefix, address, gateway) = match self.address {
            Address::Dhcp => (KIND_DHCP, 0, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
            Address::Static(network) => (
                KIND_STATIC,
                network.prefix(),
                network.address(),
                network.gateway().unwrap_or(Ipv4Addr::UNSPECIFIED),
            ),
        };
        let mode = if self.mode.auto { MODE_AUTO } else { 0 };
        Put::new(record)
            .field(&MAGIC)
            .field(&RECORD_VERSION.to_be_bytes())
            .field(&LENGTH.to_be_bytes())
            .field(&[mode, kind, prefix, 0])
            .field(&address.octets())
            .field(&gateway.octets())
            .field(&[0; 12])
            .field(self.prs.expose());
        checksum::seal(record);
    }

    /// Decodes the record at the start of `flash`. Pass more than [`RECORD_LEN`] bytes, so that a longer record of a newer
    /// version is recognised as one.
    pub fn parse(flash: &[u8]) -> Result<Self, ProvisioningError> {
        if flash.get(..HEAD_LEN).is_none_or(|head| head.iter().all(|byte| *byte == ERASED)) {
            // An erased head alone does not make it blank: a write that was cut short may have left it.
            let blank = flash.iter().all(|byte| *byte == ERASED);
            return Err(if blank { ProvisioningError::Blank } else { ProvisioningError::Corrupt });
        }
        let mut rest = flash;
        let (magic, version, length) = head(&mut rest).ok_or(ProvisioningError::Corrupt)?;
        if magic != MAGIC || usize::from(length) < HEAD_LEN + CHECKSUM_LEN {
            return Err(ProvisioningError::Corrupt);
        }
        let content =
            flash.get(..length.into()).and_then(checksum::open).ok_or(ProvisioningError::Corrupt)?;
        match version {
            0 => return Err(ProvisioningError::Invalid(Field::Version)),
            RECORD_VERSION => {}
            version => return Err(ProvisioningError::Newer { version }),
        }
        if length != LENGTH {
            return Err(ProvisioningError::Invalid(Field::Length));
        }
        fields(content).ok_or(ProvisioningError::Corrupt)?.map_err(ProvisioningError::Invalid)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is 80")]
const LENGTH: u16 = RECORD_LEN as u16;

fn head(bytes: &mut &[u8]) -> Option<([u8; 4], u16, u16)> {
    Some((*take(bytes)?, u16::from_be_bytes(*take(bytes)?), u16::from_be_bytes(*take(bytes)?)))
}

/// Decodes what a record of this version holds before its checksum; `None` if it is too short.
fn fields(mut content: &[u8]) -> Option<Result<ProvisioningRecord, Field>> {
    head(&mut content)?;
    let &[mode, kind, prefix, zero] = take(&mut content)?;
    let address = Ipv4Addr::from_octets(*take(&mut content)?);
    let gateway = Ipv4Addr::from_octets(*take(&mut content)?);
    let reserved: &[u8; 12] = take(&mut content)?;
    let prs: &[u8; 32] = take(&mut content)?;
    Some((|| {
        if mode & !MODE_AUTO != 0 {
            return Err(Field::Mode(mode));
        }
        if zero != 0 || *reserved != [0; 12] {
            return Err(Field::Reserved);
        }
        let address = match kind {
            KIND_DHCP if prefix == 0 && address.is_unspecified() && gateway.is_unspecified() => Address::Dhcp,
            KIND_DHCP => return Err(Field::Reserved),
            KIND_STATIC => {
                let gateway = (!gateway.is_unspecified()).then_some(gateway);
                Address::Static(Ipv4Network::new(address, prefix, gateway).map_err(Field::Address)?)
            }
            other => return Err(Field::AddressKind(other)),
        };
        if *prs == [0; 32] || *prs == [ERASED; 32] {
            return Err(Field::Prs);
        }
        Ok(ProvisioningRecord { prs: Prs::new(*prs), address, mode: Mode { auto: mode & MODE_AUTO != 0 } })
    })())
}

impl fmt::Display for ProvisioningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provisioning record ")?;
        match self {
            Self::Blank => f.write_str("is blank"),
            Self::Corrupt => f.write_str("is corrupt"),
            Self::Newer { version } => {
                write!(f, "has version {version}, and this program knows version {RECORD_VERSION}")
            }
            Self::Invalid(field) => write!(f, "is whole and wrong: {field}"),
        }
    }
}

impl core::error::Error for ProvisioningError {}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("its version is 0"),
            Self::Length => f.write_str("its length is not that of its version"),
            Self::Mode(mode) => write!(f, "its mode {mode:#04x} has unknown flags"),
            Self::AddressKind(kind) => write!(f, "it has an address of unknown kind {kind}"),
            Self::Address(error) => error.fmt(f),
            Self::Reserved => f.write_str("what must be zero is not"),
            Self::Prs => f.write_str("its PRS is all zeros or all ones"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
