//! Many at once: receivers that race, strangers and fakes on the sender's own host, and the silent.

use std::time::{Duration, Instant};

use deaddrop_core::limits::HOST;
use rustix::process::Signal;

use crate::support::actor::{fake, hang, hang_now, ready_to_hang};
use crate::support::{Host, Lan, Process, ROOM, fetch, send_message, spawn};

/// Waits until this many connections to a port of the sender's host stand, accepted or not.
fn wait_for_connections(sending: &Process, port: u16, count: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        // The sockets of the process's network namespace: of the far ends, those that are established.
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", sending.id())).unwrap();
        let far = format!(":{port:04X}");
        let standing = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields.len() > 3 && fields[2].ends_with(&far) && fields[3] == "01")
            .count();
        if standing >= count {
            return;
        }
        assert!(Instant::now() < end, "only {standing} of {count} connections");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets `count` receivers loose on a sender at the same moment and gives how each ended, sorted.
fn race(host: &Host, sending: &Process, port: u16, token: &str, count: usize) -> Vec<i32> {
    let folder = tempfile::tempdir().unwrap();
    sending.signal(Signal::STOP);
    let fetching: Vec<Process> =
        (0..count).map(|_| fetch(host, folder.path(), host, token, &["--wait", "30"])).collect();
    wait_for_connections(sending, port, count);
    sending.signal(Signal::CONT);
    let mut codes: Vec<i32> = fetching
        .into_iter()
        .map(|mut process| {
            let code = process.exit_code();
            let received = process.events.iter().any(|event| event["event"] == "received");
            assert_eq!(received, code == 0, "{:?}", process.events);
            code
        })
        .collect();
    codes.sort_unstable();
    codes
}

#[test]
fn of_sixty_four_receivers_exactly_one_gets_it() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(host, folder.path(), "only one", &[]);
    let codes = race(host, &sending, port, &token, 64);
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 4, 5].contains(code)), "{codes:?}");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(sending.events.iter().filter(|event| event["event"] == "fetched").count(), 1);
}

#[test]
fn three_fetches_are_three() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(host, folder.path(), "three", &["--fetches", "3"]);
    let codes = race(host, &sending, port, &token, 5);
    assert_eq!(codes[..3], [0, 0, 0]);
    assert!(codes[3..].iter().all(|code| [4, 5].contains(code)), "{codes:?}");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(sending.events.iter().filter(|event| event["event"] == "fetched").count(), 3);
}

#[test]
fn a_stranger_on_the_same_host_is_passed_over() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let stranger_room = "a neighbour's room on this host";
    let mut stranger = spawn(host, folder.path(), stranger_room, &["send-msg", "--json"], b"theirs");
    assert_eq!(stranger.event("ready")["port"], 48_556);
    let (mut sending, token, port) = send_message(host, folder.path(), "ours", &[]);
    assert_eq!(port, 48_557);
    let unknown = if token.starts_with('0') { "1111" } else { "0000" };
    let mut fetching = fetch(host, folder.path(), host, unknown, &["--wait", "1"]);
    assert_eq!(fetching.exit_code(), 4, "a member answered: {:?}", fetching.events);
    let mut hanging = ready_to_hang(host, port, 1);
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "ours");
    // As long as somebody is connected, the sender goes on answering, for two seconds in this case.
    hang_now(&mut hanging);
    assert_eq!(fetching.exit_code(), 0);
    sending.event("fetched");
    assert_eq!(fetch(host, folder.path(), host, &token, &[]).exit_code(), 4);
    assert_eq!(sending.exit_code(), 0);
    drop(hanging);
    // Without a member left, only those who refuse answer.
    let mut fetching = fetch(host, folder.path(), host, &token, &["--wait", "0"]);
    assert_eq!(fetching.exit_code(), 6, "{:?}", fetching.events);
    // The searching form meets them too.
    let (_sending, _, port) = send_message(host, folder.path(), "ours again", &[]);
    let mut searching = spawn(host, folder.path(), ROOM, &["fetch", "--json"], b"");
    assert_eq!(searching.event("received")["text"], "ours again");
    let _hanging = hang(host, port, 1);
    let arguments = ["fetch", "--json", "--from", &host.ip, "--wait", "1"];
    let mut listing = spawn(host, folder.path(), ROOM, &arguments, b"");
    assert_eq!(listing.exit_code(), 4, "{:?}", listing.events);
}

