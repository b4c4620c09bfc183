//! The Wi-Fi record: the network that a board with a radio joins. It stands right behind the provisioning record.
//!
//! ```text
//! 0       4        6       8     9         10       11    12       14    16    48   112       128
//! "DDWF"  version  length  kind  SSID len  key len  zero  country  zero  SSID  key  checksum
//! ```
//!
//! It is a record of its own, so that one without Wi-Fi stays as it is, and boards without a radio have no code for it.

use core::fmt;
use core::str::FromStr;

use deaddrop_core::secret::Secret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::checksum;
use crate::field::{Put, take};

/// Bytes of a Wi-Fi record.
pub const WIFI_RECORD_LEN: usize = 128;
/// The most bytes of an SSID, by IEEE 802.11.
pub const SSID_MAX: usize = 32;
/// The fewest characters of a passphrase, by IEEE 802.11.
pub const WIFI_PASSPHRASE_MIN: usize = 8;
/// The most characters of a passphrase.
pub const WIFI_PASSPHRASE_MAX: usize = 63;
/// Hexadecimal digits of a PSK.
pub const PSK_DIGITS: usize = 64;

const MAGIC: [u8; 4] = *b"DDWF";
const VERSION: u16 = 1;
#[expect(clippy::cast_possible_truncation, reason = "it is 128")]
const LENGTH: u16 = WIFI_RECORD_LEN as u16;
/// What erased flash reads as.
const ERASED: u8 = 0xFF;

const KIND_OPEN: u8 = 0;
const KIND_PASSPHRASE: u8 = 1;
const KIND_PSK: u8 = 2;

/// The network that a board joins.
#[derive(Debug)]
pub struct WifiSettings {
    /// Its name.
    pub ssid: Ssid,
    /// What it asks for.
    pub key: WifiKey,
    /// Where the board is, which decides channels and power.
    pub country: Country,
}

/// The name of a network: 1 to 32 bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssid {
    bytes: [u8; SSID_MAX],
    len: u8,
}

/// What a network asks for.
#[derive(Debug)]
pub enum WifiKey {
    /// Nothing: what is sent there can be read by all who are near.
    Open,
    /// The passphrase of WPA2 and WPA3.
    Passphrase(Passphrase),
    /// The pre-shared key of WPA2, which WPA2 derives from passphrase and SSID. WPA3 cannot use it.
    Psk(Secret<32>),
}

/// 8 to 63 printable ASCII characters. Wiped when dropped, and not shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Passphrase {
    bytes: [u8; WIFI_PASSPHRASE_MAX],
    len: u8,
}

/// A country by its two letters in ISO 3166-1, or [`Country::WORLD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country([u8; 2]);

/// Why there are no Wi-Fi settings behind a provisioning record. `Display` says what is wrong; the board adds what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WifiRecordError {
    /// There is nothing.
    Absent,
    /// Not a record, or one that was altered or cut short.
    Corrupt,
    /// The checksum is right, and the version is one that this program does not know.
    Newer(u16),
    /// The checksum is right, and a field has an illegal value.
    Invalid,
}

/// Why settings as they were given are none. `Display` says what to change, and names the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WifiSettingsError {
    /// The SSID is empty, or longer than 32 bytes.
    SsidLength(usize),
    /// The key is neither a passphrase nor 64 hexadecimal digits.
    KeyLength(usize),
    /// A passphrase has a character that is not printable ASCII.
    KeyCharacter,
    /// A country is not two capital letters.
    Country,
    /// There is an SSID, and neither a key nor the wish for none.
    NoKey,
    /// There is a key, and the wish for none.
    KeyAndOpen,
    /// There is something that goes with an SSID, and no SSID.
    NoSsid,
}

impl Ssid {
    /// Of this name.
    pub fn new(name: &str) -> Result<Self, WifiSettingsError> {
        let refused = WifiSettingsError::SsidLength(name.len());
        let mut bytes = [0; SSID_MAX];
        bytes.get_mut(..name.len()).ok_or(refused)?.copy_from_slice(name.as_bytes());
        match u8::try_from(name.len()) {
            Ok(len) if len > 0 => Ok(Self { bytes, len }),
            _ => Err(refused),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // It was one when it was made.
        self.bytes.get(..self.len.into()).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
    }
}

impl FromStr for Ssid {
    type Err = WifiSettingsError;

