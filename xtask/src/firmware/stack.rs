//! Measures a board's deepest stack by stack painting: QEMU fills SRAM behind static data with a pattern before the
//! start, and the bytes that still have it at the end were never used.
//!
//! The emulator does both, so that the tested image is the one that ships.

use std::path::PathBuf;

use crate::environment::repo::Failure;
use testbed::emulator::{RAM, RAM_LEN};

/// The pattern: no address, no small number, no text.
const PAINT: [u8; 4] = [0xC7, 0x5A, 0x9D, 0xE3];

/// Writes the painted SRAM from the end of static data on into a file.
pub(crate) fn paint(to: PathBuf, static_end: u32) -> Result<PathBuf, Failure> {
    let length = (RAM + RAM_LEN).saturating_sub(static_end);
    let bytes = PAINT.repeat(length as usize / PAINT.len());
    std::fs::write(&to, bytes).map_err(Failure::at(to.display()))?;
    Ok(to)
}

/// The deepest stack in bytes, from a dump of all SRAM and the end of static data.
pub(crate) fn high_water(ram: &[u8], static_end: u32) -> Result<u32, Failure> {
    let start =
        static_end.checked_sub(RAM).filter(|start| *start <= RAM_LEN && ram.len() == RAM_LEN as usize);
    let start = start.ok_or_else(|| Failure::new("static data does not end in SRAM"))?.next_multiple_of(4);
    let free = ram.get(start as usize..).unwrap_or_default();
    let untouched = free.chunks(4).take_while(|word| **word == PAINT).count();
    if untouched == 0 {
        return Err(Failure::new("the stack reached static data: nothing between them is still painted"));
    }
    let free = u32::try_from(free.len()).map_err(Failure::at("SRAM"))?;
    Ok(free - u32::try_from(untouched * 4).map_err(Failure::at("SRAM"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram(static_len: usize, stack: usize) -> Vec<u8> {
        let mut ram = PAINT.repeat(RAM_LEN as usize / 4);
        ram[..static_len].fill(0);
        let end = ram.len();
        ram[end - stack..].fill(0);
        ram
    }

    #[test]
    fn what_is_no_longer_painted_was_used() {
        assert_eq!(high_water(&ram(100, 4_000), RAM + 100).unwrap(), 4_000);
        assert_eq!(high_water(&ram(102, 0), RAM + 102).unwrap(), 0);
    }

    #[test]
    fn paint_within_what_was_used_hides_nothing() {
        let mut ram = ram(0, 4_000);
        let end = ram.len();
        ram[end - 2_000..end - 1_000].copy_from_slice(&PAINT.repeat(250));
        assert_eq!(high_water(&ram, RAM).unwrap(), 4_000);
    }

    #[test]
    fn a_stack_that_reached_static_data_is_a_failure() {
        let all = RAM_LEN as usize;
        assert!(high_water(&ram(100, all - 100), RAM + 100).is_err());
        assert!(high_water(&ram(100, 100), RAM - 4).is_err());
        assert!(high_water(&[], RAM).is_err());
    }
}
