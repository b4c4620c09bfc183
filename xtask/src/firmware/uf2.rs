//! UF2, the file format of RP chips' boot ROMs: blocks of 512 bytes with 256 bytes of content and their address.
//!
//! The format is Microsoft's, <https://github.com/microsoft/uf2>; the family numbers are in its `utils/uf2families.json`.

use std::collections::BTreeMap;

use super::image::Piece;
use crate::environment::repo::Failure;

/// RP2040.
pub(crate) const RP2040: u32 = 0xe48b_ff56;
/// RP2350 with its Arm cores, in secure state.
pub(crate) const RP2350_ARM_S: u32 = 0xe48b_ff59;

const BLOCK: usize = 512;
const PAYLOAD: usize = 256;
/// Bytes of a flash sector. Sectors are written whole, because the RP2040's boot ROM may fail on partial ones.
const SECTOR: u32 = 4096;

const MAGIC_FIRST: u32 = 0x0a32_4655;
const MAGIC_SECOND: u32 = 0x9e5d_5157;
const MAGIC_LAST: u32 = 0x0ab1_6f30;
/// Flag: the word behind the counts is the family id.
const FLAG_FAMILY: u32 = 0x2000;

/// A file that writes these pieces, and erases the rest of each sector they touch. Fails if two of them want different
/// bytes at one address.
pub(crate) fn emit(family: u32, pieces: &[Piece]) -> Result<Vec<u8>, Failure> {
    let pages = pages(pieces)?;
    let count = u32::try_from(pages.len()).map_err(Failure::at("the image"))?;
    let mut file = Vec::with_capacity(pages.len() * BLOCK);
    for (number, (address, page)) in (0..).zip(&pages) {
        let words = [MAGIC_FIRST, MAGIC_SECOND, FLAG_FAMILY, *address, 256, number, count, family];
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        file.extend(page);
        file.resize(file.len() + BLOCK - 9 * 4 - PAYLOAD, 0);
        file.extend(MAGIC_LAST.to_le_bytes());
    }
    Ok(file)
}

/// Whole sectors, as pages in the order of their addresses.
fn pages(pieces: &[Piece]) -> Result<BTreeMap<u32, [u8; PAYLOAD]>, Failure> {
    let mut bytes = BTreeMap::new();
    for piece in pieces {
        for (address, byte) in (u64::from(piece.address)..).zip(&piece.bytes) {
            let address = u32::try_from(address)
                .map_err(|_| Failure(format!("{} goes beyond the address space", piece.name)))?;
            if bytes.insert(address, *byte).is_some_and(|other| other != *byte) {
                return Err(Failure(format!(
                    "{} is written over another piece at {address:#010x}",
                    piece.name
                )));
            }
        }
    }
    let mut pages = BTreeMap::new();
    for (address, byte) in bytes {
        let sector = address - address % SECTOR;
        if !pages.contains_key(&sector) {
            pages.extend((0..SECTOR).step_by(PAYLOAD).map(|offset| (sector + offset, [0xFF; PAYLOAD])));
        }
        let at = address as usize % PAYLOAD;
        if let Some(place) = pages.get_mut(&(address - address % 256)).and_then(|page| page.get_mut(at)) {
            *place = byte;
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One block, parsed by the specification.
    #[derive(Debug)]
    struct Block {
        flags: u32,
        address: u32,
        number: u32,
        count: u32,
        family: u32,
        bytes: Vec<u8>,
    }

    fn parse(file: &[u8]) -> Vec<Block> {
        assert!(file.len().is_multiple_of(512));
        file.chunks(512)
            .map(|block| {
                let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
                assert_eq!((word(0), word(4), word(508)), (0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30));
                let size = usize::try_from(word(16)).unwrap();
                Block {
                    flags: word(8),
                    address: word(12),
                    number: word(20),
                    count: word(24),
                    family: word(28),
                    bytes: block[32..32 + size].to_vec(),
                }
            })
            .collect()
    }

    /// Flash of this many bytes from `base` on, after a boot ROM has written the file.
    fn written(file: &[u8], base: u32, len: usize) -> Vec<u8> {
        let mut flash = vec![0xA5; len];
        for block in parse(file) {
            let at = usize::try_from(block.address - base).unwrap();
            flash[at..at + block.bytes.len()].copy_from_slice(&block.bytes);
        }
        flash
    }

    #[test]
    fn what_is_parsed_back_is_what_was_given() {
        let image: Vec<u8> = (0..5_000_u32).map(|i| (i % 251) as u8).collect();
        let pieces = [
            Piece::new("image", 0x1000_0100, image.clone()),
            Piece::new("record", 0x101F_D000, vec![7; 80]),
            Piece::new("seed", 0x101F_E000, vec![8; 64]),
        ];
        let file = emit(RP2040, &pieces).unwrap();
        let flash = written(&file, 0x1000_0000, 2 * 1024 * 1024);
        assert_eq!(flash[..0x100], [0xFF; 0x100], "the rest of a sector is erased");
        assert_eq!(flash[0x100..0x100 + 5_000], image);
        assert!(flash[0x100 + 5_000..0x2000].iter().all(|byte| *byte == 0xFF));
        assert!(flash[0x2000..0x1F_D000].iter().all(|byte| *byte == 0xA5), "no other sector is touched");
        assert_eq!(flash[0x1F_D000..0x1F_D050], [7; 80]);
        assert_eq!(flash[0x1F_E000..0x1F_E040], [8; 64]);
        assert!(flash[0x1F_F000..].iter().all(|byte| *byte == 0xA5));
    }

    #[test]
    fn blocks_are_numbered_in_order_and_name_their_family() {
        for family in [0xE48B_FF56, 0xE48B_FF59] {
            let file = emit(family, &[Piece::new("image", 0x1000_0FFF, vec![1, 2])]).unwrap();
            let blocks = parse(&file);
            assert_eq!(blocks.len(), 32, "two sectors of 16 pages");
            for (at, block) in (0..).zip(&blocks) {
                assert_eq!((block.number, block.count, block.family), (at, 32, family));
                assert_eq!(block.address, 0x1000_0000 + at * 256);
                assert_eq!(block.flags, 0x2000);
                assert_eq!(block.bytes.len(), 256);
            }
            assert_eq!((blocks[15].bytes[255], blocks[16].bytes[0]), (1, 2));
        }
        assert_eq!((RP2040, RP2350_ARM_S), (0xE48B_FF56, 0xE48B_FF59));
    }

    #[test]
    fn pieces_over_each_other_are_refused() {
        let image = Piece::new("image", 0x1000_0000, vec![1; 300]);
        let failure = emit(RP2040, &[image, Piece::new("record", 0x1000_0100, vec![2])]).unwrap_err().0;
        assert_eq!(failure, "record is written over another piece at 0x10000100");
        let failure = emit(RP2040, &[Piece::new("record", u32::MAX, vec![2, 2])]).unwrap_err().0;
        assert!(failure.contains("beyond"), "{failure}");
    }
}
