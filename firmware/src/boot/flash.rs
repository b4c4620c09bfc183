//! Flash in memory, on which the power can fail at any byte and which can be broken.

extern crate std;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// How it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Says it has written, and has not.
    WritesNothing,
    /// Says it has erased, and has not.
    ErasesNothing,
    /// This bit of every byte written stays as erased.
    StuckBit(u8),
}

/// The power failed, or the flash was used as flash cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashError {
    PowerFailed,
    Misused,
}

/// `WRITE` and `ERASE` are the sizes of a word and of an erase block.
#[derive(Clone, Debug)]
pub(crate) struct Flash<const WRITE: usize = 32, const ERASE: usize = 128> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fault: Fault,
    /// Bytes that can still be erased or written before the power fails.
    pub(crate) power: Option<usize>,
    /// What a byte is left at when the power fails while it changes: between old and new by this mask.
    pub(crate) torn: u8,
    pub(crate) erased: usize,
    /// Whether a word that was written may be written again where that only clears bits, as plain NOR flash allows.
    pub(crate) clears_bits: bool,
    /// Words with error correction: those that a power failure left half-written, which cannot be read. `None`: plain
    /// flash, where every word can be.
    pub(crate) torn_words: Option<BTreeSet<usize>>,
}

impl Flash {
    /// Erased, with room for this many pieces.
    pub(crate) fn new(pieces: usize) -> Self {
        Self::of_sizes(pieces)
    }

    /// The same with error correction, as that of STM32H5 and H7.
    pub(crate) fn with_ecc(pieces: usize) -> Self {
        Self { torn_words: Some(BTreeSet::new()), ..Self::new(pieces) }
    }
}

impl<const WRITE: usize, const ERASE: usize> Flash<WRITE, ERASE> {
    /// The same with other sizes than usual.
    pub(crate) fn of_sizes(pieces: usize) -> Self {
        let bytes = vec![0xFF; pieces * ERASE];
        Self {
            bytes,
            fault: Fault::None,
            power: None,
            torn: 0xFF,
            erased: 0,
            clears_bits: false,
            torn_words: None,
        }
    }

    fn change(&mut self, at: usize, to: u8) -> Result<(), FlashError> {
        let power_fails = self.power == Some(0);
        if let Some(torn) = &mut self.torn_words {
            // A word is whole again when its last byte is.
            let word = at / Self::WRITE_SIZE;
            if power_fails || !(at + 1).is_multiple_of(Self::WRITE_SIZE) {
                torn.insert(word);
            } else {
                torn.remove(&word);
            }
        }
        let byte = &mut self.bytes[at];
        match &mut self.power {
            Some(0) => {
                *byte = (*byte & !self.torn) | (to & self.torn);
                return Err(FlashError::PowerFailed);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        *byte = to;
        Ok(())
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Flash<WRITE, ERASE> {
    type Error = FlashError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Flash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let at = usize::try_from(offset).unwrap();
        let words = at / Self::WRITE_SIZE..(at + bytes.len()).div_ceil(Self::WRITE_SIZE);
        let torn = self.torn_words.iter().flatten().find(|word| words.contains(word));
        assert_eq!(torn, None, "a torn word was read: the chip traps, at this start and every other");
        bytes.copy_from_slice(self.bytes.get(at..at + bytes.len()).ok_or(FlashError::Misused)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Flash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        if !from.is_multiple_of(Self::ERASE_SIZE)
            || !to.is_multiple_of(Self::ERASE_SIZE)
            || to > self.bytes.len()
        {
            return Err(FlashError::Misused);
        }
        self.erased += 1;
        if self.fault == Fault::ErasesNothing {
            return Ok(());
        }
        (from..to).try_for_each(|at| self.change(at, 0xFF))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let at = usize::try_from(offset).unwrap();
        let whole = at.is_multiple_of(Self::WRITE_SIZE) && bytes.len().is_multiple_of(Self::WRITE_SIZE);
        if !whole || at + bytes.len() > self.bytes.len() {
            return Err(FlashError::Misused);
        }
        match self.fault {
            Fault::WritesNothing => return Ok(()),
            // Otherwise a slot that was not erased is not written either: bits only ever fall.
            Fault::ErasesNothing => {}
            _ if self.bytes[at..]
                .iter()
                .zip(bytes)
                .any(|(is, to)| if self.clears_bits { is & to != *to } else { *is != 0xFF }) =>
            {
                return Err(FlashError::Misused);
            }
            _ => {}
        }
        for (place, byte) in (at..).zip(bytes) {
            let stuck = if let Fault::StuckBit(bit) = self.fault { 1 << bit } else { 0 };
            let to = (byte | stuck) & self.bytes[place];
            self.change(place, to)?;
        }
        Ok(())
    }
}
