//! Why the board started again, and how often in a row: a record in RAM that outlives a reset.
//!
//! A handler of panics or faults calls [`note`] and resets the chip. The next start calls [`take`], prints what it finds,
//! and waits for [`Restart::wait`] before it touches the seed or the network. [`clear_strikes`] ends a row of restarts
//! once the board has run well for a while.

use core::fmt;
use core::time::Duration;

use heapless::String;

use super::retained::{RESTART, RetainedRam};

/// A record is here, of this layout.
const MAGIC: u32 = 0xDD0F_A110;
/// The longest wait before a start: a start writes a seed to flash, which wears.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Code addresses that are kept.
pub const ADDRESSES: usize = 4;
/// Bytes of a panic's place that are kept: the end of the file's path, and the line.
pub const PLACE: usize = 56;

// The words of a record.
const STRIKES: usize = RESTART + 1;
const CAUSE: usize = RESTART + 2;
const FIRST_ADDRESS: usize = RESTART + 3;
const PLACE_LEN: usize = FIRST_ADDRESS + ADDRESSES;
const FIRST_PLACE: usize = PLACE_LEN + 1;
const SUM: usize = FIRST_PLACE + PLACE / 4;
/// A word without meaning: see [`seal`].
const AFTERWARDS: usize = super::WORDS - 1;

/// Why a board starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// The program panicked.
    Panic = 1,
    /// The processor took a fault.
    Fault,
    /// The stack grew beyond its memory.
    StackOverflow,
    /// An interrupt without a handler.
    Interrupt,
    /// The watchdog was not fed.
    Watchdog,
}

impl Cause {
    fn of(word: u32) -> Option<Self> {
        [Self::Panic, Self::Fault, Self::StackOverflow, Self::Interrupt, Self::Watchdog]
            .into_iter()
            .find(|cause| *cause as u32 == word)
    }
}

/// The last restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Why.
    pub cause: Cause,
    /// How many there have been in a row, this one included.
    pub strikes: u32,
    /// Where the program was: return addresses found on the stack, the innermost first; 0 for none.
    pub addresses: [u32; ADDRESSES],
    /// The place of a panic, if the image knows it.
    pub place: String<PLACE>,
}

impl Restart {
    /// How long the next start waits: 1 s, doubled with each restart of a row, up to an hour.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(1 << self.strikes.saturating_sub(1).min(16)).min(WAIT_MAX)
    }
}

/// What the console prints.
impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Panic => "a panic",
            Cause::Fault => "a fault",
            Cause::StackOverflow => "a stack overflow",
            Cause::Interrupt => "an unknown interrupt",
            Cause::Watchdog => "a reset by the watchdog",
        })?;
        if !self.place.is_empty() {
            write!(f, " at {}", self.place)?;
        }
        for address in self.addresses.iter().filter(|address| **address != 0) {
            write!(f, " {address:#x}")?;
        }
        Ok(())
    }
}

/// Records that the board is about to start again. For handlers of panics and faults: uses little stack.
pub fn note(ram: &impl RetainedRam, cause: Cause, addresses: [u32; ADDRESSES], place: &str) {
    let strikes = strikes(ram).saturating_add(1);
    ram.set_word(RESTART, MAGIC);
    ram.set_word(STRIKES, strikes);
    ram.set_word(CAUSE, cause as u32);
    for (at, address) in addresses.into_iter().enumerate() {
        ram.set_word(FIRST_ADDRESS + at, address);
    }
    let place = place.as_bytes();
    let tail = place.get(place.len().saturating_sub(PLACE)..).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "at most PLACE")]
    ram.set_word(PLACE_LEN, tail.len() as u32);
    for at in 0..PLACE / 4 {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(tail.iter().skip(4 * at)) {
            *to = *from;
        }
        ram.set_word(FIRST_PLACE + at, u32::from_le_bytes(word));
    }
    seal(ram);
}

/// The last restart, if this start is one, once. `watchdog`: whether the chip says that its watchdog reset it.
///
/// A start after the power was off, or after a push on a button, is none.
pub fn take(ram: &impl RetainedRam, watchdog: bool) -> Option<Restart> {
    let noted = if is_valid(ram) { Cause::of(ram.word(CAUSE)) } else { None };
    if noted.is_none() {
        let before = strikes(ram);
        if watchdog {
            note(ram, Cause::Watchdog, [0; ADDRESSES], "");
        } else {
            write_empty(ram, before);
            return None;
        }
    }
    let cause = noted.unwrap_or(Cause::Watchdog);
    let mut place = String::new();
    for at in 0..ram.word(PLACE_LEN) as usize {
        let [byte, ..] = (ram.word(FIRST_PLACE + at / 4) >> (at % 4 * 8)).to_le_bytes();
        // Too long or no ASCII: cannot be, because a sum stands over it.
        let _ = place.push(char::from(byte & 0x7F));
    }
    let addresses = core::array::from_fn(|at| ram.word(FIRST_ADDRESS + at));
    let restart = Restart { cause, strikes: strikes(ram), addresses, place };
    write_empty(ram, restart.strikes);
    Some(restart)
}

/// Ends a row of restarts: the board has run well for a while.
pub fn clear_strikes(ram: &impl RetainedRam) {
    write_empty(ram, 0);
}

/// Restarts in a row so far.
fn strikes(ram: &impl RetainedRam) -> u32 {
    if is_valid(ram) { ram.word(STRIKES) } else { 0 }
}

fn is_valid(ram: &impl RetainedRam) -> bool {
    ram.word(RESTART) == MAGIC && ram.word(SUM) == sum(ram)
}

/// A record without a restart to tell of.
fn write_empty(ram: &impl RetainedRam, strikes: u32) {
    for at in RESTART..SUM {
        ram.set_word(at, 0);
    }
    ram.set_word(RESTART, MAGIC);
    ram.set_word(STRIKES, strikes);
    seal(ram);
}

/// Completes a record.
///
/// RAM with error correction, as the STM32H7 has it, keeps a write that is smaller than its words until the next such write
/// to another word, and forgets it in a reset. So another one follows.
fn seal(ram: &impl RetainedRam) {
    ram.set_word(SUM, sum(ram));
    ram.set_word(AFTERWARDS, 0);
}

/// A checksum over the words of a record, which RAM that was never written does not have.
fn sum(ram: &impl RetainedRam) -> u32 {
    (RESTART..SUM).fold(MAGIC, |sum, at| sum.rotate_left(5).wrapping_add(ram.word(at)))
}

#[cfg(test)]
mod tests;