#[test]
fn a_server_that_is_none_is_passed_over() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let manners = ["close", "garbage", "silent"];
    let _fakes: Vec<Process> =
        (48_556..).zip(manners).map(|(port, manner)| fake(host, port, manner)).collect();
    let (_sending, token, port) = send_message(host, folder.path(), "ours", &[]);
    assert_eq!(port, 48_559);
    let unknown = if token.starts_with('0') { "1111" } else { "0000" };
    let mut fetching = fetch(host, folder.path(), host, unknown, &["--wait", "1"]);
    assert_eq!(fetching.exit_code(), 4, "a member answered: {:?}", fetching.events);
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "ours");
    assert_eq!(fetching.exit_code(), 0);
    // None of them alone is taken for somebody who refuses.
    for (port, manner) in (48_556..).zip(manners) {
        let from = format!("{}:{port}", host.ip);
        let arguments = ["fetch", "--json", "--from", &from, "--token", &token, "--wait", "0"];
        let mut fetching = spawn(host, folder.path(), ROOM, &arguments, b"");
        let code = fetching.exit_code();
        assert!([1, 7].contains(&code), "{manner}: {:?}", fetching.events);
    }
}

#[test]
fn a_stranger_is_asked_twice_and_no_more() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let stranger_room = "a neighbour's room on this host";
    let mut stranger = spawn(host, folder.path(), stranger_room, &["send-msg", "--json"], b"theirs");
    stranger.event("ready");
    // A sender that has no time has us ask again and again.
    let mut busy = fake(host, 48_570, "busy");
    let arguments = ["fetch", "--json", "--from", &host.ip, "--wait", "60"];
    let mut listing = spawn(host, folder.path(), ROOM, &arguments, b"");
    // Longer than the failed handshakes last that are allowed with one address.
    for _ in 0..12 {
        busy.event("connection");
    }
    let (_sending, _, _) = send_message(host, folder.path(), "ours", &[]);
    assert_eq!(listing.event("received")["text"], "ours");
    assert_eq!(listing.exit_code(), 0);
}

#[test]
fn a_server_of_a_later_version_is_asked_once() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut later = fake(host, 48_570, "later");
    let from = format!("{}:48570", host.ip);
    let arguments = ["fetch", "--json", "--from", &from, "--wait", "3600"];
    let mut fetching = spawn(host, folder.path(), ROOM, &arguments, b"");
    assert_eq!(fetching.exit_code(), 1, "it does not wait for another answer: {:?}", fetching.events);
    later.event("connection");
    // Whatever it had connected before would be reported by now: this one comes after it.
    let mut again = spawn(host, folder.path(), ROOM, &arguments, b"");
    assert_eq!(again.exit_code(), 1);
    later.event("connection");
    assert_eq!(later.events.iter().filter(|event| event["event"] == "connection").count(), 2);
}

#[test]
fn a_silent_service_beside_a_sender_is_not_waited_for() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut silent = fake(host, 48_556, "silent");
    let (_sending, _, _) = send_message(host, folder.path(), "ours", &[]);
    let arguments = ["fetch", "--json", "--from", &host.ip];
    let mut listing = spawn(host, folder.path(), ROOM, &arguments, b"");
    silent.event("connection");
    let connected = silent.time();
    assert_eq!(listing.event("received")["text"], "ours");
    // The deadline of a whole handshake, which is what waiting for it would take.
    let took = listing.time() - connected;
    assert!(took < deaddrop_core::limits::HANDSHAKE_TIMEOUT / 4, "{took:?}");
}

#[test]
fn silent_connections_do_not_keep_others_waiting() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (sending, token, port) = send_message(host, folder.path(), "through", &[]);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", sending.id())).unwrap().count();
    let before = open();
    // More than twice as many as have a place: those that lose theirs hold no descriptor either.
    let _hanging = hang(host, port, 600);
    let held = open() - before;
    assert!(held <= HOST.unauthenticated, "{held} descriptors");
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "through");
    assert_eq!(fetching.exit_code(), 0);
}
