//! A message and a file between two hosts while a third listens, and a drop found without its sender's address.

mod support;

use support::{Lan, ROOM, fetch, listener, names, noise, send_file, send_message, write};

#[test]
fn a_message_and_a_file_cross_the_lan() {
    let lan = Lan::of(3);
    let [sender, receiver, third] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listener = listener(third, folder.path());

    let (mut sending, token, _) = send_message(sender, folder.path(), "hello there", &[]);
    assert_eq!(listener.event("offer")["token"], token);
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "hello there");
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.event("fetched")["by"], receiver.ip);
    assert_eq!(listener.event("gone")["reason"], "fetched");
    assert_eq!(sending.exit_code(), 0);

    let content = noise(1, 300_000);
    let path = write(folder.path(), "noise.bin", &content);
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    let offer = listener.event("offer");
    assert_eq!((offer["token"].as_str(), offer["name"].as_str()), (Some(&*token), Some("noise.bin")));
    let here = tempfile::tempdir().unwrap();
    let mut fetching = fetch(receiver, here.path(), sender, &token, &[]);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(names(here.path()), ["noise.bin"]);
    assert_eq!(std::fs::read(here.path().join("noise.bin")).unwrap(), content);
}

#[test]
fn a_drop_is_found_without_knowing_its_sender() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, _, _) = send_message(sender, folder.path(), "found", &[]);
    let arguments = ["fetch", "--json"];
    let mut fetching = support::spawn(receiver, folder.path(), ROOM, &arguments, b"");
    assert_eq!(fetching.event("received")["text"], "found");
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
}
