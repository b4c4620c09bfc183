//! What is left in the memory of a board of a drop that is gone.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::mailbox::{Command, Event};
use lan::Lan;

#[test]
fn nothing_is_left_of_a_drop_that_is_gone() {
    let mut lan = Lan::new();
    let (a, b) = (lan.board(1, Settings::default()), lan.board(1, Settings::default()));
    let secret = b"a marker that stands nowhere else";
    let bytes: Vec<u8> = secret.iter().copied().cycle().take(4_000).collect();
    let token = a.offer(&mut lan, Kind::File, "plans.txt", &bytes);
    assert!(a.remembers(secret) > 100, "the search finds what is there");
    lan.until(&b, |event| matches!(event, Event::Appeared { .. }).then_some(()));
    b.fetch(token);
    let slot = lan.until(&b, |event| match event {
        Event::Received { slot, .. } => Some(*slot),
        _ => None,
    });
    lan.until(&a, |event| matches!(event, Event::Fetched { .. }).then_some(()));
    assert_eq!(a.remembers(secret), 0, "its sender has forgotten it");
    assert!(b.remembers(secret) > 100);
    b.send(Command::Forget { slot });
    lan.until(&b, |event| matches!(event, Event::Forgotten { .. }).then_some(()));
    lan.pass(Duration::from_secs(1));
    assert_eq!(b.remembers(secret), 0, "and so has who received it");
}
