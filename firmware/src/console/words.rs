//! A small text that grows by writing to it.

use core::fmt::{self, Write};

use heapless::String;
use zeroize::Zeroize;

/// Most bytes of one text: news with the longest label, escaped.
pub const WORDS_MAX: usize = 480;

/// Up to [`WORDS_MAX`] bytes. What is written past that is left out.
#[derive(Default)]
pub struct Words(String<WORDS_MAX>);

impl Words {
    /// None.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Wipes it, for the next text.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = WORDS_MAX - self.0.len();
        let fits = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        // It does fit.
        let _ = self.0.push_str(fits);
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_between_characters() {
        let mut words = Words::new();
        for _ in 0..WORDS_MAX / 2 - 1 {
            assert_eq!(words.write_str("é"), Ok(()));
        }
        assert_eq!(words.write_str("a"), Ok(()));
        assert_eq!(words.write_str("é"), Err(fmt::Error));
        assert_eq!(words.as_bytes().len(), WORDS_MAX - 1);
        words.clear();
        assert!(words.as_bytes().is_empty());
    }
}
