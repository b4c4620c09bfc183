//! The content of flash that an image has: the loaded segments of its ELF file.

use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::environment::repo::Failure;

/// Bytes and their address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its name in messages.
    pub(crate) name: &'static str,
    /// The address of the first.
    pub(crate) address: u32,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Piece {
    /// Of these.
    pub(crate) const fn new(name: &'static str, address: u32, bytes: Vec<u8>) -> Self {
        Self { name, address, bytes }
    }

    /// The address after its last; at most 2^32 in a linked image.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }
}

/// The pieces of an ELF file that are in flash, with the initial values of data.
pub(crate) fn pieces(elf: &[u8]) -> Result<Vec<Piece>, Failure> {
    let broken = Failure::at::<object::Error>;
    let header = FileHeader32::<Endianness>::parse(elf).map_err(broken("the image"))?;
    let endian = header.endian().map_err(broken("the image"))?;
    let segments = header.program_headers(endian, elf).map_err(broken("the image"))?;
    let mut pieces = Vec::new();
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let bytes = segment.data(endian, elf).map_err(|()| Failure::new("the image is cut short"))?;
        if !bytes.is_empty() {
            pieces.push(Piece::new("image", segment.p_paddr(endian), bytes.to_vec()));
        }
    }
    if pieces.is_empty() { Err(Failure::new("the image holds nothing to write")) } else { Ok(pieces) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF file of segments with these types, addresses and bytes.
    pub(crate) fn elf(segments: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let word = |word: u32| word.to_le_bytes();
        let count = u16::try_from(segments.len()).unwrap();
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        // Executable, ARM.
        file.extend([2, 0, 40, 0]);
        // Version, entry, program headers, section headers, flags.
        file.extend([1, 0, 52, 0, 0].map(word).concat());
        let halves = [52, 32, count, 40, 0, 0];
        file.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        let mut at = 52 + 32 * u32::from(count);
        for (kind, address, bytes) in segments {
            let len = u32::try_from(bytes.len()).unwrap();
            // Type, offset, virtual and physical address, sizes in file and memory, flags, alignment.
            file.extend([*kind, at, 0x2000_0000, *address, len, len + 8, 5, 4].map(word).concat());
            at += len;
        }
        segments.iter().for_each(|(.., bytes)| file.extend(*bytes));
        file
    }

    #[test]
    fn what_is_loaded_is_found_at_its_place_in_flash() {
        let pieces =
            pieces(&elf(&[(1, 0x800_0000, b"code"), (4, 0, b"note"), (1, 0, b""), (1, 0x800_0004, b"data")]));
        let pieces = pieces.unwrap();
        let found: Vec<_> = pieces.iter().map(|piece| (piece.address, piece.bytes.as_slice())).collect();
        assert_eq!(found, [(0x800_0000, &b"code"[..]), (0x800_0004, b"data")]);
        assert_eq!(pieces[0].end(), 0x800_0004);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(pieces(b"").is_err());
        assert!(pieces(b"\x7fELF").is_err());
        assert!(pieces(&elf(&[])).unwrap_err().0.contains("nothing to write"));
        let mut cut = elf(&[(1, 0, b"code")]);
        cut.truncate(cut.len() - 1);
        assert!(pieces(&cut).unwrap_err().0.contains("cut short"));
    }
}
