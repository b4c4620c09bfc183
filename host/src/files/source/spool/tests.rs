use std::collections::BTreeSet;

use super::*;
use crate::files::sealed::SEALED;
use crate::files::sealed::tests::{on_disk, same_key};
use crate::platform::FileExt;

const MIB: usize = 1024 * 1024;

/// Bytes in which no two blocks are equal.
fn content(length: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).take(length).collect()
}

/// A reader that gives little at a time, and is interrupted in between, as a pipe may be.
struct Piecemeal<'a>(&'a [u8], usize);

impl Read for Piecemeal<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(4_095);
        self.0.read(&mut buffer[..length])
    }
}

fn spool(folder: &Path, content: &[u8]) -> SourceSpool {
    SourceSpool::spool(Piecemeal(content, 0), folder).unwrap()
}

fn file(spool: &SourceSpool) -> &SealedFile {
    match &spool.0 {
        Spooled::File(file) => file,
        Spooled::Memory(_) => panic!("it is in memory"),
    }
}

#[test]
fn up_to_one_mebibyte_is_in_memory_and_any_part_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 1, 4_096, MIB - 1, MIB, MIB + 1, MIB + 4_096, MIB + 4_097, 2 * MIB, 2 * MIB + 1] {
        let content = content(size);
        let spool = spool(folder.path(), &content);
        assert_eq!(matches!(spool.0, Spooled::Memory(_)), size <= MIB, "{size}");
        assert_eq!(spool.size(), size as u64);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file with a name");
        for length in [0, 1, 512, 4_095, 4_096, 4_097, 65_536, 300_000] {
            for offset in
                [0, 1, 511, 512, 4_095, 4_096, 65_536, 262_143, MIB - 1, MIB, size - length.min(size)]
            {
                let mut buffer = vec![0; length];
                let read = spool.read_at(offset as u64, &mut buffer);
                match content.get(offset..offset + length) {
                    Some(part) => assert!(read.is_ok() && buffer == part, "{length} of {size} at {offset}"),
                    None => assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof),
                }
            }
        }
        assert!(spool.read_at(u64::MAX, &mut [0]).is_err());
    }
}

#[test]
fn several_threads_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let content = content(3 * MIB + 5);
    let spool = spool(folder.path(), &content);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (spool, content) = (&spool, &content);
            scope.spawn(move || {
                for (n, part) in content.chunks(65_536).enumerate().skip(thread).step_by(4) {
                    let mut buffer = vec![0; part.len()];
                    spool.read_at(n as u64 * 65_536, &mut buffer).unwrap();
                    assert!(buffer == part, "record {n}");
                }
            });
        }
    });
}

#[test]
fn nothing_of_the_content_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // The same block over and over, and the same content twice: neither shows.
    let content = b"sixteen letters!".repeat(2 * MIB / 16);
    let spools = [spool(folder.path(), &content), spool(folder.path(), &content)];
    let mut seen = BTreeSet::new();
    for spool in &spools {
        let bytes = on_disk(file(spool));
        assert_eq!(bytes.len(), content.len() / BLOCK * SEALED);
        assert!(!bytes.windows(8).any(|part| part == b"letters!"));
        for part in bytes.chunks_exact(16) {
            assert!(seen.insert(part.to_vec()), "the same twice");
        }
    }
    assert!(!same_key(file(&spools[0]), file(&spools[1])));
}

#[test]
fn a_file_that_was_altered_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let content = content(MIB + 4_097);
    let alterations: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[SEALED + 9] ^= 1,
        // Two blocks change places; one is put in the place of another.
        |bytes| {
            let (one, other) = bytes.split_at_mut(2 * SEALED);
            one[SEALED..].swap_with_slice(&mut other[..SEALED]);
        },
        |bytes| bytes.copy_within(..SEALED, SEALED),
        |bytes| bytes.truncate(SEALED + 5),
    ];
    for (n, alter) in alterations.iter().enumerate() {
        let spool = spool(folder.path(), &content);
        let mut bytes = on_disk(file(&spool));
        alter(&mut bytes);
        file(&spool).file().write_all_at(&bytes, 0).unwrap();
        file(&spool).file().set_len(bytes.len() as u64).unwrap();
        let mut buffer = [0; 4];
        assert!(spool.read_at(BLOCK as u64 + 100, &mut buffer).is_err(), "alteration {n}");
        assert_eq!(buffer, [0; 4], "and nothing of it is given out");
        spool.read_at(0, &mut buffer).unwrap();
        assert_eq!(buffer, content[..4]);
    }
}

#[test]
fn a_reader_that_fails_or_a_folder_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let broken = || -> Box<dyn Read> { Box::new(BrokenAfter(2 * MIB)) };
    assert!(matches!(SourceSpool::spool(broken(), folder.path()), Err(SourceError::InputUnreadable(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let missing = folder.path().join("missing");
    let Err(SourceError::NotSpooled { folder: named, error }) = SourceSpool::spool(broken(), &missing) else {
        panic!()
    };
    assert_eq!((named, error.kind()), (missing, io::ErrorKind::NotFound));
}

/// A reader that fails after so many bytes.
struct BrokenAfter(usize);

impl Read for BrokenAfter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.0);
        self.0 -= length;
        if length == 0 { Err(io::Error::other("broken")) } else { Ok(length) }
    }
}

#[test]
fn a_tenth_of_the_file_system_stays_free_and_no_more_than_one_gibibyte() {
    let of = |blocks: u64, available: u64| {
        room(&Space { total: 4_096 * blocks, available: 4_096 * available, files: None })
    };
    assert_eq!(of(1_000, 1_000), Some(900 * 4_096));
    assert_eq!(of(1_000, 101), Some(4_096));
    assert_eq!(of(1_000, 100), Some(0));
    assert_eq!(of(1_000, 3), Some(0));
    assert_eq!(of(1 << 30, 1 << 20), Some((4 << 30) - (1 << 30)));
    assert_eq!(of(0, 0), None, "unknown");
}
