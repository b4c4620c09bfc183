//! Offers come and go on the listener's screen as senders do, whatever happens to the network between.

mod support;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::{Capture, Host, Lan, Neighbour, Process, ROOM, fetch, listener, send_message, spawn};

/// A sign of life and no answer for this long make a sender be looked for.
const SILENCE: Duration = deaddrop_core::limits::SILENCE;

#[test]
fn neighbour() {
    support::play(&[
        ("capture", support::capture),
        ("farewell", farewell),
        ("hear-end", hear_end),
        ("hold", hold),
    ]);
}

/// A fetch that has to find the sender by itself.
fn search(host: &Host, folder: &std::path::Path, token: &str) -> Process {
    spawn(host, folder, ROOM, &["fetch", "--json", "--wait", "20", "--token", token], b"")
}

#[test]
fn two_senders_on_one_host() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut first, first_token, first_port) = send_message(sender, folder.path(), "one", &[]);
    let (mut second, second_token, second_port) = send_message(sender, folder.path(), "two", &[]);
    assert_eq!((first_port, second_port), (48_556, 48_557));

    let mut listening = listener(receiver, folder.path());
    let mut shown: Vec<(String, String)> = Vec::new();
    for _ in 0..2 {
        let offer = listening.event("offer");
        let text = |key: &str| offer[key].as_str().unwrap_or_default().to_owned();
        shown.push((text("token"), text("from")));
    }
    let mut expected = vec![
        (first_token.clone(), format!("{}:48556", sender.ip)),
        (second_token.clone(), format!("{}:48557", sender.ip)),
    ];
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);

    // One by the beginning of its token, found on the network; the other by that and the sender's address.
    let mut fetching = search(receiver, folder.path(), &second_token[..9]);
    assert_eq!(fetching.event("received")["text"], "two");
    let mut fetching = fetch(receiver, folder.path(), sender, &first_token[..9].to_uppercase(), &[]);
    assert_eq!(fetching.event("received")["text"], "one");
    assert_eq!((first.exit_code(), second.exit_code()), (0, 0));
}

#[test]
fn an_offer_that_is_taken_back_is_gone_at_once() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (mut sending, token, _) = send_message(sender, folder.path(), "never mind", &[]);
        assert_eq!(listening.event("offer")["token"], token);
        sending.signal(signal);
        // Well before silence would tell.
        let gone = listening.event_within("gone", SILENCE / 4).expect("gone");
        assert_eq!((&gone["token"], &gone["reason"]), (&Value::from(token), &Value::from("withdrawn")));
        assert_eq!(sending.exit_code(), code);
    }
}

#[test]
fn a_killed_sender_is_lost_once_a_look_at_it_fails() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut hearing = Neighbour::start(sender, "farewell", &[]);
    let mut listening = listener(receiver, folder.path());
    let (sending, token, _) = send_message(sender, folder.path(), "gone with me", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    assert_eq!(hearing.word(), "heard");
    sending.signal(Signal::KILL);
    drop(sending);
    // It had no time to say farewell, so its host does: a hint, upon which the listener looks for itself.
    hearing.end();
    let gone = listening.event_within("gone", SILENCE / 2).expect("lost");
    assert_eq!((&gone["token"], &gone["reason"]), (&Value::from(token), &Value::from("lost")));
}

/// The role that says farewell in the name of the first sender it hears, when the test ends it.
fn farewell(_: &[&str]) {
    let socket = support::beacon_socket(48_555);
    support::say("ready");
    let beacon = support::hear_sender(&socket);
    support::say("heard");
    support::wait_for_end();
    let beacon = support::Beacon { kind: support::BeaconKind::Farewell, ..beacon };
    socket.send_to(&beacon.emit(), "10.77.0.255:48555").expect("a broadcast");
}