    fn from_str(name: &str) -> Result<Self, WifiSettingsError> {
        Self::new(name)
    }
}

impl Passphrase {
    fn new(text: &[u8]) -> Result<Self, WifiSettingsError> {
        if !(WIFI_PASSPHRASE_MIN..=WIFI_PASSPHRASE_MAX).contains(&text.len()) {
            return Err(WifiSettingsError::KeyLength(text.len()));
        }
        if !text.iter().all(is_printable) {
            return Err(WifiSettingsError::KeyCharacter);
        }
        let mut passphrase = Self { bytes: [0; WIFI_PASSPHRASE_MAX], len: 0 };
        for (to, from) in passphrase.bytes.iter_mut().zip(text) {
            *to = *from;
            passphrase.len += 1;
        }
        Ok(passphrase)
    }

    /// Its characters.
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

fn is_printable(byte: &u8) -> bool {
    (b' '..=b'~').contains(byte)
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl WifiKey {
    /// A passphrase, or the 64 hexadecimal digits of a PSK, as a file has them: a line end behind them does not count.
    pub fn from_text(text: &[u8]) -> Result<Self, WifiSettingsError> {
        let text = text.strip_suffix(b"\n").map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line));
        // Before the length: that is one of characters, and here are bytes.
        if !text.iter().all(is_printable) {
            return Err(WifiSettingsError::KeyCharacter);
        }
        if text.len() != PSK_DIGITS {
            return Passphrase::new(text).map(Self::Passphrase);
        }
        let mut whole = true;
        let psk = Secret::fill_with(|psk| {
            for (byte, digits) in psk.iter_mut().zip(text.as_chunks::<2>().0) {
                let [high, low] = digits.map(|digit| (digit as char).to_digit(16));
                let value = high.zip(low).map(|(high, low)| high << 4 | low);
                let value = value.and_then(|value| u8::try_from(value).ok());
                whole &= value.is_some();
                *byte = value.unwrap_or_default();
            }
        });
        if whole { Ok(Self::Psk(psk)) } else { Err(WifiSettingsError::KeyLength(PSK_DIGITS)) }
    }
}

impl Country {
    /// What is allowed nearly everywhere, and so the least.
    pub const WORLD: Self = Self(*b"XX");

    /// Its two letters.
    pub const fn letters(self) -> [u8; 2] {
        self.0
    }
}

impl FromStr for Country {
    type Err = WifiSettingsError;

    fn from_str(text: &str) -> Result<Self, WifiSettingsError> {
        match text.as_bytes().try_into() {
            Ok(letters) if Self::is_one(&letters) => Ok(Self(letters)),
            _ => Err(WifiSettingsError::Country),
        }
    }
}

impl Country {
    fn is_one(letters: &[u8; 2]) -> bool {
        letters.iter().all(u8::is_ascii_uppercase)
    }
}

impl WifiSettings {
    /// Whether these may be given together.
    pub const fn check_given(
        ssid: bool,
        key: bool,
        open: bool,
        country: bool,
    ) -> Result<(), WifiSettingsError> {
        match (ssid, key, open) {
            (false, false, false) if !country => Ok(()),
            (false, ..) => Err(WifiSettingsError::NoSsid),
            (true, false, false) => Err(WifiSettingsError::NoKey),
            (true, true, true) => Err(WifiSettingsError::KeyAndOpen),
            (true, ..) => Ok(()),
        }
    }

    /// The settings that the commands which provision a board take: none without an SSID, and an open network only if
    /// that is asked for.
    pub fn from_settings(
        ssid: Option<Ssid>,
        key: Option<WifiKey>,
        open: bool,
        country: Option<Country>,
    ) -> Result<Option<Self>, WifiSettingsError> {
        Self::check_given(ssid.is_some(), key.is_some(), open, country.is_some())?;
        let (key, country) = (key.unwrap_or(WifiKey::Open), country.unwrap_or(Country::WORLD));
        Ok(ssid.map(|ssid| Self { ssid, key, country }))
    }

    /// Encodes it. The bytes are secret: wipe them after use.
    pub fn emit(&self, record: &mut [u8; WIFI_RECORD_LEN]) {
        let mut padded = Zeroizing::new([0; 64]);
        let (kind, key): (u8, &[u8]) = match &self.key {
            WifiKey::Open => (KIND_OPEN, &[]),
            WifiKey::Passphrase(passphrase) => (KIND_PASSPHRASE, passphrase.expose()),
            WifiKey::Psk(psk) => (KIND_PSK, psk.expose()),
        };
        let mut length = 0;
        for (to, from) in padded.iter_mut().zip(key) {
            *to = *from;
            length += 1;
        }
        Put::new(record)
            .field(&MAGIC)
            .field(&VERSION.to_be_bytes())
            .field(&LENGTH.to_be_bytes())
            .field(&[kind, self.ssid.len, length, 0])
            .field(&self.country.0)
            .field(&[0; 2])
            .field(&self.ssid.bytes)
            .field(&padded);
        checksum::seal(record);
    }

