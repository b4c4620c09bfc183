//! A file that is pasted into the console line by line.

use core::fmt;

use crate::store::{Slot, Store, StoreError};

/// A paste in progress.
pub(super) struct Paste {
    slot: Slot,
    hex: bool,
    /// The current line was too long for the editor, and its beginning is in the store already.
    continued: bool,
    /// The first of a byte's two hex digits.
    half: Option<u8>,
}

/// Why a paste failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasteError {
    /// The store returned an error.
    Store(StoreError),
    /// A line is not bytes in hex.
    NotHex,
    /// The input is not text.
    NotText,
    /// The UART lost bytes.
    Lost,
}

impl fmt::Display for PasteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::NotHex => f.write_str("a line is not two hex digits for each byte: put it again"),
            Self::NotText => f.write_str("it is not all text in UTF-8: give it with put-hex"),
            Self::Lost => f.write_str("bytes were lost on the console: put it again, more slowly"),
        }
    }
}

impl Paste {
    pub(super) const fn new(slot: Slot, hex: bool) -> Self {
        Self { slot, hex, continued: false, half: None }
    }

    /// The store entry.
    pub(super) const fn slot(&self) -> Slot {
        self.slot
    }

    /// Adds a line, or (`ends` is false) the beginning of one that is too long for the editor. True if it was the dot
    /// that ends the paste.
    pub(super) fn take<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
        line: &str,
        ends: bool,
    ) -> Result<bool, PasteError> {
        if ends && is_dot(line, self.continued) {
            store.finish(self.slot).map_err(PasteError::Store)?;
            return Ok(true);
        }
        self.continued = !ends;
        if !self.hex {
            self.append(store, line.as_bytes())?;
            if ends {
                self.append(store, b"\n")?;
            }
            return Ok(false);
        }
        for c in line.chars().filter(|c| !c.is_ascii_whitespace()) {
            let digit =
                c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(PasteError::NotHex)?;
            match self.half.take() {
                None => self.half = Some(digit),
                Some(high) => self.append(store, &[high << 4 | digit])?,
            }
        }
        if ends && self.half.is_some() {
            return Err(PasteError::NotHex);
        }
        Ok(false)
    }

    fn append<const BYTES: usize, const ENTRIES: usize>(
        &self,
        store: &mut Store<BYTES, ENTRIES>,
        bytes: &[u8],
    ) -> Result<(), PasteError> {
        store.append(self.slot, bytes).map_err(PasteError::Store)
    }
}

/// Whether a line ends a paste. `continued`: it is the rest of a longer one.
pub(super) fn is_dot(line: &str, continued: bool) -> bool {
    !continued && line == "."
}
