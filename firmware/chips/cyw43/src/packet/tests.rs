extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;

fn words(bytes: &[u8]) -> Vec<u32> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A packet on a channel, with this content after a header of `start` bytes.
fn packet(channel: u8, start: u8, content: &[u8]) -> (Vec<u32>, usize) {
    let length = usize::from(start) + content.len();
    let said = u16::try_from(length).unwrap();
    let mut packet = [said.to_le_bytes(), (!said).to_le_bytes()].concat();
    packet.extend([7, channel, 0, start, 0, 0, 0, 0]);
    packet.resize(usize::from(start).max(12), 0);
    packet.truncate(usize::from(start).max(12));
    packet.extend(content);
    (words(&packet), length)
}

/// The header of a command, and `data` behind it.
fn command(length: u32, number: u16, status: u32, data: &[u8]) -> Vec<u8> {
    let mut header = [263_u32.to_le_bytes(), length.to_le_bytes()].concat();
    header.extend(2_u16.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(status.to_le_bytes());
    [&header[..], data].concat()
}

/// What the driver writes to set a variable to this value.
fn set(name: &[u8], value: &[u8], number: u16) -> Vec<u32> {
    let data = [name, b"\0", value].concat();
    let (packet, length) = packet(0, 12, &command(u32::try_from(data.len()).unwrap(), number, 0, &data));
    let bus = 1 << 31 | 1 << 30 | 2 << 28 | u32::try_from(length.next_multiple_of(4)).unwrap();
    [vec![bus], packet].concat()
}

#[test]
fn the_country_is_put_in_the_place_of_the_drivers_own() {
    let theirs = set(b"country", b"XX\0\0\xFF\xFF\xFF\xFFXX\0\0", 0x1234);
    let (ours, number) = with_country(&theirs, *b"DE").unwrap();
    assert_eq!(ours[..], set(b"country", b"DE\0\0\xFF\xFF\xFF\xFFDE\0\0", 0x1234));
    assert_eq!(number, 0x1234);
    // Anything else is left alone, such as a frame with that in it.
    let mut frame = theirs.clone();
    frame[2] |= 2 << 8;
    for other in [frame, set(b"countrx", b"XX\0\0\xFF\xFF\xFF\xFFXX\0\0", 1), set(b"country", b"XX\0\0", 1)] {
        assert_eq!(with_country(&other, *b"DE"), None);
    }
    assert_eq!(with_country(&[], *b"DE"), None);
    assert_eq!(asked(theirs[0]), Some((theirs.len() - 1) * 4));
    assert_eq!(asked(1 << 30 | 1 << 28 | 4), None);
}

#[test]
fn a_country_that_the_radio_does_not_know_is_reported_and_the_driver_goes_on() {
    let (theirs, length) = packet(0, 12, &command(4, 77, 0xFFFF_FFFE, &[0; 4]));
    let mut read = theirs.clone();
    assert_eq!(check(&mut read, length, Some(77)), Checked::CountryUnknown);
    assert_eq!(bytes(&read), bytes(&packet(0, 12, &command(4, 77, 0, &[0; 4])).0));
    // Another command's failure is the driver's business, and so is a country that was taken.
    let mut read = theirs.clone();
    assert_eq!(check(&mut read, length, Some(78)), Checked::Kept);
    assert_eq!(check(&mut read, length, None), Checked::Kept);
    assert_eq!(read, theirs);
    let (mut read, length) = packet(0, 12, &command(4, 77, 0, &[0; 4]));
    assert_eq!(check(&mut read, length, Some(77)), Checked::Kept);
}

#[test]
fn a_frame_that_does_not_fit_the_drivers_buffers_is_dropped() {
    for (start, before, length, expected) in [
        (12_u8, 0_u8, 60, Checked::Kept),
        (14, 0, 1514, Checked::Kept),
        (14, 1, 1514, Checked::Kept),
        (14, 0, 1515, Checked::Dropped),
        (12, 2, 1600, Checked::Dropped),
    ] {
        let content = [vec![0x20, 0, 0, before], vec![0; usize::from(before) * 4], vec![9; length]].concat();
        let (theirs, whole) = packet(2, start, &content);
        let mut read = theirs.clone();
        assert_eq!(check(&mut read, whole, None), expected, "{start} {before} {length}");
        assert_eq!(read[1..], theirs[1..]);
        assert_eq!(read[0] == 0, expected == Checked::Dropped);
    }
}

#[test]
fn lengths_that_lead_out_of_a_packet_are_dropped() {
    // The answer to a command is longer than its packet.
    for (said, expected) in [(4, Checked::Kept), (5, Checked::Dropped), (u32::MAX, Checked::Dropped)] {
        let (mut read, length) = packet(0, 12, &command(said, 1, 0, &[0; 4]));
        assert_eq!(check(&mut read, length, None), expected, "{said}");
    }
    // The content begins within the header, or behind the packet.
    let (theirs, length) = packet(1, 12, &[0; 8]);
    for (start, expected) in
        [(12, Checked::Kept), (20, Checked::Kept), (11, Checked::Dropped), (21, Checked::Dropped)]
    {
        let mut read = theirs.clone();
        read[1] = read[1] & 0x00FF_FFFF | start << 24;
        assert_eq!(check(&mut read, length, None), expected, "{start}");
    }
}

/// What the driver does with the lengths of a packet that it believes; panics as it would.
fn drive(read: &[u32], length: usize) {
    let packet = &bytes(read)[..length];
    if length < 12 {
        return;
    }
    let half = |at: usize| u16::from_le_bytes([packet[at], packet[at + 1]]);
    if half(0) != !half(2) || usize::from(half(0)) != length {
        return;
    }
    let content = &packet[12..][usize::from(packet[7]).checked_sub(12).unwrap()..];
    match packet[5] & 0x0F {
        0 if content.len() >= 16 => {
            let length = u32::from_le_bytes(content[4..8].try_into().unwrap());
            let _ = &content[16..][..length.try_into().unwrap()];
        }
        2 if content.len() >= 4 => {
            if let Some(frame) = content[4..].get(usize::from(content[3]) * 4..) {
                let _ = &[0; FRAME_MAX][..frame.len()];
            }
        }
        _ => {}
    }
}

#[test]
fn no_garbled_packet_makes_the_driver_panic() {
    // xorshift: the same packets each time.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut dropped = 0;
    for _ in 0..20_000 {
        let length = next(2_048);
        let mut read: Vec<u32> = (0..512).map(|_| u32::try_from(next(1 << 31)).unwrap()).collect();
        let said = u32::try_from(length).unwrap();
        read[0] = said | (!said & 0xFFFF) << 16;
        let (channel, start) = (u32::try_from(next(3)).unwrap(), u32::try_from(next(40)).unwrap());
        read[1] = channel << 8 | start << 24;
        if next(2) == 0 {
            // A plausible length of a command's answer.
            read[4] = u32::try_from(next(2_048)).unwrap();
        }
        dropped += u32::from(check(&mut read, length, None) == Checked::Dropped);
        drive(&read, length);
    }
    assert!((1_000..19_000).contains(&dropped), "{dropped}");
    for length in 0..16 {
        assert_eq!(check(&mut vec![0xFFFF_FFFF; length / 4], length, None), Checked::Kept);
    }
}
