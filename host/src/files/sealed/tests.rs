use super::*;

/// All of the file as it is on the disk.
pub(in crate::files) fn on_disk(sealed: &SealedFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(sealed.file.metadata().unwrap().len()).unwrap()];
    sealed.file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Whether two files have the same key.
pub(in crate::files) fn same_key(one: &SealedFile, other: &SealedFile) -> bool {
    one.key == other.key
}

#[test]
fn what_is_appended_in_pieces_of_any_size_is_read_and_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let content = b"sixteen letters!".repeat(3 * BATCH * BLOCK / 16);
    for piece in [1_000, BLOCK - 1, BLOCK, BLOCK + 1, 65_536, content.len()] {
        let mut sealed = SealedFile::create(folder.path()).unwrap();
        for part in content.chunks(piece) {
            let (now, then) = sealed.lengths(part.len() as u64);
            assert_eq!(now, on_disk(&sealed).len() as u64);
            sealed.append(part).unwrap();
            assert!((sealed.lengths(0).0..=sealed.lengths(0).1).contains(&then));
            assert_eq!(then, sealed_len(sealed.size()));
        }
        assert_eq!(sealed.size(), content.len() as u64);
        let mut back = vec![0; content.len()];
        sealed.read_at(0, &mut back).unwrap();
        assert!(back == content, "{piece}");
        let bytes = on_disk(&sealed);
        assert_eq!(bytes.len() / SEALED, content.len() / BLOCK);
        assert!(!bytes.windows(8).any(|part| part == b"letters!"), "{piece}");
        // The same block over and over does not show: no nonce comes twice.
        let first = bytes.chunks(SEALED).next().unwrap();
        assert!(bytes.chunks(SEALED).skip(1).all(|block| block != first));
    }
}

#[test]
fn the_end_that_fills_no_block_is_in_memory_until_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut sealed = SealedFile::create(folder.path()).unwrap();
    sealed.append(&[7; BLOCK + 3]).unwrap();
    assert_eq!(on_disk(&sealed).len(), SEALED);
    let mut end = [0; 5];
    sealed.read_at(BLOCK as u64 - 2, &mut end).unwrap();
    assert_eq!(end, [7; 5]);
    sealed.read_at(BLOCK as u64 + 1, &mut end[..2]).unwrap();
    assert_eq!(sealed.read_at(BLOCK as u64, &mut end).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    sealed.close().unwrap();
    assert_eq!((on_disk(&sealed).len(), sealed.tail.len()), (SEALED + 3 + TAG, 0));
    for offset in [0, BLOCK as u64 - 2] {
        let mut all = vec![0; BLOCK + 3 - usize::try_from(offset).unwrap()];
        sealed.read_at(offset, &mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
    }
    assert_eq!(sealed.read_at(BLOCK as u64, &mut end).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(sealed.append(b"more").is_err(), "its number would come twice");
}

#[test]
fn after_a_write_that_failed_no_number_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut sealed = SealedFile::create(folder.path()).unwrap();
    // A file that cannot be written to.
    let writable = std::mem::replace(&mut sealed.file, File::open(folder.path()).unwrap());
    assert!(sealed.append(&[1; BLOCK]).is_err());
    sealed.file = writable;
    assert!(sealed.append(&[2; BLOCK]).is_err(), "the number of its first block may be on the disk");
}
