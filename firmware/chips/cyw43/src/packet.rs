//! The packets between radio and driver, as words on the bus.
//!
//! The released driver (cyw43 0.7.0) leaves two things to be done here:
//!
//! - It sets the country to "XX" and has no way to set another. [`with_country`] puts another in its place.
//! - It slices by lengths that the radio reports, and panics on one that does not fit, as on a frame that is longer than its
//!   buffers. [`check`] makes such a packet one that the driver leaves alone. A peer that finds a way to have the radio
//!   pass on a long frame must not restart the board.
//!
//! A packet begins with a header of 12 bytes (SDPCM): length, its complement, sequence number, channel, a reserved byte,
//! and where its content begins. On the channel for commands a header of 16 bytes follows (CDC): command, length, flags,
//! number, status. On that for frames it is one of 4 (BDC), whose last byte is the number of words before the frame. The
//! words are little-endian.

/// The words of a command that sets the country, with the word of the bus before it.
pub const COUNTRY_WORDS: usize = 13;
/// The most bytes of a frame that the driver's queues take.
const FRAME_MAX: usize = 1514;

const SDPCM_LEN: usize = 12;
const CDC_LEN: usize = 16;
const BDC_LEN: usize = 4;
const CHANNEL_COMMAND: u8 = 0;
const CHANNEL_FRAME: u8 = 2;
/// The variable's name with the zero behind it.
const COUNTRY: [u32; 2] = [u32::from_le_bytes(*b"coun"), u32::from_le_bytes(*b"try\0")];
const WORLD: u32 = u32::from_le_bytes(*b"XX\0\0");
/// Has the radio choose the newest rules of a country.
const ANY_REVISION: u32 = u32::MAX;
/// Of the radio, which the packets are for: in bits 28 and 29 of the bus's word.
const FUNCTION_RADIO: u32 = 2;

/// What is on the way from the radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Left as it is.
    Kept,
    /// The driver will leave it alone.
    Dropped,
    /// The radio does not know the country. The driver is told that all is well: it would panic.
    CountryUnknown,
}

/// The command that sets the country of these letters, if `write` is the one that sets the driver's own; and its number,
/// by which its answer is known.
pub fn with_country(write: &[u32], letters: [u8; 2]) -> Option<([u32; COUNTRY_WORDS], u16)> {
    let mut packet: [u32; COUNTRY_WORDS] = write.try_into().ok()?;
    let [_, _, second, _, _, _, numbers, _, name_a, name_b, abbreviation, revision, code] = &mut packet;
    let [_, channel, ..] = second.to_le_bytes();
    let is_it = channel & 0x0F == CHANNEL_COMMAND && [*name_a, *name_b] == COUNTRY;
    if !is_it || [*abbreviation, *code] != [WORLD; 2] {
        return None;
    }
    let [first, second] = letters;
    let letters = u32::from_le_bytes([first, second, 0, 0]);
    (*abbreviation, *revision, *code) = (letters, ANY_REVISION, letters);
    let [_, _, low, high] = numbers.to_le_bytes();
    Some((packet, u16::from_le_bytes([low, high])))
}

/// The bytes that a read asks for, if it is one of a packet. `command` is the bus's word.
pub const fn asked(command: u32) -> Option<usize> {
    if command >> 28 & 0b11 == FUNCTION_RADIO { Some((command & 0x7FF) as usize) } else { None }
}

/// Checks a packet of `length` bytes that was read. `country` is the number of the command that set the country.
pub fn check(read: &mut [u32], length: usize, country: Option<u16>) -> Checked {
    match problem(read, length, country) {
        None => Checked::Kept,
        Some(Problem::Lengths) => {
            // No length whose complement is 0.
            if let Some(first) = read.first_mut() {
                *first = 0;
            }
            Checked::Dropped
        }
        Some(Problem::Country(status)) => {
            (0..4).for_each(|at| set_byte(read, status + at, 0));
            Checked::CountryUnknown
        }
    }
}

enum Problem {
    /// Something is longer than its place.
    Lengths,
    /// The country was refused; the status begins at this byte.
    Country(usize),
}

fn problem(read: &[u32], length: usize, country: Option<u16>) -> Option<Problem> {
    let byte = |at: usize| {
        let word = read.get(at / 4)?.to_le_bytes();
        word.get(at % 4).copied()
    };
    let word = |at: usize| Some(u32::from_le_bytes([byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?]));
    let first = read.first()?;
    let (said, complement) = (first & 0xFFFF, first >> 16);
    if length < SDPCM_LEN || said != !complement & 0xFFFF || said as usize != length {
        // The driver sees this itself.
        return None;
    }
    let (channel, start) = (byte(5)? & 0x0F, usize::from(byte(7)?));
    if start < SDPCM_LEN || start > length {
        return Some(Problem::Lengths);
    }
    let content = length - start;
    match channel {
        CHANNEL_COMMAND if content >= CDC_LEN => {
            let answer = word(start + 4)? as usize;
            if answer > content - CDC_LEN {
                return Some(Problem::Lengths);
            }
            let number = u16::from_le_bytes([byte(start + 10)?, byte(start + 11)?]);
            (Some(number) == country && word(start + 12)? != 0).then_some(Problem::Country(start + 12))
        }
        CHANNEL_FRAME if content >= BDC_LEN => {
            let before = usize::from(byte(start + 3)?) * 4;
            let frame = (content - BDC_LEN).saturating_sub(before);
            (frame > FRAME_MAX).then_some(Problem::Lengths)
        }
        _ => None,
    }
}

fn set_byte(read: &mut [u32], at: usize, to: u8) {
    if let Some(word) = read.get_mut(at / 4) {
        let mut bytes = word.to_le_bytes();
        if let Some(byte) = bytes.get_mut(at % 4) {
            *byte = to;
        }
        *word = u32::from_le_bytes(bytes);
    }
}

#[cfg(test)]
mod tests;
