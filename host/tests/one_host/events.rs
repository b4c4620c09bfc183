//! What a whole exchange prints, on both sides and to a listener, word for word.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Host, Lan, ROOM, deaddrop, fetch, listener, send_file, send_message, spawn, write};

/// The events with what differs from run to run replaced.
fn fixed(events: &[Value], token: &str) -> Value {
    let mut events: Vec<Value> = events.to_vec();
    for event in &mut events {
        if event.get("token").is_some_and(|it| it == token) {
            event["token"] = "TOKEN".into();
        }
        if let Some(ttl) = event.get("ttl_ms").and_then(Value::as_u64)
            && ttl % 1_000 != 0
        {
            event["ttl_ms"] = (ttl.div_ceil(1_000) * 1_000).into();
        }
    }
    events.into()
}

#[test]
fn a_message_from_first_to_last() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(host, folder.path());
    let (mut sending, token, port) = send_message(host, folder.path(), "hello\n", &["--ttl", "60"]);
    assert_eq!(port, 48_556);
    listening.event("offer");
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(fetching.exit_code(), 0);
    listening.event("gone");
    assert_eq!(sending.exit_code(), 0);
    listening.signal(Signal::INT);
    assert_eq!(listening.exit_code(), 130);

    assert_eq!(
        fixed(&sending.events, &token),
        json!([
            { "event": "ready", "addresses": ["127.0.0.1"], "port": 48_556, "token": "TOKEN",
              "kind": "message", "name": "", "size": 6, "ttl_ms": 60_000 },
            { "event": "claimed", "token": "TOKEN", "by": "127.0.0.1" },
            { "event": "fetched", "token": "TOKEN", "by": "127.0.0.1", "size": 6, "fetched": 1, "of": 1 },
        ])
    );
    let offer = json!({ "event": "offer", "token": "TOKEN", "from": "127.0.0.1:48556", "kind": "message",
        "name": "", "size": 6, "ttl_ms": 60_000 });
    let mut fetched = fixed(&fetching.events, &token);
    // However long it took until then.
    fetched[0]["ttl_ms"] = 60_000.into();
    assert_eq!(
        fetched,
        json!([
            offer,
            { "event": "received", "token": "TOKEN", "kind": "message", "name": "", "size": 6,
              "text": "hello\n" },
        ])
    );
    assert_eq!(
        fixed(&listening.events, &token),
        json!([
            { "event": "ready", "addresses": ["127.0.0.1"] },
            offer,
            { "event": "gone", "token": "TOKEN", "reason": "fetched" },
            { "event": "error", "code": "interrupted", "message": "interrupted" },
        ])
    );
}

#[test]
fn a_file_that_expires_from_first_to_last() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(host, folder.path());
    let path = write(folder.path(), "a\"b.txt", b"content");
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &["--ttl", "1"]);
    assert_eq!(listening.event("gone")["reason"], "expired");
    assert_eq!(sending.exit_code(), 3);
    assert_eq!(
        fixed(&sending.events, &token),
        json!([
            { "event": "ready", "addresses": ["127.0.0.1"], "port": 48_556, "token": "TOKEN",
              "kind": "file", "name": "a\"b.txt", "size": 7, "ttl_ms": 1_000 },
            { "event": "expired", "token": "TOKEN" },
            { "event": "error", "code": "expired",
              "message": "the drop expired before it was fetched: send it again with a longer --ttl" },
        ])
    );
}

#[test]
fn a_message_that_is_not_text_is_base64() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut sending = spawn(host, folder.path(), ROOM, &["send-msg", "--json"], b"\xff\0\xfe");
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    let mut fetching = fetch(host, folder.path(), host, &token, &[]);
    let received = fetching.event("received");
    assert_eq!((&received["base64"], received.get("text")), (&"/wD+".into(), None));
}

fn command(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command(deaddrop());
    command.args(arguments).env("DEADDROP_ROOM", ROOM).stdin(std::process::Stdio::null());
    command
}

#[test]
fn quiet_leaves_results_and_errors() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for (quiet, notices) in [(&["--quiet"][..], false), (&[], true)] {
        let (_sending, token, _) = send_message(host, folder.path(), "result", &[]);
        let arguments = [&["fetch", "--from", &host.ip, "--token", &token], quiet].concat();
        let output = command(host, &arguments).output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"result"[..]));
        assert_eq!(!output.stderr.is_empty(), notices, "{}", String::from_utf8_lossy(&output.stderr));
        // The sender's own token and address are notices, its failure is not.
        let arguments = [&["send-msg", "--ttl", "1", "never"], quiet].concat();
        let output = command(host, &arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b""[..]));
        assert_eq!(errors.lines().count() > 1, notices, "{errors}");
        assert!(
            errors.ends_with("the drop expired before it was fetched: send it again with a longer --ttl\n")
        );
    }
}
