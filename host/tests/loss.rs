//! A network that loses one packet in twenty.

mod support;

use std::io::Write;
use std::process::Stdio;

use support::{Host, Lan, Process, ROOM, listener, names, noise, send_file, write};

/// Loses five in a hundred of the packets that reach the host, whatever they are.
fn lose_packets(host: &Host) {
    let rules = "add table inet loss\n\
                 add chain inet loss input { type filter hook input priority 0; }\n\
                 add rule inet loss input iifname eth0 numgen random mod 100 < 5 counter drop\n";
    let mut nft =
        host.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft, of nftables");
    nft.stdin.take().expect("a pipe").write_all(rules.as_bytes()).expect("write the rules");
    assert!(nft.wait().expect("wait for nft").success());
}

/// The packets that were lost on their way to the host.
fn lost(host: &Host) -> u64 {
    let list = host.command("nft").args(["list", "ruleset"]).output().expect("nft, of nftables");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let count = list.split("packets ").nth(1).and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{list}"))
}

#[test]
fn a_file_arrives_whole_and_offers_are_shown() {
    let lan = Lan::of(3);
    let [sender, receiver, third] = &lan.hosts[..] else { unreachable!("three hosts") };
    lan.hosts.iter().for_each(lose_packets);
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
    let mut fetching = Process::start(receiver, here.path(), ROOM, &fetch, b"");
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    assert_eq!(names(here.path()), ["large.bin"]);
    assert!(
        std::fs::read(here.path().join("large.bin")).unwrap() == content,
        "the file is not what was sent"
    );
    let lost = lost(sender) + lost(receiver);
    assert!(lost > 0, "nothing was lost on the way");
    println!("{lost} packets were lost");
}
