extern crate std;
use std::vec::Vec;

use super::*;
use crate::boot::flash::{Fault, Flash, FlashError};

const SLOT: usize = 128;
/// The slots are neither at the start nor in order.
const SLOTS: [u32; 2] = [384, 128];
const PIECES: usize = 4;

fn seed(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn read(flash: &Flash) -> [u8; 32] {
    let mut to = [0; 32];
    let mut flash = flash.clone();
    flash.power = None;
    SeedSlots::new(flash, SLOTS).read(&mut to).unwrap();
    to
}

/// Replaces, and gives the flash back however it went.
fn replace(flash: Flash, new: [u8; 32]) -> (Flash, Result<(), SlotError<FlashError>>) {
    let mut slots = SeedSlots::new(flash, SLOTS);
    let done = slots.replace(&new);
    (slots.into_flash(), done)
}

fn holds(flash: &Flash, bytes: &[u8]) -> bool {
    flash.bytes.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn what_was_stored_last_is_read_and_nothing_else_is_left() {
    let mut flash = Flash::new(PIECES);
    assert_eq!(read(&flash), [0xFF; 32]);
    for n in 1..10 {
        let (after, done) = replace(flash, seed(n));
        assert_eq!(done, Ok(()));
        assert_eq!(read(&after), seed(n));
        assert!(!holds(&after, &seed(n - 1)), "{n}");
        flash = after;
    }
    assert_eq!(flash.erased, 18, "two for each replacement");
}

#[test]
fn nothing_outside_the_slots_is_touched() {
    let mut flash = Flash::new(PIECES);
    flash.bytes[..SLOT].fill(0xA5);
    flash.bytes[2 * SLOT..3 * SLOT].fill(0x5A);
    for n in 1..5 {
        flash = replace(flash, seed(n)).0;
    }
    assert_eq!(flash.bytes[..SLOT], [0xA5; SLOT]);
    assert_eq!(flash.bytes[2 * SLOT..3 * SLOT], [0x5A; SLOT]);
}

#[test]
fn what_provisioning_writes_is_read_from_either_slot() {
    for slot in SLOTS {
        let mut flash = Flash::new(PIECES);
        let mut record = [0; SEED_RECORD_LEN];
        SeedRecord { number: 0, seed: Seed::new(seed(7)) }.emit(&mut record);
        flash.write(slot, &record).unwrap();
        assert_eq!(read(&flash), seed(7));
        let (flash, done) = replace(flash, seed(8));
        assert_eq!(done, Ok(()));
        assert_eq!(read(&flash), seed(8));
        assert!(!holds(&flash, &seed(7)));
    }
}

#[test]
fn wherever_the_power_fails_the_old_seed_or_the_new_one_is_whole() {
    // With both slots in turn holding the old seed.
    for before in 1..3 {
        let mut start = Flash::new(PIECES);
        for n in 1..=before {
            start = replace(start, seed(n)).0;
        }
        let (old, new) = (seed(before), seed(9));
        for torn in [0, 0x0F, 0x55, 0xFF] {
            let mut seen: Vec<[u8; 32]> = Vec::new();
            for power in 0.. {
                let (mut flash, done) = replace(Flash { power: Some(power), torn, ..start.clone() }, new);
                flash.power = None;
                let now = read(&flash);
                assert!(now == old || now == new, "{power}");
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
                if done.is_ok() {
                    assert!(!holds(&flash, &old));
                    break;
                }
                // And from there it goes on as if nothing had been.
                let (flash, done) = replace(flash, seed(10));
                assert_eq!(done, Ok(()));
                assert_eq!(read(&flash), seed(10));
                assert!(!holds(&flash, &old) && !holds(&flash, &new));
            }
            assert_eq!(seen, [old, new], "the old one until the new one is whole, and never again");
        }
    }
}

#[test]
fn flash_that_does_not_do_as_it_says_is_found_out() {
    let start = replace(Flash::new(PIECES), seed(1)).0;
    let with = |fault| replace(Flash { fault, ..start.clone() }, seed(2)).1;
    assert_eq!(with(Fault::None), Ok(()));
    assert_eq!(with(Fault::WritesNothing), Err(SlotError::NotWritten));
    assert_eq!(with(Fault::ErasesNothing), Err(SlotError::NotErased));
    for bit in 0..8 {
        assert_eq!(with(Fault::StuckBit(bit)), Err(SlotError::NotWritten), "{bit}");
    }
}

#[test]
fn numbers_do_not_start_over() {
    let mut flash = Flash::new(PIECES);
    let mut record = [0; SEED_RECORD_LEN];
    SeedRecord { number: u32::MAX, seed: Seed::new(seed(7)) }.emit(&mut record);
    flash.write(SLOTS[0], &record).unwrap();
    assert_eq!(replace(flash, seed(8)).1, Err(SlotError::Exhausted));
}
