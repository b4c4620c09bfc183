//! Drops for all receivers that ask before the time is up.

use std::fs;

use rustix::process::Signal;

use crate::signals::ends;
use crate::support::{Lan, ROOM, fetch, send_file, spawn, write};

#[test]
fn a_file_and_a_folder_for_all_end_with_their_time_or_an_interrupt() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a.txt", b"for all");
    fs::create_dir(folder.path().join("tree")).unwrap();
    write(&folder.path().join("tree"), "b.txt", b"for all too");
    let for_all = ["--fetches", "all"];
    let (mut timed, timed_token, _) =
        send_file(host, folder.path(), &file, &[&for_all[..], &["--ttl", "6"]].concat());
    let (mut stopped, stopped_token, _) =
        send_file(host, folder.path(), &folder.path().join("tree"), &for_all);
    let three = ["--fetches", "3", "--ttl", "6"];
    let (mut counted, counted_token, _) = send_file(host, folder.path(), &file, &three);
    for count in 1..=2 {
        let all = [
            (&mut timed, &timed_token, None),
            (&mut stopped, &stopped_token, None),
            (&mut counted, &counted_token, Some(3)),
        ];
        for (sending, token, of) in all {
            let here = tempfile::tempdir().unwrap();
            let mut fetching = fetch(host, here.path(), host, token, &[]);
            assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
            let fetched = sending.event("fetched");
            assert_eq!((fetched["fetched"].as_u64(), fetched["of"].as_u64()), (Some(count), of));
            assert_eq!(fetched.get("of").is_some(), of.is_some());
            let (a, b) = (here.path().join("a.txt"), here.path().join("tree/b.txt"));
            assert!(
                fs::read(a).is_ok_and(|a| a == b"for all") || fs::read(b).is_ok_and(|b| b == b"for all too")
            );
        }
    }
    ends(&mut stopped, (Signal::INT, 130, "interrupted"));
    assert_eq!(timed.event("expired")["token"], timed_token);
    assert_eq!(timed.exit_code(), 0, "it did what it was to do: {:?}", timed.events);
    assert_eq!(counted.exit_code(), 3, "one has not fetched it");
    let message = counted.last()["message"].as_str().unwrap();
    assert!(message.starts_with("the drop expired after 2 of 3 receivers had fetched it: "), "{message}");
}

#[test]
fn a_drop_for_all_that_nobody_fetches_expires_like_any() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["send-msg", "--json", "--fetches", "all", "--ttl", "1"];
    let mut sending = spawn(host, folder.path(), ROOM, &arguments, b"for nobody");
    assert_eq!(sending.exit_code(), 3, "{:?}", sending.events);
    assert_eq!(sending.last()["code"], "expired");
}
