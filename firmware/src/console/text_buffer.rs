//! A text of bounded size that grows by writing to it.

use core::fmt::{self, Write};

use heapless::String;
use zeroize::Zeroize;

/// Capacity in bytes: enough for every event with the longest label, escaped.
pub const TEXT_MAX: usize = 480;

/// Up to [`TEXT_MAX`] bytes. The rest of what is written is cut off.
#[derive(Default)]
pub struct TextBuffer(String<TEXT_MAX>);

impl TextBuffer {
    /// Empty.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Wipes the text, for the next one.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl Write for TextBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = TEXT_MAX - self.0.len();
        let fits = text.get(..text.floor_char_boundary(free)).unwrap_or_default();
        // Cannot fail: just measured.
        let _ = self.0.push_str(fits);
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Drop for TextBuffer {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_off_between_characters() {
        let mut text = TextBuffer::new();
        for _ in 0..TEXT_MAX / 2 - 1 {
            assert_eq!(text.write_str("é"), Ok(()));
        }
        assert_eq!(text.write_str("a"), Ok(()));
        assert_eq!(text.write_str("é"), Err(fmt::Error));
        assert_eq!(text.as_bytes().len(), TEXT_MAX - 1);
        text.clear();
        assert!(text.as_bytes().is_empty());
    }
}