    /// Decodes the record at the start of `flash`, which is what follows a provisioning record.
    pub fn parse(flash: &[u8]) -> Result<Self, WifiRecordError> {
        if flash.iter().take(WIFI_RECORD_LEN).all(|byte| *byte == ERASED) {
            return Err(WifiRecordError::Absent);
        }
        let mut head = flash;
        let (magic, version, length) = parts(&mut head).ok_or(WifiRecordError::Corrupt)?;
        if magic != MAGIC {
            return Err(WifiRecordError::Corrupt);
        }
        let content = flash.get(..length.into()).and_then(checksum::open).ok_or(WifiRecordError::Corrupt)?;
        match version {
            0 => Err(WifiRecordError::Invalid),
            VERSION if length == LENGTH => fields(content).ok_or(WifiRecordError::Invalid),
            VERSION => Err(WifiRecordError::Invalid),
            newer => Err(WifiRecordError::Newer(newer)),
        }
    }
}

fn parts(bytes: &mut &[u8]) -> Option<([u8; 4], u16, u16)> {
    Some((*take(bytes)?, u16::from_be_bytes(*take(bytes)?), u16::from_be_bytes(*take(bytes)?)))
}

/// Decodes what a record holds before its checksum; `None` if a field has an illegal value.
fn fields(mut content: &[u8]) -> Option<WifiSettings> {
    parts(&mut content)?;
    let &[kind, ssid_len, key_len, zero] = take(&mut content)?;
    let country: &[u8; 2] = take(&mut content)?;
    let reserved: &[u8; 2] = take(&mut content)?;
    let ssid: &[u8; SSID_MAX] = take(&mut content)?;
    let key: &[u8; 64] = take(&mut content)?;
    let (ssid, behind_ssid) = ssid.split_at_checked(ssid_len.into())?;
    let (key, behind_key) = key.split_at_checked(key_len.into())?;
    let mut zeros = behind_ssid.iter().chain(behind_key).chain(reserved).chain([&zero]);
    if !Country::is_one(country) || zeros.any(|byte| *byte != 0) {
        return None;
    }
    let key = match kind {
        KIND_OPEN if key.is_empty() => WifiKey::Open,
        KIND_PASSPHRASE => WifiKey::Passphrase(Passphrase::new(key).ok()?),
        KIND_PSK => {
            let key: &[u8; 32] = key.try_into().ok()?;
            WifiKey::Psk(Secret::fill_with(|to| *to = *key))
        }
        _ => return None,
    };
    let ssid = Ssid::new(str::from_utf8(ssid).ok()?).ok()?;
    Some(WifiSettings { ssid, key, country: Country(*country) })
}

impl fmt::Display for WifiRecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the provisioning record names no Wi-Fi network"),
            Self::Corrupt => f.write_str("the Wi-Fi record is corrupt"),
            Self::Newer(version) => {
                write!(f, "the Wi-Fi record has version {version}, and this program knows version {VERSION}")
            }
            Self::Invalid => f.write_str("the Wi-Fi record is whole and wrong"),
        }
    }
}

impl core::error::Error for WifiRecordError {}

/// The length of a key that is refused.
struct KeyIs(usize);

impl fmt::Display for KeyIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // A longer one may not have been read to its end.
            length if length > PSK_DIGITS => write!(f, "is longer than {PSK_DIGITS} characters"),
            PSK_DIGITS => write!(f, "has {PSK_DIGITS} characters, and not all of them are such digits"),
            1 => f.write_str("has 1 character"),
            length => write!(f, "has {length} characters"),
        }
    }
}

impl fmt::Display for WifiSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SsidLength(length) => {
                write!(f, "an SSID has from 1 to {SSID_MAX} bytes, not {length}")
            }
            Self::KeyLength(length) => write!(
                f,
                "a Wi-Fi key has from {WIFI_PASSPHRASE_MIN} to {WIFI_PASSPHRASE_MAX} characters, or {PSK_DIGITS} \
                 hexadecimal digits; this one {}",
                KeyIs(*length)
            ),
            Self::KeyCharacter => f.write_str(
                "a Wi-Fi key has letters, digits, blanks and signs of ASCII only, and this one has something else",
            ),
            Self::Country => {
                f.write_str("give a country by its two capital letters, such as DE, or XX for anywhere")
            }
            Self::NoKey => f.write_str(
                "--ssid needs the key of that network: give --wifi-key-file, or --wifi-open if it has none",
            ),
            Self::KeyAndOpen => {
                f.write_str("--wifi-open is for a network without a key: leave one of the two out")
            }
            Self::NoSsid => f.write_str(
                "--wifi-key-file, --wifi-open and --wifi-country go with --ssid: name the network with it",
            ),
        }
    }
}

impl core::error::Error for WifiSettingsError {}

#[cfg(test)]
mod tests;