#[test]
fn a_sender_that_cannot_say_that_it_is_ready_says_farewell() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let mut hearing = Neighbour::start(host, "hear-end", &[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = host.command(support::deaddrop());
    command.args(["send-msg", "--json", "never mind"]).env("DEADDROP_ROOM", ROOM).stdout(full);
    assert_eq!(command.status().unwrap().code(), Some(1));
    assert_eq!(hearing.word(), "farewell");
    hearing.end();
}

/// The role that waits for a sender's farewell.
fn hear_end(_: &[&str]) {
    let socket = support::beacon_socket(48_555);
    support::say("ready");
    while support::hear(&socket).kind != support::BeaconKind::Farewell {}
    support::say("farewell");
    support::wait_for_end();
}

#[test]
fn a_listener_that_is_deaf_says_so_until_it_is_not() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let holding = Neighbour::start(host, "hold", &[]);
    let mut listening = spawn(host, folder.path(), ROOM, &["run", "--json"], b"");
    let warning = listening.event("warning");
    assert_eq!(warning["code"], "interface-skipped");
    assert!(warning["message"].as_str().unwrap().contains("UDP port 48555 of lo"), "{warning}");
    listening.event("ready");
    holding.end();
    let (_sending, token, _) = send_message(host, folder.path(), "at last", &["--ttl", "60"]);
    assert_eq!(listening.event("offer")["token"], token);
}

/// The role of a program that has the shared port and does not share it.
fn hold(_: &[&str]) {
    let _socket = std::net::UdpSocket::bind("0.0.0.0:48555").expect("a port");
    support::say("ready");
    support::wait_for_end();
}

/// With `DEADDROP_TEST_LONG` set, since it takes as long as the silence.
#[test]
fn a_killed_sender_is_lost_after_a_silence() {
    if std::env::var_os("DEADDROP_TEST_LONG").is_none() {
        return;
    }
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (sending, token, _) = send_message(sender, folder.path(), "gone with me", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    sending.signal(Signal::KILL);
    let gone = listening.event_within("gone", SILENCE * 2).expect("lost");
    assert_eq!((&gone["token"], &gone["reason"]), (&Value::from(token), &Value::from("lost")));
}

/// Sockets that a process has open.
fn sockets(process: &Process) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("a process of ours");
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    open.filter_map(target).filter(|to| to.to_string_lossy().starts_with("socket:")).count()
}

