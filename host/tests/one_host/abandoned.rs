//! A fetch whose sender gives up and cannot say so. The first file, so that its minute passes beside the other tests.

use crate::signals::{SIGNALS, ends};
use crate::support::actor::go_on;
use crate::support::{Lan, listener, names, noise, send_file, stalled_fetch, write};

#[test]
fn a_sender_that_gives_up_half_way_leaves_nothing_with_the_receiver() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "whole.bin", &noise(4, 20 << 20));
    let mut listener = listener(host, folder.path());
    // Both at once, because a receiver that does not hear its sender's last word looks for it for a minute. Each has less
    // than a fetch keeps for later.
    let receivers = SIGNALS.map(|how| {
        let here = tempfile::tempdir().unwrap();
        let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
        assert_eq!(listener.event("offer")["token"], token);
        let (mut relay, fetching) = stalled_fetch(host, here.path(), port, &token, 1 << 20);
        ends(&mut sending, how);
        assert_eq!(listener.event("gone")["reason"], "withdrawn");
        go_on(&mut relay);
        (here, relay, fetching)
    });
    for (here, _relay, mut fetching) in receivers {
        let code = fetching.exit_code();
        assert!([4, 7].contains(&code), "{:?}", fetching.events);
        assert_eq!(names(here.path()), [""; 0]);
    }
}
