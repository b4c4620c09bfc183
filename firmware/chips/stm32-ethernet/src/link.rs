//! Which speed and duplex two ends of a cable have agreed on, by the PHY's standard registers (IEEE 802.3,
//! clause 22).

/// Basic mode control.
pub const CONTROL: u8 = 0;
/// Basic mode status.
pub const STATUS: u8 = 1;
/// Upper half of the PHY's identifier.
pub const IDENTIFIER: u8 = 2;
/// What this end offers.
pub const OFFERED: u8 = 4;
/// What the other end offers, or was found to speak if it does not negotiate.
pub const OFFERED_THERE: u8 = 5;

/// Of [`CONTROL`]: resets the PHY, and reads as 0 when that has ended.
pub const RESET: u16 = 1 << 15;
/// Of [`CONTROL`]: negotiate, and begin now.
pub const NEGOTIATE: u16 = 1 << 12 | 1 << 9;
/// Of [`OFFERED`]: 10 and 100 Mbit/s, half and full duplex, by IEEE 802.3.
pub const ALL_MODES: u16 = 0x01E1;

const NEGOTIATED: u16 = 1 << 5;
const UP: u16 = 1 << 2;

/// How the MAC must send and receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// 100 Mbit/s; else 10.
    pub fast: bool,
    /// Both ways at once.
    pub full_duplex: bool,
}

/// The mode of the link, by what the PHY's registers say; `None` while there is none.
pub fn mode(status: u16, offered: u16, offered_there: u16) -> Option<Mode> {
    if status & (NEGOTIATED | UP) != NEGOTIATED | UP {
        return None;
    }
    // The best that both offer, from the best down.
    let modes = [(8, true, true), (7, true, false), (6, false, true), (5, false, false)];
    let common = offered & offered_there;
    modes
        .into_iter()
        .find(|(bit, ..)| common & 1 << bit != 0)
        .map(|(_, fast, full_duplex)| Mode { fast, full_duplex })
}

#[cfg(test)]
mod tests;
