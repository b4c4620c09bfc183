//! What a session leaves in its memory when it has ended.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod net;

use std::os::unix::fs::FileExt;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::HOST;
use net::harness::Harness;
use net::{ROOM, client};

/// The bytes that a value has in memory, also those that none of its fields uses now.
fn bytes<T>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<T>()];
    let ourselves = std::fs::File::open("/proc/self/mem").unwrap();
    ourselves.read_exact_at(&mut bytes, std::ptr::from_ref(value) as u64).unwrap();
    bytes
}

/// How many bytes of the session become 0 when its connection has closed.
fn wiped(harness: &mut Harness, session: &mut ServerSession) -> usize {
    session.handle_close();
    let before = bytes(session);
    session.closed(harness.now, &mut harness.serving);
    before.iter().zip(bytes(session)).filter(|(before, after)| **before != 0 && *after == 0).count()
}

#[test]
fn the_scalar_and_the_keys_are_wiped_where_they_stand() {
    let harness = &mut Harness::new(1, &HOST);
    let (mut session, _) = harness.answering(client(1), ROOM);
    assert!(session.is_answering());
    // Random bytes, of which one in 256 is 0.
    assert!(wiped(harness, &mut session) >= 28, "the scalar");

    let (mut session, _) = harness.answering(client(1), ROOM);
    session.finish_answer(harness.now, &mut harness.serving);
    assert!(!session.is_answering());
    assert!(wiped(harness, &mut session) >= 58, "two keys");
}
