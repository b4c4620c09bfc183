//! The radio's own firmware, in a region of flash of its own: three files of its maker, behind a header.
//!
//! ```text
//! 0       4        6       8         12     16   20    48        64
//! "DDRF"  version  length  firmware  NVRAM  CLM  zero  checksum  firmware  NVRAM  CLM
//! ```
//!
//! Integers are big-endian. The first length is that of the header, 64; the three others are those of the files, each of
//! which begins at a multiple of 4 and has zeros behind it up to the next. The checksum is over the header before it and
//! all that follows it.

use core::fmt;

use sha2::{Digest, Sha512};

use crate::checksum::CHECKSUM_LEN;
use crate::field::{Put, take};

/// Bytes of the header.
pub const RADIO_HEADER_LEN: usize = 64;

const MAGIC: [u8; 4] = *b"DDRF";
const VERSION: u16 = 1;
const LENGTH: u16 = 64;
/// What erased flash reads as.
const ERASED: u8 = 0xFF;
/// Each file begins at a multiple of this.
const ALIGN: usize = 4;

/// The files that a radio is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadioFiles<'a> {
    /// Its program.
    pub firmware: &'a [u8],
    /// The settings of the board that it is on.
    pub nvram: &'a [u8],
    /// What each country allows.
    pub clm: &'a [u8],
}

/// Why a region holds no radio firmware. `Display` says what is wrong; the board adds what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RadioError {
    /// It is erased.
    Blank,
    /// It is something else, or was altered or cut short.
    Corrupt,
    /// The checksum is right, and the version is one that this program does not know.
    Newer(u16),
}

impl<'a> RadioFiles<'a> {
    /// Bytes of these files with the header.
    pub const fn len(&self) -> usize {
        let [firmware, nvram, clm] = [self.firmware.len(), self.nvram.len(), self.clm.len()];
        RADIO_HEADER_LEN
            .saturating_add(firmware.next_multiple_of(ALIGN))
            .saturating_add(nvram.next_multiple_of(ALIGN))
            .saturating_add(clm.next_multiple_of(ALIGN))
    }

    /// Whether there is nothing: never, there is a header.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes header and files to the start of `region`; `None` if they do not fit, or one of them is empty.
    pub fn emit(&self, region: &mut [u8]) -> Option<()> {
        let region = region.get_mut(..self.len())?;
        region.fill(0);
        let (header, mut rest) = region.split_at_mut(RADIO_HEADER_LEN);
        let mut lengths = [0; 3];
        for (file, length) in [self.firmware, self.nvram, self.clm].into_iter().zip(&mut lengths) {
            *length = u32::try_from(file.len()).ok().filter(|length| *length > 0)?;
            let (to, behind) = rest.split_at_mut_checked(file.len().next_multiple_of(ALIGN))?;
            to.get_mut(..file.len())?.copy_from_slice(file);
            rest = behind;
        }
        let [firmware, nvram, clm] = lengths.map(u32::to_be_bytes);
        Put::new(header)
            .field(&MAGIC)
            .field(&VERSION.to_be_bytes())
            .field(&LENGTH.to_be_bytes())
            .field(&firmware)
            .field(&nvram)
            .field(&clm);
        let checksum = checksum(region)?;
        region.get_mut(RADIO_HEADER_LEN - CHECKSUM_LEN..RADIO_HEADER_LEN)?.copy_from_slice(&checksum);
        Some(())
    }

    /// The files at the start of `region`.
    pub fn parse(region: &'a [u8]) -> Result<Self, RadioError> {
        let header = region.get(..RADIO_HEADER_LEN).ok_or(RadioError::Corrupt)?;
        if header.iter().all(|byte| *byte == ERASED) {
            return Err(RadioError::Blank);
        }
        Self::checked(region, header).unwrap_or(Err(RadioError::Corrupt))
    }

    /// `None` if it is corrupt.
    fn checked(region: &'a [u8], mut header: &'a [u8]) -> Option<Result<Self, RadioError>> {
        let magic: &[u8; 4] = take(&mut header)?;
        let version = u16::from_be_bytes(*take(&mut header)?);
        let header_len = u16::from_be_bytes(*take(&mut header)?);
        let mut length = || Some(u32::from_be_bytes(*take(&mut header)?));
        let lengths = [length()?, length()?, length()?];
        let reserved: &[u8; 28] = take(&mut header)?;
        if *magic != MAGIC || header_len != LENGTH || *reserved != [0; 28] {
            return None;
        }
        let mut rest = region.get(RADIO_HEADER_LEN..)?;
        let mut whole = RADIO_HEADER_LEN;
        let mut file = |length: u32| {
            let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
            let padded = length.checked_next_multiple_of(ALIGN)?;
            let (file, behind) = rest.split_at_checked(padded)?;
            rest = behind;
            whole += padded;
            let (file, zeros) = file.split_at_checked(length)?;
            zeros.iter().all(|byte| *byte == 0).then_some(file)
        };
        let [firmware, nvram, clm] = lengths;
        let files = Self { firmware: file(firmware)?, nvram: file(nvram)?, clm: file(clm)? };
        if checksum(region.get(..whole)?)? != *header {
            return None;
        }
        Some(if version == VERSION { Ok(files) } else { Err(RadioError::Newer(version)) })
    }
}

