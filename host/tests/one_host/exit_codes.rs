//! The exit codes of the contract, each brought about on purpose.

use std::net::TcpListener;

use crate::support::actor::{fake, hang};
use crate::support::{Lan, ROOM, fetch, send_message, spawn};

#[test]
fn a_wrong_passphrase_is_refused_and_the_drop_stays() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(host, folder.path(), "hello", &[]);
    let from = format!("{}:{port}", host.ip);
    for from in [&host.ip, &from] {
        let arguments = ["fetch", "--json", "--from", from, "--token", &token, "--wait", "1"];
        let mut stranger = spawn(host, folder.path(), "another room altogether", &arguments, b"");
        assert_eq!(stranger.exit_code(), 6, "{:?}", stranger.events);
        assert_eq!(stranger.last()["code"], "not-a-member");
    }
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "hello");
    assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0));
}

#[test]
fn a_second_fetch_finds_it_gone_and_later_nobody() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(host, folder.path(), "once", &[]);
    let mut first = fetch(host, folder.path(), host, &token, &[]);
    first.event("received");
    // As long as somebody is connected, the sender goes on answering, for two seconds in this case.
    let _hanging = hang(host, port, 1);
    assert_eq!(first.exit_code(), 0);
    sending.event("fetched");
    let mut second = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(second.exit_code(), 4, "{:?}", second.events);
    assert_eq!(second.last()["code"], "unknown");
    assert_eq!(sending.exit_code(), 0);
    let mut third = fetch(host, folder.path(), host, &token, &["--wait", "0"]);
    assert_eq!(third.exit_code(), 7, "{:?}", third.events);
    assert_eq!(third.last()["code"], "unreachable");
}

#[test]
fn a_drop_that_nobody_fetches_expires() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(host, folder.path(), "too late", &["--ttl", "1"]);
    assert_eq!(sending.event("expired")["token"], token);
    // The sender still answers: it knows what became of the drop.
    let mut late = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(late.exit_code(), 3, "{:?}", late.events);
    assert_eq!(late.last()["code"], "expired");
    assert_eq!(sending.exit_code(), 3);
    assert_eq!(sending.last()["code"], "expired");
    let mut later = fetch(host, folder.path(), host, &token, &["--wait", "0"]);
    assert_eq!(later.exit_code(), 7, "{:?}", later.events);
}

#[test]
fn an_unknown_token_is_unknown() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_sending, token, _) = send_message(host, folder.path(), "here", &[]);
    // Of a digit that may stand last, where two bits must be zero.
    let other = if token.starts_with('0') { "g" } else { "0" }.repeat(26);
    for unknown in [&*other, &other[..4]] {
        let mut fetching = fetch(host, folder.path(), host, unknown, &["--wait", "1"]);
        assert_eq!(fetching.exit_code(), 4, "{:?}", fetching.events);
        assert_eq!(fetching.last()["code"], "unknown");
    }
}

#[test]
fn without_anybody_there_is_nobody() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut searching = spawn(host, folder.path(), ROOM, &["fetch", "--json", "--wait", "1"], b"");
    assert_eq!(searching.exit_code(), 7, "{:?}", searching.events);
    assert_eq!(searching.last()["code"], "unreachable");
}

#[test]
fn a_beginning_of_a_token_will_do() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_sending, token, _) = send_message(host, folder.path(), "short", &[]);
    // Probe-alikes and case are forgiven.
    let written = token[..4].to_uppercase().replace('0', "O").replace('1', "I");
    let mut fetching = fetch(host, folder.path(), host, &written, &[]);
    assert_eq!(fetching.event("received")["text"], "short");
    assert_eq!(fetching.exit_code(), 0);
    for bad in [&token[..3], "!!!!", &format!("{token}0")] {
        let mut fetching = fetch(host, folder.path(), host, bad, &[]);
        assert_eq!(fetching.exit_code(), 2, "{bad}");
        assert_eq!(fetching.last()["code"], "usage");
    }
}

#[test]
fn a_token_is_looked_for_on_the_network_too() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_other, _, _) = send_message(host, folder.path(), "other", &[]);
    let (mut sending, token, port) = send_message(host, folder.path(), "wanted", &[]);
    let look = |token: &str| {
        let arguments = ["fetch", "--json", "--token", token, "--wait", "2"];
        spawn(host, folder.path(), ROOM, &arguments, b"")
    };
    let unknown = if token.starts_with('0') { "1111" } else { "0000" };
    let mut fetching = look(unknown);
    assert_eq!(fetching.exit_code(), 4, "{:?}", fetching.events);
    let mut fetching = look(&token);
    assert_eq!(fetching.event("received")["text"], "wanted");
    let _hanging = hang(host, port, 1);
    assert_eq!(fetching.exit_code(), 0);
    sending.event("fetched");
    let mut late = look(&token);
    assert_eq!(late.exit_code(), 4, "{:?}", late.events);
}

#[test]
fn several_drops_are_listed_rather_than_one_taken() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_one, first, one_port) = send_message(host, folder.path(), "one", &[]);
    let (_two, second, two_port) = send_message(host, folder.path(), "two", &[]);
    assert_eq!(two_port, one_port + 1, "the next free port");
    for place in [&["--from", &host.ip][..], &[]] {
        let arguments = [&["fetch", "--json"], place].concat();
        let mut fetching = spawn(host, folder.path(), ROOM, &arguments, b"");
        assert_eq!(fetching.exit_code(), 2, "{:?}", fetching.events);
        let message = fetching.last()["message"].as_str().unwrap();
        assert!(message.contains(&first) && message.contains(&second), "{message}");
        // And one by one, for scripts.
        let names: Vec<&str> = fetching.events.iter().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(names, ["offer", "offer", "error"]);
        for event in &fetching.events[..2] {
            assert!([&first, &second].into_iter().any(|token| event["token"] == **token), "{event}");
        }
    }
    // Both are still there.
    for (token, text) in [(&first, "one"), (&second, "two")] {
        assert_eq!(fetch(host, folder.path(), host, token, &[]).event("received")["text"], text);
    }
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_named() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_first, _, port) = send_message(host, folder.path(), "one", &["--tcp-port", "50123"]);
    assert_eq!(port, 50_123);
    let arguments = ["send-msg", "--json", "--tcp-port", "50123"];
    let mut second = spawn(host, folder.path(), ROOM, &arguments, b"two");
    assert_eq!(second.exit_code(), 1, "{:?}", second.events);
    assert!(second.last()["message"].as_str().unwrap().contains("50123"), "{:?}", second.events);
    // The default, when it is taken, is not insisted on; neither is one held by another program.
    let _other = fake(host, 48_556, "close");
    assert_eq!(send_message(host, folder.path(), "three", &[]).2, 48_557);
    // Outside the host, nothing was touched.
    assert!(TcpListener::bind("127.0.0.1:50123").is_ok());
}
