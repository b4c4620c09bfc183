//! One line, as it is typed.
//!
//! Bytes go in as they come from the wire. What has to appear on the terminal comes out as a [`Key`]; nothing is
//! echoed that a terminal obeys.

use core::str;

use deaddrop_core::text::is_control;
use zeroize::Zeroize;

/// Most bytes of a line: a message of 400 bytes behind the word `send`.
pub const LINE_MAX: usize = 405;

/// What a byte did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Nothing that shows.
    Nothing,
    /// A character was added at the end: echo it.
    Added(char),
    /// There was no room for a character, or it is none that is taken: ring the bell.
    Refused,
    /// An ordinary character was removed at the end: step back over it.
    Removed,
    /// The line has changed otherwise: draw it anew.
    Changed,
    /// The line is complete.
    Entered,
    /// Ctrl-C: the line is given up.
    Abandoned,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    /// An ordinary byte comes next.
    None,
    /// After ESC.
    Escape,
    /// After ESC O: one more.
    Single,
    /// After ESC [: until a letter.
    Control,
}

/// The line that is being typed. Wiped when it is cleared, for it may be a secret.
pub struct Editor {
    bytes: [u8; LINE_MAX],
    len: usize,
    /// Characters that were typed after there was no more room.
    over: u16,
    /// The beginning of a character whose other bytes are yet to come.
    part: [u8; 4],
    part_len: u8,
    sequence: Sequence,
    /// The last byte was CR: LF after it is the same line end.
    after_cr: bool,
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

impl Editor {
    /// An empty line.
    pub const fn new() -> Self {
        Self {
            bytes: [0; LINE_MAX],
            len: 0,
            over: 0,
            part: [0; 4],
            part_len: 0,
            sequence: Sequence::None,
            after_cr: false,
        }
    }

    /// What has been typed, and had room.
    pub fn line(&self) -> &str {
        // Only whole characters are put in.
        self.bytes.get(..self.len).and_then(|line| str::from_utf8(line).ok()).unwrap_or_default()
    }

    /// Whether more was typed than had room, and was not taken back.
    pub const fn is_too_long(&self) -> bool {
        self.over > 0
    }

    /// Whether the next character may have no room.
    pub const fn is_full(&self) -> bool {
        self.len + 4 > LINE_MAX
    }

    /// Wipes the line, for the next one.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
        self.part.zeroize();
        (self.len, self.over, self.part_len) = (0, 0, 0);
    }

    /// Takes one byte.
    pub fn feed(&mut self, byte: u8) -> Key {
        let after_cr = core::mem::take(&mut self.after_cr);
        if matches!(byte, 0..=0x1f | 0x7f) {
            self.part_len = 0;
            self.sequence = Sequence::None;
            return match byte {
                b'\r' => {
                    self.after_cr = true;
                    Key::Entered
                }
                b'\n' if after_cr => Key::Nothing,
                b'\n' => Key::Entered,
                b'\t' => self.add('\t'),
                0x03 => Key::Abandoned,
                0x08 | 0x7f => self.remove(),
                0x15 => {
                    self.clear();
                    Key::Changed
                }
                0x1b => {
                    self.sequence = Sequence::Escape;
                    Key::Nothing
                }
                _ => Key::Refused,
            };
        }
        match self.sequence {
            Sequence::None => self.text(byte),
            Sequence::Escape => {
                self.sequence = match byte {
                    b'[' => Sequence::Control,
                    b'O' => Sequence::Single,
                    _ => Sequence::None,
                };
                Key::Nothing
            }
            Sequence::Control => {
                if matches!(byte, 0x40..=0x7e) {
                    self.sequence = Sequence::None;
                }
                Key::Nothing
            }
            Sequence::Single => {
                self.sequence = Sequence::None;
                Key::Nothing
            }
        }
    }

    fn text(&mut self, byte: u8) -> Key {
        if byte.is_ascii() {
            self.part_len = 0;
            return self.add(char::from(byte));
        }
        if let Some(place) = self.part.get_mut(usize::from(self.part_len)) {
            *place = byte;
            self.part_len += 1;
        }
        let part = self.part.get(..usize::from(self.part_len)).unwrap_or_default();
        match str::from_utf8(part) {
            Ok(text) => {
                let c = text.chars().next();
                self.part_len = 0;
                match c {
                    Some(c) if !is_control(c) => self.add(c),
                    _ => Key::Refused,
                }
            }
            // So far it can still become a character.
            Err(error) if error.error_len().is_none() => Key::Nothing,
            Err(_) => {
                let begins = self.part_len > 1 && byte >= 0xc0;
                self.part_len = 0;
                if begins {
                    // What was there is lost, but this may be the first byte of the next.
                    self.text(byte);
                }
                Key::Refused
            }
        }
    }

    fn add(&mut self, c: char) -> Key {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        let place = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()));
        match place {
            // Once a character had no room no later one has, or there would be a gap.
            Some(place) if self.over == 0 => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
                Key::Added(c)
            }
            _ => {
                self.over = self.over.saturating_add(1);
                Key::Refused
            }
        }
    }

    fn remove(&mut self) -> Key {
        if self.over > 0 {
            self.over -= 1;
            return Key::Nothing;
        }
        let Some(last) = self.line().chars().next_back() else { return Key::Nothing };
        let len = self.len - last.len_utf8();
        if let Some(gone) = self.bytes.get_mut(len..self.len) {
            gone.zeroize();
        }
        self.len = len;
        // Others may have no width, or two columns.
        if matches!(last, ' '..='~') { Key::Removed } else { Key::Changed }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
