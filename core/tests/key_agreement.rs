//! Key agreement end to end: records open only between members of one room with the same transcript.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use deaddrop_core::crypto::cpace::Exchange;
use deaddrop_core::crypto::keys::{RoomSecret, SessionKeys, transcript};
use deaddrop_core::crypto::record::{OpenError, Opener, RecordKind, Sealer};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The keys of a client and a server with these rooms and transcripts.
fn session(rooms: [u8; 2], heard: [&[u8]; 2]) -> (SessionKeys, SessionKeys) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let [client, server] =
        rooms.map(|room| Exchange::start(&RoomSecret::new([room; 32]).prs(), b"ci", &[3; 32], &mut rng));
    let (ya, yb) = (*client.share(), *server.share());
    (
        SessionKeys::derive(client.finish_initiator(&yb).unwrap(), &transcript(heard[0], &ya, &yb)),
        SessionKeys::derive(server.finish_responder(&ya).unwrap(), &transcript(heard[1], &ya, &yb)),
    )
}

#[test]
fn members_of_one_room_understand_each_other_both_ways() {
    let (client, server) = session([1, 1], [b"hello", b"hello"]);
    let mut record = [0; 512];
    for (sealing, opening) in [(client.c2s, server.c2s), (server.s2c, client.s2c)] {
        record[..2].copy_from_slice(b"hi");
        Sealer::new(sealing).seal(&mut record, RecordKind::Control, 2).unwrap();
        let opened = Opener::new(opening).open(&mut record).unwrap();
        assert_eq!(&record[..opened.len], b"hi");
    }
}

#[test]
fn a_reflected_record_does_not_open() {
    let (client, _) = session([1, 1], [b"hello", b"hello"]);
    let mut record = [0; 512];
    Sealer::new(client.c2s).seal(&mut record, RecordKind::Control, 2).unwrap();
    assert_eq!(Opener::new(client.s2c).open(&mut record), Err(OpenError::Forged));
}

#[test]
fn another_room_or_another_transcript_opens_nothing() {
    for (client, server) in [session([1, 2], [b"hello", b"hello"]), session([1, 1], [b"hello", b"hullo"])] {
        let mut record = [0; 512];
        Sealer::new(client.c2s).seal(&mut record, RecordKind::Control, 2).unwrap();
        assert_eq!(Opener::new(server.c2s).open(&mut record), Err(OpenError::Forged));
        assert_eq!(record, [0; 512]);
    }
}
