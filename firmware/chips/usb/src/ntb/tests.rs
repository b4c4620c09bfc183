//! Blocks as hosts send them, and as they never should.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
extern crate std;

use super::*;
use std::vec;
use std::vec::Vec;

/// A block of these frames, with its table behind the header. By hand, so that it is not made as it is read.
fn block(frames: &[&[u8]]) -> Vec<u8> {
    let table_len = 12 + 4 * frames.len();
    let mut ntb = b"NCMH\x0c\0\x07\0\0\0\x0c\0NCM0".to_vec();
    ntb.extend([u8::try_from(table_len).unwrap(), 0, 0, 0]);
    let mut at = 12 + table_len;
    for frame in frames {
        ntb.extend([at, frame.len()].map(|n| u16::try_from(n).unwrap().to_le_bytes()).concat());
        at += frame.len();
    }
    ntb.extend([0; 4]);
    frames.iter().for_each(|frame| ntb.extend(*frame));
    let total = u16::try_from(ntb.len()).unwrap().to_le_bytes();
    ntb[8..10].copy_from_slice(&total);
    ntb
}

fn frames(ntb: &[u8]) -> Vec<&[u8]> {
    Frames::of(ntb).collect()
}

#[test]
fn what_is_written_is_read() {
    let mut to = [0xAA; SENT_MAX];
    for len in [14, 35, 36, 37, 60, 1_513, 1_514] {
        let frame: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let written = write(0x1234, &frame, &mut to);
        assert_eq!(written, 28 + len);
        assert_eq!(frames(&to[..written]), [&frame[..]]);
        assert_eq!(to[6..8], [0x34, 0x12]);
    }
}

#[test]
fn several_frames_come_out_of_one_block_and_of_several_tables() {
    let (a, b) = ([1; 60], [2; 100]);
    let ntb = block(&[&a, &b]);
    assert_eq!(frames(&ntb), [&a[..], &b]);
    // Longer than it says: what is behind is no part of it. Without a length: all of it.
    let mut open = ntb.clone();
    open.extend([9; 30]);
    assert_eq!(frames(&open).len(), 2);
    open[8..10].fill(0);
    assert_eq!(frames(&open).len(), 2);

    // A second table at the end, with the first frame once more.
    let mut two = ntb;
    let at = two.len();
    two.extend(*b"NCM0\x10\0\0\0\x20\0\x3c\0\0\0\0\0");
    two[18..20].copy_from_slice(&u16::try_from(at).unwrap().to_le_bytes());
    let total = u16::try_from(two.len()).unwrap().to_le_bytes();
    two[8..10].copy_from_slice(&total);
    assert_eq!(frames(&two), [&a[..], &b, &a]);
}

#[test]
fn a_frame_that_is_too_short_too_long_or_elsewhere_is_left_out() {
    let (short, long, good) = ([1; 13], [2; 1_515], [3; 14]);
    assert_eq!(frames(&block(&[&short, &good])), [&good[..]]);
    assert_eq!(frames(&block(&[&long, &good])), [&good[..]]);
    let mut outside = block(&[&good, &good]);
    outside[20..22].copy_from_slice(&[0xFF, 0xFF]);
    assert_eq!(frames(&outside), [&good[..]]);
}

#[test]
fn tables_that_point_at_each_other_end() {
    let mut ntb = block(&[&[1; 14]]);
    ntb[18] = 12;
    assert_eq!(frames(&ntb).len(), usize::from(TABLES));
}

#[test]
fn a_block_that_is_wrong_holds_nothing() {
    let good = block(&[&[1; 60]]);
    let wrong = |at: usize, byte: u8| {
        let mut ntb = good.clone();
        ntb[at] = byte;
        frames(&ntb).len()
    };
    // Signature, header's length, longer than the transfer, table elsewhere, its signature (with checksums), its length.
    for (at, byte) in [(0, b'X'), (4, 16), (9, 0xFF), (10, 0), (11, 0xFF), (15, b'1'), (16, 7), (17, 0xFF)] {
        assert_eq!(wrong(at, byte), 0, "{at}");
    }
    for len in 0..good.len() {
        assert!(frames(&good[..len]).is_empty(), "{len}");
    }
}

#[test]
fn no_bytes_make_it_panic_or_run_for_ever() {
    let mut dice = 7_u32;
    let mut roll = || {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        dice.to_be_bytes()[0]
    };
    for _ in 0..20_000 {
        let mut ntb = block(&[&[1; 20], &[2; 30], &[3; 40]]);
        for _ in 0..4 {
            let at = usize::from(roll()) % 40;
            ntb[at] = if roll() & 1 == 0 { roll() } else { roll() & 0x1F };
        }
        assert!(Frames::of(&ntb).all(|frame| (FRAME_MIN..=MTU).contains(&frame.len())));
        let noise = vec![roll(); usize::from(roll())];
        assert!(frames(&noise).is_empty());
    }
}
