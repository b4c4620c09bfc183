//! The file with which a board is provisioned: its page, and behind it the record of its first seed.
//!
//! They are apart because they go to different places. A board never writes its page; its seed it replaces at every
//! start. Were the first seed in the page as well, whoever took the board could compute all its keys since.

use core::fmt;

use crate::page::{PAGE_LEN, Page, PageError};
use crate::seed::{SEED_RECORD_LEN, SeedRecord};

/// Bytes of the file.
pub const PROVISION_LEN: usize = PAGE_LEN + SEED_RECORD_LEN;

/// Both parts.
#[derive(Debug)]
pub struct Provision {
    /// For the board's page.
    pub page: Page,
    /// For its first seed slot.
    pub seed: SeedRecord,
}

/// Why these bytes do not provision a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The file has not [`PROVISION_LEN`] bytes.
    Length(usize),
    /// There is no page in it.
    Page(PageError),
    /// The page is whole, and what follows is no seed record.
    Seed,
}

impl Provision {
    /// Its bytes, which are secret: wipe them after use.
    pub fn emit(&self, file: &mut [u8; PROVISION_LEN]) {
        if let Some((page, rest)) = file.split_first_chunk_mut() {
            self.page.emit(page);
            if let Some((record, _)) = rest.split_first_chunk_mut() {
                self.seed.emit(record);
            }
        }
    }

    /// Reads both parts.
    pub fn parse(file: &[u8]) -> Result<Self, ProvisionError> {
        let (page, seed) = split(file).ok_or(ProvisionError::Length(file.len()))?;
        Ok(Self {
            page: Page::parse(page).map_err(ProvisionError::Page)?,
            seed: SeedRecord::parse(seed).ok_or(ProvisionError::Seed)?,
        })
    }
}

/// The bytes of the two parts; nothing if there are more or fewer than of both.
pub fn split(file: &[u8]) -> Option<(&[u8; PAGE_LEN], &[u8; SEED_RECORD_LEN])> {
    let (page, rest) = file.split_first_chunk()?;
    Some((page, rest.try_into().ok()?))
}

impl fmt::Display for ProvisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "it has {length} bytes, and should have {PROVISION_LEN}"),
            Self::Page(error) => error.fmt(f),
            Self::Seed => f.write_str("the seed behind the page is corrupt"),
        }
    }
}

impl core::error::Error for ProvisionError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Address, Seed};
    use deaddrop_core::crypto::keys::Prs;

    fn file() -> [u8; PROVISION_LEN] {
        let page = Page { prs: Prs::new([1; 32]), address: Address::Dhcp, mode: Default::default() };
        let mut file = [0; PROVISION_LEN];
        Provision { page, seed: SeedRecord { number: 0, seed: Seed::new([2; 32]) } }.emit(&mut file);
        file
    }

    #[test]
    fn both_parts_come_back() {
        let provision = Provision::parse(&file()).unwrap();
        assert_eq!(provision.page.prs.expose(), &[1; 32]);
        assert_eq!(provision.seed.seed, Seed::new([2; 32]));
    }

    #[test]
    fn the_page_does_not_hold_the_seed() {
        let file = file();
        let (page, seed) = split(&file).unwrap();
        assert!(!page.windows(32).any(|bytes| bytes == [2; 32]));
        assert!(seed.windows(32).any(|bytes| bytes == [2; 32]));
    }

    #[test]
    fn a_part_that_is_not_whole_is_named() {
        let mut bytes = file();
        assert_eq!(Provision::parse(&bytes[1..]).unwrap_err(), ProvisionError::Length(PROVISION_LEN - 1));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Provision::parse(&longer).unwrap_err(), ProvisionError::Length(PROVISION_LEN + 1));
        bytes[PAGE_LEN + 20] ^= 1;
        assert_eq!(Provision::parse(&bytes).unwrap_err(), ProvisionError::Seed);
        bytes[20] ^= 1;
        assert_eq!(Provision::parse(&bytes).unwrap_err(), ProvisionError::Page(PageError::Corrupt));
    }
}
