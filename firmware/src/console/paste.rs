//! A file that is pasted into the console line by line.

use core::fmt;

use crate::store::{Slot, Store, StoreError};

/// What is being pasted, and how far it is.
pub(super) struct Paste {
    slot: Slot,
    hex: bool,
    /// The line so far was too long for the editor, and its beginning is in the store already.
    continued: bool,
    /// The first of two hex digits.
    half: Option<u8>,
}

/// Why a paste came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasteError {
    /// The store did not take it.
    Store(StoreError),
    /// A line is no bytes in hex.
    NotHex,
    /// Something came that is no text.
    NotText,
    /// Bytes were lost on the wire.
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

    /// Where it goes.
    pub(super) const fn slot(&self) -> Slot {
        self.slot
    }

    /// Takes a line, or the beginning of one that is too long for the editor; says whether it was the dot that ends
    /// the paste.
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

/// Whether a line ends a paste; `continued` says that it is the rest of one.
pub(super) fn is_dot(line: &str, continued: bool) -> bool {
    !continued && line == "."
}
