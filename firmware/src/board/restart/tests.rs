extern crate std;
use core::cell::Cell;
use std::string::ToString;
use std::vec::Vec;

use super::super::retained::WORDS;
use super::*;

struct Ram([Cell<u32>; WORDS]);

impl Ram {
    fn of(word: u32) -> Self {
        Self(core::array::from_fn(|_| Cell::new(word)))
    }
}

impl RetainedRam for Ram {
    fn word(&self, at: usize) -> u32 {
        self.0[at].get()
    }

    fn set_word(&self, at: usize, to: u32) {
        self.0[at].set(to);
    }
}

#[test]
fn what_was_noted_is_taken_once() {
    let ram = Ram::of(0xDEAD_BEEF);
    note(&ram, Cause::Panic, [0x101, 0x203, 0, 0], "src/app/fetch.rs:7");
    let restart = take(&ram, false).unwrap();
    assert_eq!(restart.to_string(), "a panic at src/app/fetch.rs:7 0x101 0x203");
    assert_eq!(restart.strikes, 1);
    assert_eq!(take(&ram, false), None);
    // The chip may still say that its watchdog did it, which is how some reset themselves.
    note(&ram, Cause::Fault, [0; 4], "");
    let restart = take(&ram, true).unwrap();
    assert_eq!((restart.cause, restart.strikes), (Cause::Fault, 2));
}

#[test]
fn ram_that_was_off_tells_of_nothing() {
    for word in [0, u32::MAX, 0x5555_5555, MAGIC] {
        assert_eq!(take(&Ram::of(word), false), None, "{word:#x}");
        let restart = take(&Ram::of(word), true).unwrap();
        assert_eq!((restart.cause, restart.strikes), (Cause::Watchdog, 1), "{word:#x}");
    }
    // One bit that did not survive is enough.
    for at in RESTART..=SUM {
        let ram = Ram::of(0);
        note(&ram, Cause::Panic, [1, 2, 3, 4], "somewhere");
        ram.0[at].set(ram.0[at].get() ^ 0x400);
        assert_eq!(take(&ram, false), None, "{at}");
        assert_eq!(strikes(&ram), 0, "{at}");
    }
}

#[test]
fn each_restart_of_a_row_waits_twice_as_long_up_to_an_hour() {
    let ram = Ram::of(0);
    let mut waits = Vec::new();
    for n in 0..40 {
        if n % 2 == 0 {
            note(&ram, Cause::Panic, [0; 4], "");
        }
        waits.push(take(&ram, n % 2 == 1).unwrap().wait().as_secs());
    }
    assert_eq!(waits[..13], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]);
    assert!(waits[13..].iter().all(|wait| *wait == 3600));
    // A push on the button does not end the row, and does not wait.
    assert_eq!(take(&ram, false), None);
    note(&ram, Cause::Panic, [0; 4], "");
    assert_eq!(take(&ram, false).unwrap().strikes, 41);
    clear_strikes(&ram);
    note(&ram, Cause::Panic, [0; 4], "");
    assert_eq!(take(&ram, false).unwrap().strikes, 1);
}

#[test]
fn of_a_long_place_the_end_is_kept() {
    let ram = Ram::of(0);
    let path =
        "/a/very/long/path/that/does/not/fit/at/all/registry/embassy-stm32-0.6.0/src/eth/v2/mod.rs:113";
    note(&ram, Cause::Panic, [0; 4], path);
    let place = take(&ram, false).unwrap().place;
    assert_eq!(place.len(), PLACE);
    assert!(path.ends_with(place.as_str()), "{place}");
}

/// RAM with error correction over words of 64 bits: what was written last is in a buffer, which a reset empties.
struct Buffered {
    ram: Ram,
    pending: Cell<Option<(usize, [u32; 2])>>,
}

impl Buffered {
    fn of(word: u32) -> Self {
        Self { ram: Ram::of(word), pending: Cell::new(None) }
    }

    fn reset(&self) {
        self.pending.set(None);
    }

    /// The word of 64 bits that holds this one.
    fn wide(&self, at: usize) -> [u32; 2] {
        match self.pending.get() {
            Some((pending, words)) if pending == at / 2 => words,
            _ => [self.ram.word(at & !1), self.ram.word(at | 1)],
        }
    }
}

impl RetainedRam for Buffered {
    fn word(&self, at: usize) -> u32 {
        self.wide(at)[at % 2]
    }

    fn set_word(&self, at: usize, to: u32) {
        let mut words = self.wide(at);
        words[at % 2] = to;
        if let Some((before, [low, high])) = self.pending.replace(Some((at / 2, words)))
            && before != at / 2
        {
            self.ram.set_word(2 * before, low);
            self.ram.set_word(2 * before + 1, high);
        }
    }
}

#[test]
fn ram_that_forgets_what_was_written_last_keeps_the_record() {
    let ram = Buffered::of(0);
    for strikes in 1..4 {
        note(&ram, Cause::Panic, [1, 2, 3, 4], "src/app/fetch.rs:7");
        ram.reset();
        let restart = take(&ram, false).unwrap();
        assert_eq!((restart.strikes, restart.place.as_str()), (strikes, "src/app/fetch.rs:7"));
        ram.reset();
    }
    clear_strikes(&ram);
    ram.reset();
    assert_eq!(strikes(&ram), 0);
    assert!(is_valid(&ram));
}
