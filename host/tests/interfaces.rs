//! Interfaces and addresses that change while a drop is offered, looked for, and handed over.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Host, Lan, Process, ROOM, listener, noise, send_file, send_message, spawn, write};

/// The network of the testbed.
const BROADCAST: &str = "broadcast 10.77.0.255";

/// After so long without a word a receiver connects again by itself; what is looked for is found sooner.
const SILENCE: Duration = deaddrop_core::limits::ANSWER_TIMEOUT;

/// A fetch that finds the sender by itself.
fn search(host: &Host, folder: &Path, token: &str) -> Process {
    spawn(host, folder, ROOM, &["fetch", "--json", "--wait", "30", "--token", token], b"")
}

/// Takes the address `10.77.0.<old>` from a host and gives it `10.77.0.<new>`.
fn renumber(host: &Host, old: u8, new: u8) {
    host.ip_command(&format!("address delete 10.77.0.{old}/24 dev eth0"));
    host.ip_command(&format!("address add 10.77.0.{new}/24 {BROADCAST} dev eth0"));
}

fn count(process: &Process, name: &str) -> usize {
    process.events.iter().filter(|event| event["event"] == name).count()
}

/// The middle one of several spans.
fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    println!("{spans:?}");
    spans[spans.len() / 2]
}

/// How often a span is measured: the median of 20 with `DEADDROP_TEST_LONG`.
fn rounds() -> u8 {
    if std::env::var_os("DEADDROP_TEST_LONG").is_some() { 20 } else { 3 }
}

#[test]
fn an_address_that_changes_is_shown_again_on_both_ends_within_a_second() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "moved", &[]);
    assert_eq!(listening.event("offer")["from"], "10.77.0.1:48556");
    let mut spans = Vec::new();
    let mut old = 1;
    for new in 50..50 + rounds() {
        let changed = Instant::now();
        renumber(sender, old, new);
        let ready = sending.event("ready");
        assert_eq!(ready["addresses"], json!([format!("10.77.0.{new}"), "127.0.0.1"]));
        assert_eq!((&ready["token"], &ready["port"]), (&json!(token), &json!(48_556)));
        let offer = listening.event("offer");
        assert_eq!(
            (&offer["token"], &offer["from"]),
            (&json!(token), &json!(format!("10.77.0.{new}:48556")))
        );
        spans.push(listening.time() - changed);
        // Beacons may pass unnoticed that come within this time of the last ones.
        std::thread::sleep(Duration::from_millis(300));
        old = new;
    }
    let median = median(spans);
    assert!(median < Duration::from_secs(1), "{median:?}");
    // The listener's own.
    renumber(receiver, 2, 200);
    assert_eq!(listening.event("ready")["addresses"], json!(["10.77.0.200", "127.0.0.1"]));
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "moved");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(listening.event("gone")["reason"], "fetched");
    let shown = usize::from(rounds()) + 1;
    assert_eq!((count(&listening, "offer"), count(&listening, "gone")), (shown, 1), "{:?}", listening.events);
}

#[test]
fn an_interface_that_comes_up_is_used_within_a_second() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut spans = Vec::new();
    for _ in 0..rounds() {
        receiver.ip_command("link set eth0 down");
        let mut listening = listener(receiver, folder.path());
        let (_sending, token, _) = send_message(sender, folder.path(), "there", &[]);
        // An announcement that comes by chance would hide that nobody asked: the next one is seconds away.
        std::thread::sleep(Duration::from_millis(2_000));
        let up = Instant::now();
        receiver.ip_command("link set eth0 up");
        assert_eq!(listening.event("offer")["token"], token);
        spans.push(listening.time() - up);
    }
    let median = median(spans);
    assert!(median < Duration::from_secs(1), "{median:?}");
}

#[test]
fn a_fetch_that_waits_takes_an_interface_that_comes_up() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(sender, folder.path(), "late", &[]);
    receiver.ip_command("link set eth0 down");
    let mut fetching = search(receiver, folder.path(), &token);
    assert!(fetching.event_within("received", Duration::from_millis(1_500)).is_none());
    receiver.ip_command("link set eth0 up");
    assert_eq!(fetching.event("received")["text"], "late");
    assert_eq!(sending.exit_code(), 0);
}

/// A file that is handed over while `change` happens half-way, and has to arrive whole.
fn cut(change: impl FnOnce(&Lan)) -> (Process, Process, Duration) {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(7, 2 << 20);
    let path = write(folder.path(), "large.bin", &content);
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    sender.limit_rate(8_000).unwrap();
    let mut fetching = search(receiver, here.path(), &token);
    fetching.event("progress");
    let cut = Instant::now();
    change(&lan);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    assert!(
        std::fs::read(here.path().join("large.bin")).unwrap() == content,
        "the file is not what was sent"
    );
    (sending, fetching, cut.elapsed())
}

fn lost(fetching: &Process) -> Vec<&Value> {
    fetching.events.iter().filter(|event| event["code"] == "connection-lost").collect()
}

#[test]
fn a_transfer_follows_its_sender_to_another_address() {
    let (sending, fetching, took) = cut(|lan| renumber(&lan.hosts[0], 1, 50));
    assert_eq!(lost(&fetching).len(), 1, "{:?}", fetching.events);
    assert_eq!(count(&sending, "ready"), 2, "{:?}", sending.events);
    assert!(took < SILENCE, "{took:?}");
}

#[test]
fn a_transfer_follows_its_receiver_to_another_address() {
    let (_, fetching, took) = cut(|lan| renumber(&lan.hosts[1], 2, 60));
    assert_eq!(lost(&fetching).len(), 1, "{:?}", fetching.events);
    assert!(took < SILENCE, "{took:?}");
}

#[test]
fn a_transfer_goes_on_when_a_link_is_up_again() {
    for host in 0..2 {
        cut(|lan| {
            lan.hosts[host].ip_command("link set eth0 down");
            std::thread::sleep(Duration::from_millis(2_500));
            lan.hosts[host].ip_command("link set eth0 up");
        });
    }
}
