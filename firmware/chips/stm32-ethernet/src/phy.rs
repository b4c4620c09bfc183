//! Any PHY with the registers of IEEE 802.3: found by its address, reset, and asked for the link. The MAC
//! follows it.

use crate::link::{self, Mode};

/// Looks, with a pause before each, until a PHY has ended its reset.
const RESET_LOOKS: usize = 50;

/// The two lines MDIO and MDC.
pub trait Management {
    /// Reads a register of the PHY at this address. Where none is, all bits read as 1, or as 0.
    fn read(&mut self, address: u8, register: u8) -> u16;
    /// Writes one.
    fn write(&mut self, address: u8, register: u8, value: u16);
}

/// The MAC at the other side of the PHY.
pub trait Mac {
    /// From now on it sends and receives in this mode.
    fn set_mode(&mut self, mode: Mode);
}

/// The PHY, and the MAC that follows it.
pub struct Phy<S, M> {
    management: S,
    mac: M,
    /// `None` if no PHY answers: then there is never a link.
    address: Option<u8>,
    mode: Option<Mode>,
}

impl<S: Management, M: Mac> Phy<S, M> {
    /// The PHY on these lines.
    pub fn new(management: S, mac: M) -> Self {
        Self { management, mac, address: None, mode: None }
    }

    /// Finds and resets it. `pause` lasts 10 ms: a PHY may take half a second (IEEE 802.3, 22.2.4.1.1).
    pub fn reset(&mut self, mut pause: impl FnMut()) {
        let answers = |address: &u8| !matches!(self.management.read(*address, link::IDENTIFIER), 0 | 0xFFFF);
        self.address = (0..32).find(answers);
        let Some(address) = self.address else { return };
        self.management.write(address, link::CONTROL, link::RESET);
        for _ in 0..RESET_LOOKS {
            pause();
            if self.management.read(address, link::CONTROL) & link::RESET == 0 {
                return;
            }
        }
        self.address = None;
    }

    /// Has it negotiate all modes.
    pub fn negotiate(&mut self) {
        let Some(address) = self.address else { return };
        self.management.write(address, link::OFFERED, link::ALL_MODES);
        self.management.write(address, link::CONTROL, link::NEGOTIATE);
    }

    /// Asks for the link, and tells the MAC of another mode. Whether there is one.
    pub fn look(&mut self) -> bool {
        let mode = self.ask();
        if let Some(mode) = mode.filter(|_| mode != self.mode) {
            self.mac.set_mode(mode);
        }
        self.mode = mode;
        mode.is_some()
    }

    /// What the last look found.
    pub fn is_up(&self) -> bool {
        self.mode.is_some()
    }

    fn ask(&mut self) -> Option<Mode> {
        let address = self.address?;
        let mut read = |register| self.management.read(address, register);
        // A lost link is kept until it is read: the first says what was, the second what is.
        let (was, is) = (read(link::STATUS), read(link::STATUS));
        link::mode(was & is, read(link::OFFERED), read(link::OFFERED_THERE))
    }
}

#[cfg(test)]
mod tests;