/// Waits until a process has a number of sockets of which `enough` is true.
fn wait_for_sockets(process: &Process, enough: impl Fn(usize) -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !enough(sockets(process)) {
        assert!(std::time::Instant::now() < end, "{} sockets", sockets(process));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cable_is_pulled_and_plugged_in_again() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (first, first_token, _) = send_message(sender, folder.path(), "one", &[]);
    assert_eq!(listening.event("offer")["token"], first_token);

    // The listener's cable, until it has noticed.
    let before = sockets(&listening);
    lan.cable(1, false);
    wait_for_sockets(&listening, |now| now < before);
    let (second, second_token, _) = send_message(sender, folder.path(), "two", &[]);
    lan.cable(1, true);
    // It asks anew by itself: no announcement need come.
    assert_eq!(listening.event("offer")["token"], second_token);

    // The sender's cable, until both have noticed.
    let before = [sockets(&first), sockets(&second)];
    lan.cable(0, false);
    wait_for_sockets(&first, |now| now < before[0]);
    wait_for_sockets(&second, |now| now < before[1]);
    lan.cable(0, true);
    wait_for_sockets(&first, |now| now >= before[0]);
    let mut fetching = search(receiver, folder.path(), &first_token);
    assert_eq!(fetching.event("received")["text"], "one");
    assert_eq!(listening.event("gone")["token"], first_token);
    let gone = listening.events.iter().filter(|event| event["event"] == "gone").count();
    assert_eq!(gone, 1, "a pulled cable takes no offer back: {:?}", listening.events);
}

#[test]
fn another_room_sees_nothing_and_is_no_attack() {
    let lan = Lan::of(3);
    let [sender, member, stranger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let room = "some other room of this house";
    let mut other = spawn(stranger, folder.path(), room, &["run", "--json"], b"");
    other.event("ready");
    let mut listening = listener(member, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "not for all", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    let mut fetching = fetch(member, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    other.signal(Signal::TERM);
    assert_eq!(other.exit_code(), 143);
    let names = |process: &Process| -> Vec<String> {
        process.events.iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&other), ["ready", "error"]);
    assert_eq!(
        names(&sending),
        ["ready", "claimed", "fetched"],
        "one failed handshake is a neighbour, no attack"
    );
    // It has looked, once, and then knew.
    let looks = capture.end().connects();
    let looks = looks.iter().filter(|(from, _)| from.ip().to_string() == stranger.ip).count();
    assert_eq!(looks, 1);
}

#[test]
fn an_interface_that_was_chosen_gets_another_address() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(sender, folder.path(), "moved", &["--interface", "eth0"]);
    sender.ip_command("address delete 10.77.0.1/24 dev eth0");
    sender.ip_command("address add 10.77.0.50/24 broadcast 10.77.0.255 dev eth0");
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "moved");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn an_interface_is_chosen_with_the_addresses_that_have_a_label() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { panic!() };
    let folder = tempfile::tempdir().unwrap();
    // As its only address, and beside one without a label.
    sender.ip_command("address flush dev eth0");
    sender.ip_command("address add 10.77.0.50/24 broadcast + dev eth0 label eth0:1");
    for more in ["", "address add 10.77.0.51/24 broadcast + dev eth0"] {
        if !more.is_empty() {
            sender.ip_command(more);
        }
        let (mut sending, token, _) =
            send_message(sender, folder.path(), "labelled", &["--interface", "eth0"]);
        let addresses = sending.events.last().unwrap()["addresses"].to_string();
        assert!(addresses.contains("10.77.0.50"), "{addresses}");
        let arguments = ["fetch", "--json", "--token", &token, "--interface", "eth0"];
        let mut fetching = spawn(receiver, folder.path(), ROOM, &arguments, b"");
        assert_eq!(fetching.event("received")["text"], "labelled");
        sending.event("fetched");
    }
    let (sending, _, _) = send_message(sender, folder.path(), "one of them", &["--interface", "eth0:1"]);
    assert_eq!(sending.events.last().unwrap()["addresses"], serde_json::json!(["10.77.0.50"]));
}

#[test]
fn interfaces_that_cannot_broadcast_do_no_harm() {
    let lan = Lan::of(2);
    let folder = tempfile::tempdir().unwrap();
    for host in &lan.hosts {
        // Two addresses and no third for everybody; one address and nobody beside it; no neighbour at all.
        host.ip_command("link add name pair0 type veth peer name pair1");
        host.ip_command("address add 192.0.2.0/31 dev pair0");
        host.ip_command("address add 198.51.100.1/32 dev lo");
        host.ip_command("link set pair0 up");
        host.ip_command("link set pair1 up");
        host.ip_command("link add name lonely type bridge");
        host.ip_command("address add 203.0.113.1/24 dev lonely");
        host.ip_command("link set lonely up");
    }
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, port) = send_message(sender, folder.path(), "through", &[]);
    let offer = listening.event("offer");
    assert_eq!(
        (&offer["token"], &offer["from"]),
        (&token.clone().into(), &format!("{}:{port}", sender.ip).into())
    );
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "through");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_host_without_even_loopback_says_so_and_waits_for_it() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    host.ip_command("link set lo down");
    let folder = tempfile::tempdir().unwrap();
    let mut listening = spawn(host, folder.path(), ROOM, &["run", "--json"], b"");
    assert_eq!(listening.event("warning")["code"], "no-network");
    assert_eq!(listening.event("ready")["addresses"], serde_json::json!([]));
    host.ip_command("link set lo up");
    let (_sending, token, _) = send_message(host, folder.path(), "at last", &[]);
    assert_eq!(listening.event("offer")["token"], token);
}

#[test]
fn a_host_without_any_network_finds_itself() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(host, folder.path());
    let (mut sending, token, _) = send_message(host, folder.path(), "to myself", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    // Without a word on where it is or what it is called.
    let mut fetching = spawn(host, folder.path(), ROOM, &["fetch", "--json", "--wait", "20"], b"");
    assert_eq!(fetching.event("received")["text"], "to myself");
    assert_eq!(listening.event("gone")["reason"], "fetched");
    assert_eq!(sending.exit_code(), 0);
}
