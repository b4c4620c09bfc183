//! Measures a board's deepest stack by stack painting: QEMU fills the region of the stack with a pattern before the
//! start, and the bytes that still have it at the end were never used.
//!
//! The emulator does both, so that the tested image is the one that ships.

use std::path::PathBuf;

use deaddrop_memory_map::Region;

use crate::environment::repo::Failure;

/// The pattern: no address, no small number, no text.
const PAINT: [u8; 4] = [0xC7, 0x5A, 0x9D, 0xE3];

/// Writes the painted region into a file.
pub(crate) fn paint(to: PathBuf, stack: Region) -> Result<PathBuf, Failure> {
    let bytes = PAINT.repeat(stack.length as usize / PAINT.len());
    std::fs::write(&to, bytes).map_err(Failure::at(to.display()))?;
    Ok(to)
}

/// The deepest stack in bytes, from a dump of its region.
pub(crate) fn high_water(dump: &[u8]) -> Result<u32, Failure> {
    let untouched = dump.chunks(PAINT.len()).take_while(|word| **word == PAINT).count();
    if untouched == 0 {
        return Err(Failure::new("the stack used all of its region: nothing in it is still painted"));
    }
    u32::try_from(dump.len() - untouched * PAINT.len()).map_err(Failure::at("the stack"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A region of which this much was used.
    fn dump(used: usize) -> Vec<u8> {
        let mut dump = PAINT.repeat(4_096);
        let end = dump.len();
        dump[end - used..].fill(0);
        dump
    }

    #[test]
    fn what_is_no_longer_painted_was_used() {
        assert_eq!(high_water(&dump(4_000)).unwrap(), 4_000);
        assert_eq!(high_water(&dump(0)).unwrap(), 0);
        assert_eq!(high_water(&dump(4 * 4_096 - 4)).unwrap(), 4 * 4_096 - 4);
    }

    #[test]
    fn paint_within_what_was_used_hides_nothing() {
        let mut dump = dump(4_000);
        let end = dump.len();
        dump[end - 2_000..end - 1_000].copy_from_slice(&PAINT.repeat(250));
        assert_eq!(high_water(&dump).unwrap(), 4_000);
    }

    #[test]
    fn a_stack_that_used_its_whole_region_is_a_failure() {
        assert!(high_water(&dump(4 * 4_096)).is_err());
        assert!(high_water(&[]).is_err());
    }

    #[test]
    fn the_region_is_painted_whole() {
        let to = std::env::temp_dir().join(format!("deaddrop-paint-{}", std::process::id()));
        let path = paint(to, Region { origin: 0x2000_0000, length: 1_024 }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), PAINT.repeat(256));
        std::fs::remove_file(path).unwrap();
    }
}
