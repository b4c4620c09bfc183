use std::net::Ipv4Addr;
use std::time::Duration;

use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::token::Token;

use super::*;
use crate::files::save::store::sealed;

pub(in crate::files) fn offer(name: &str, size: u64) -> Offer {
    let (token, name) = (Token::from_bytes([7; 16]), Name::new(name).unwrap());
    let ttl_left = Duration::from_secs(60);
    Offer { token, kind: Kind::File, name, size, ttl_left, fetches_left: 1 }
}

pub(in crate::files) fn claimed(offer: &Offer) -> Claimed<'_> {
    static ID: FetchId = FetchId::from_bytes([9; 16]);
    Claimed { offer, id: &ID, from: (Ipv4Addr::LOCALHOST, 1).into(), attributes: None }
}

/// A name that no file system takes stands for one that this file system does not take.
#[test]
fn a_name_that_is_refused_is_known_in_time_and_loses_no_whole_drop() {
    let folder = tempfile::tempdir().unwrap();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 3).unwrap();
    let Store::Part(part) = &mut incoming.store else { panic!("no part") };
    part.wanted = "x".repeat(256);
    incoming.append(b"ab").unwrap();
    let early = incoming.reserve_tail(1).unwrap_err();
    assert!(matches!(early, SaveError::NameRefused { .. }), "{early}");
    incoming.append(b"c").unwrap();
    let Err(Unplaced { kept: Some(kept), .. }) = incoming.finish() else { panic!("renamed") };
    assert!(kept.is_whole(), "{kept:?}");
    assert_eq!(std::fs::read(kept.path).unwrap(), b"abc");
    // By the same fetch run again.
    let mut found = destination.unfinished(None);
    let mut found = found.remove(0);
    assert!(found.is_whole() && found.open().unwrap().is_whole());
    let Ok((crate::files::target::Finished::Saved(path), mut leftover)) = found.take().unwrap().finish()
    else {
        panic!()
    };
    leftover.remove();
    assert_eq!(path, folder.path().join("a"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_large_spooled_drop_leaves_no_name_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), 3).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut incoming = Incoming::of(store, None, 3);
    incoming.append(b"ab").unwrap();
    incoming.reserve_tail(1).unwrap();
    incoming.append(b"c").unwrap();
    let Ok((FinishedFile::Spooled(mut spool), _)) = incoming.finish() else { panic!() };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut spool, &mut bytes).unwrap();
    assert_eq!((bytes.as_slice(), spool.in_memory()), (&b"abc"[..], None));
}

#[test]
fn more_than_the_disk_holds_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let destination = Destination::path(folder.path()).unwrap();
    let Err(error) = Incoming::of_nobody(&destination, "a", u64::MAX) else { panic!() };
    assert!(matches!(error, SaveError::NoSpace { .. }));
    let Err(error) = sealed(folder.path(), u64::MAX) else { panic!() };
    assert!(matches!(error, SaveError::NoSpace { .. }));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A process that ends where a hole has come finds as much as was recorded, and the digest of it.
#[test]
fn a_hole_is_durable_like_other_bytes() {
    const DATA: u64 = KEPT_MIN + 65_536;
    let folder = tempfile::tempdir().unwrap();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", DATA + 3).unwrap();
    incoming.append(&[7; 65_536]).unwrap();
    while incoming.stored() < DATA {
        incoming.append(&[0; 65_536]).unwrap();
    }
    let digest = incoming.prefix_digest(DATA - 65_536).unwrap();
    incoming.checkpoint().unwrap();
    incoming.checkpoints.wait().unwrap();
    drop(incoming);
    let mut found = destination.unfinished(None).remove(0);
    found.open().unwrap();
    let Some(crate::files::target::Target::One(mut incoming)) = found.take() else { panic!() };
    assert_eq!(incoming.stored(), DATA);
    assert_eq!(incoming.prefix_digest(DATA - 65_536), Some(digest));
    incoming.append(b"end").unwrap();
    let Ok((FinishedFile::Saved(path), mut leftover)) = incoming.finish() else { panic!() };
    leftover.remove();
    let bytes = std::fs::read(path).unwrap();
    assert!(
        bytes.len() as u64 == DATA + 3
            && bytes[65_536..].iter().all(|byte| *byte == 0 || b"end".contains(byte))
    );
}

#[test]
fn a_sparse_file_needs_the_space_that_it_takes_at_its_sender() {
    let folder = tempfile::tempdir().unwrap();
    let offer = offer("a", 1 << 60);
    let create = |space| {
        let attributes = Some(Attributes { space, ..Attributes::default() });
        let claimed = Claimed { attributes, ..claimed(&offer) };
        Incoming::create(&Destination::path(folder.path()).unwrap(), &claimed)
    };
    assert!(matches!(create(None), Err(SaveError::NoSpace { needed: 0x1000_0000_0000_0000, .. })));
    assert!(matches!(create(Some(1 << 59)), Err(SaveError::NoSpace { .. })));
    create(Some(4_096)).unwrap();
}

#[test]
fn a_sealed_spool_goes_on_at_any_byte_and_seals_no_block_twice() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    for cut in [0, 1, 4_095, 4_096, 4_097, 30_000, 65_536] {
        let mut incoming = Incoming::of(sealed(folder.path(), 80_000).unwrap(), None, 80_000);
        incoming.append(&content[..65_537]).unwrap();
        // Another connection, with other records.
        incoming.rewind(cut);
        assert_eq!(incoming.stored(), cut);
        let mut digest = PrefixDigest::new(cut);
        digest.update(&content[..usize::try_from(cut).unwrap()]);
        assert_eq!(incoming.prefix_digest(cut), (cut > 0).then(|| digest.finish()));
        for piece in content[usize::try_from(cut).unwrap()..].chunks(700) {
            incoming.append(piece).unwrap();
        }
        assert!(matches!(incoming.append(b"more"), Err(SaveError::Excess)));
        let Ok((FinishedFile::Spooled(mut spool), _)) = incoming.finish() else { panic!() };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut spool, &mut bytes).unwrap();
        assert!(bytes == content, "{cut}");
    }
}

#[test]
fn threads_write_a_sealed_spool_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut incoming = Incoming::of(sealed(folder.path(), 80_000).unwrap(), None, 80_000);
    let writer = incoming.writer().unwrap();
    std::thread::scope(|scope| {
        // The last first.
        for (n, piece) in content.chunks(16_000).enumerate().rev() {
            let writer = &writer;
            scope.spawn(move || {
                writer.turn(n as u64 * 16_000, true).unwrap().store(piece, n as u64 * 16_000).unwrap();
            });
        }
    });
    incoming.advance(80_000);
    let Ok((FinishedFile::Spooled(mut spool), _)) = incoming.finish() else { panic!() };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut spool, &mut bytes).unwrap();
    assert!(bytes == content);
}

#[test]
fn no_thread_waits_for_a_piece_that_another_gave_up() {
    let folder = tempfile::tempdir().unwrap();
    let incoming = Incoming::of(sealed(folder.path(), 80_000).unwrap(), None, 80_000);
    let writer = incoming.writer().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| writer.turn(16_000, true).is_none());
        writer.break_off();
        assert!(waiting.join().unwrap());
    });
    // The next stream's threads do not know of it.
    assert!(incoming.writer().unwrap().turn(0, false).is_some());
}