/// Over a region that ends with the last file.
fn checksum(region: &[u8]) -> Option<[u8; CHECKSUM_LEN]> {
    let (before, behind) = (region.get(..RADIO_HEADER_LEN - CHECKSUM_LEN)?, region.get(RADIO_HEADER_LEN..)?);
    let digest = Sha512::new().chain_update(before).chain_update(behind).finalize();
    digest.first_chunk().copied()
}

impl fmt::Display for RadioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("the radio's firmware is not in flash"),
            Self::Corrupt => f.write_str("the radio's firmware in flash is corrupt"),
            Self::Newer(version) => write!(
                f,
                "the radio's firmware in flash has version {version} of its header, and this program knows version {VERSION}"
            ),
        }
    }
}

impl core::error::Error for RadioError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn emitted(files: RadioFiles<'_>) -> Vec<u8> {
        let mut region = vec![0xFF; files.len() + 100];
        files.emit(&mut region).unwrap();
        region
    }

    fn files() -> RadioFiles<'static> {
        RadioFiles { firmware: &[1, 2, 3, 4, 5], nvram: b"a=b\0\0\0\0\0", clm: &[9; 7] }
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 1..50)
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(firmware in file(), nvram in file(), clm in file()) {
            let files = RadioFiles { firmware: &firmware, nvram: &nvram, clm: &clm };
            let region = emitted(files);
            prop_assert_eq!(RadioFiles::parse(&region), Ok(files));
            prop_assert_eq!(RadioFiles::parse(&region[..files.len()]), Ok(files));
            let base = region.as_ptr().addr();
            let parsed = RadioFiles::parse(&region).unwrap();
            for file in [parsed.firmware, parsed.nvram, parsed.clm] {
                prop_assert_eq!((file.as_ptr().addr() - base) % 4, 0);
            }
        }

        #[test]
        fn no_garbled_region_makes_it_panic(
            head in proptest::collection::vec(any::<u8>(), 0..64), cut in 0_usize..140, lengths in any::<[u32; 3]>(), sealed: bool,
        ) {
            let mut region = emitted(files());
            region[8..20].copy_from_slice(&lengths.map(u32::to_be_bytes).concat());
            region[64 - head.len()..64].copy_from_slice(&head);
            if sealed {
                let checksum = checksum(&region).unwrap();
                region[48..64].copy_from_slice(&checksum);
            }
            region.truncate(cut.min(region.len()));
            prop_assert!(RadioFiles::parse(&region).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let (whole, length) = (emitted(files()), files().len());
        for bit in 0..length * 8 {
            let mut region = whole.clone();
            region[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RadioFiles::parse(&region), Err(RadioError::Corrupt), "{bit}");
        }
        for written in 0..length {
            assert_eq!(RadioFiles::parse(&whole[..written]), Err(RadioError::Corrupt), "{written}");
            let mut region = vec![0xFF; length];
            region[..written].copy_from_slice(&whole[..written]);
            let expected = if written == 0 { RadioError::Blank } else { RadioError::Corrupt };
            assert_eq!(RadioFiles::parse(&region), Err(expected), "{written}");
        }
    }

    #[test]
    fn a_newer_region_is_told_from_damage() {
        let mut region = emitted(files());
        region[5] = 7;
        region.truncate(files().len());
        let checksum = checksum(&region).unwrap();
        region[48..64].copy_from_slice(&checksum);
        assert_eq!(RadioFiles::parse(&region), Err(RadioError::Newer(7)));
    }

    #[test]
    fn what_does_not_fit_or_is_empty_is_not_written() {
        let files = files();
        assert_eq!(files.len(), 64 + 8 + 8 + 8);
        assert_eq!(files.emit(&mut vec![0; files.len() - 1]), None);
        assert_eq!(RadioFiles { clm: &[], ..files }.emit(&mut [0; 200]), None);
    }
}
