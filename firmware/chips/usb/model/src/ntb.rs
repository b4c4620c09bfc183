//! NTBs as a host makes and reads them.

/// The NTB of these frames: headers, frames at multiples of 4, and the table at the end.
pub fn ntb_of(number: u16, frames: &[&[u8]]) -> Vec<u8> {
    let mut ntb = b"NCMH\x0c\0".to_vec();
    ntb.extend(number.to_le_bytes());
    ntb.extend([0; 4]);
    let mut table = b"NCM0".to_vec();
    table.extend(small(16 + 4 * (frames.len() - 1)));
    table.extend([0; 2]);
    for frame in frames {
        ntb.resize(ntb.len().next_multiple_of(4), 0);
        table.extend(small(ntb.len()));
        table.extend(small(frame.len()));
        ntb.extend(*frame);
    }
    table.extend([0; 4]);
    ntb.resize(ntb.len().next_multiple_of(4), 0);
    let at = ntb.len();
    ntb.extend(table);
    let total = ntb.len();
    for (place, value) in [(8, total), (10, at)] {
        ntb.iter_mut().skip(place).zip(small(value)).for_each(|(to, byte)| *to = byte);
    }
    ntb
}

/// The frames of an NTB of the device; `None` if it is not as NCM has it.
pub fn frames(ntb: &[u8]) -> Option<Vec<Vec<u8>>> {
    let number = |at: usize| Some(usize::from(u16::from_le_bytes(*ntb.get(at..)?.first_chunk()?)));
    if ntb.get(..6)? != b"NCMH\x0c\0" || number(8)? != ntb.len() {
        return None;
    }
    let table = number(10)?;
    if !table.is_multiple_of(4) || ntb.get(table..table + 4)? != b"NCM0" || number(table + 6)? != 0 {
        return None;
    }
    let (len, mut found) = (number(table + 4)?, Vec::new());
    for entry in (table + 8..table + len).step_by(4) {
        match (number(entry)?, number(entry + 2)?) {
            (0, 0) => return Some(found),
            (at, len) => found.push(ntb.get(at..at + len)?.to_vec()),
        }
    }
    // The table has no end.
    None
}

fn small(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}
