//! A network that loses one packet in twenty.

mod support;

use support::{Lan, ROOM, listener, names, noise, send_file, spawn, write};

#[test]
fn a_file_arrives_whole_and_offers_are_shown() {
    let lan = Lan::of(3);
    let [sender, receiver, third] = &lan.hosts[..] else { unreachable!("three hosts") };
    lan.hosts.iter().for_each(|host| host.filter("numgen random mod 100 < 5").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    let content = noise(5, 20 << 20);
    let path = write(folder.path(), "large.bin", &content);

    let mut early = listener(third, folder.path());
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    assert_eq!(early.event("offer")["token"], token);
    let mut late = listener(third, folder.path());
    assert_eq!(late.event("offer")["token"], token);
    let fetch = ["fetch", "--json", "--wait", "60", "--token", &token];
    let mut fetching = spawn(receiver, here.path(), ROOM, &fetch, b"");
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    assert_eq!(names(here.path()), ["large.bin"]);
    assert!(
        std::fs::read(here.path().join("large.bin")).unwrap() == content,
        "the file is not what was sent"
    );
    let lost = sender.filtered().unwrap() + receiver.filtered().unwrap();
    assert!(lost > 0, "nothing was lost on the way");
    println!("{lost} packets were lost");
}
