//! What a board needs for its radio, or why it must not talk.

use core::fmt;

use deaddrop_provisioning::radio::RadioError;
use deaddrop_provisioning::wifi::WifiRecordError;
use deaddrop_provisioning::{PAGE_MAX, WifiSettings, page};
use embedded_storage::nor_flash::ReadNorFlash;
use zeroize::Zeroizing;

/// The reason for which a board with a radio does not talk on the network. `Display` is the console's line: what happened, and
/// what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are no Wi-Fi settings.
    Settings(WifiRecordError),
    /// There is no firmware for the radio.
    Radio(RadioError),
    /// The radio does not answer.
    NoAnswer,
}

/// The Wi-Fi settings behind the provisioning record at offset `record` of `flash`.
///
/// To be told once [`Board::boot`](deaddrop_firmware::board::Board::boot) has said what is wrong with the provisioning
/// record itself.
#[inline(never)]
pub fn settings(flash: &mut impl ReadNorFlash, record: u32) -> Result<WifiSettings, Refusal> {
    let mut bytes = Zeroizing::new([0; PAGE_MAX]);
    flash.read(record, &mut *bytes).map_err(|_| Refusal::Settings(WifiRecordError::Corrupt))?;
    page::wifi(&*bytes).map_err(Refusal::Settings)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NEWER: &str = "flash a newer program, or use the xtask of this one";
        match self {
            Self::Settings(error) => {
                write!(f, "{error}: ")?;
                f.write_str(match error {
                    WifiRecordError::Newer(_) => NEWER,
                    _ => "provision this board with cargo xtask firmware config --ssid NAME --wifi-key-file FILE, then cargo xtask firmware flash",
                })
            }
            Self::Radio(error) => {
                write!(f, "{error}: ")?;
                f.write_str(match error {
                    RadioError::Newer(_) => NEWER,
                    _ => "write it with cargo xtask firmware flash --radio FOLDER; firmware/docs/boards.md says where the files are from",
                })
            }
            Self::NoAnswer => {
                f.write_str("the radio does not answer: switch off and on, or use another board")
            }
        }?;
        f.write_str("; until then it does not talk on the network")
    }
}

impl core::error::Error for Refusal {}
