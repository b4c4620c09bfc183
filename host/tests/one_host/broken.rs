//! Receivers that die half-way, and what is left of the drop for others.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::actor::relay;
use crate::support::{
    Host, Lan, Process, ROOM, deaddrop, fetch, names, noise, send_file, send_message, spawn, stalled_fetch,
    write,
};

/// Kills a receiver that has half of the file, and fetches it again once the lease is over.
fn killed_half_way(size: usize) {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, there, here) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(2, size);
    let path = write(folder.path(), "whole.bin", &content);
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let half = u64::try_from(size / 2).unwrap();
    let (_relay, doomed) = stalled_fetch(host, there.path(), port, &token, half);
    doomed.signal(Signal::KILL);
    let killed = Instant::now();
    // Claimed still, for all that the sender knows.
    let mut early = fetch(host, here.path(), host, &token, &["--wait", "1"]);
    assert_eq!(early.exit_code(), 5, "{:?}", early.events);
    assert_eq!(early.last()["code"], "busy");
    // The next one waits for the lease, and gets all of it.
    let mut fetching = fetch(host, here.path(), host, &token, &["--wait", "40"]);
    let offer = fetching.event("offer");
    let waited = killed.elapsed();
    assert!((10..20).contains(&waited.as_secs()), "available again after {waited:?}");
    assert_eq!(offer["size"], size);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0);
    assert!(std::fs::read(here.path().join("whole.bin")).unwrap() == content, "other bytes arrived");
    assert_eq!(names(here.path()), ["whole.bin"]);
    // The killed one could not clear up, but nothing there looks like the drop.
    assert!(
        names(there.path()).iter().all(|name| name.starts_with(".whole.bin.deaddrop-")),
        "{:?}",
        names(there.path())
    );
}

#[test]
fn a_small_file_survives_a_receiver_killed_half_way() {
    killed_half_way(1 << 20);
}

#[test]
fn a_large_file_survives_a_receiver_killed_half_way() {
    killed_half_way(300 << 20);
}

#[test]
fn a_receiver_killed_with_the_whole_drop_keeps_it_from_others() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // As long as a message may be: more than a pipe takes that nobody reads.
    let message = "x".repeat(64 * 1024);
    let (mut sending, token, port) = send_message(host, folder.path(), &message, &["--ttl", "3"]);
    let mut command = host.command(deaddrop());
    let from = format!("{}:{port}", host.ip);
    command.args(["fetch", "--out", "-", "--from", &from, "--token", &token]).env("DEADDROP_ROOM", ROOM);
    // The others are other users.
    command.env("XDG_STATE_HOME", folder.path());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    rustix::pipe::fcntl_setpipe_size(&out, 4096).unwrap();
    // The message is on its way out, so the final record has come; it waits for us before it confirms.
    out.read_exact(&mut [0; 16]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut other = fetch(host, folder.path(), host, &token, &["--wait", "1"]);
    assert_eq!(other.exit_code(), 4, "{:?}", other.events);
    // TTL and as much again, then the sender gives up and says what it does not know.
    let warning = sending.event("warning");
    assert_eq!(warning["code"], "unconfirmed");
    sending.event("expired");
    let mut other = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(other.exit_code(), 3, "{:?}", other.events);
    assert_eq!(sending.exit_code(), 3);
    assert!(!sending.events.iter().any(|event| event["event"] == "fetched"), "{:?}", sending.events);
}

#[test]
fn a_receiver_that_cannot_confirm_has_the_drop_all_the_same() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "kept.bin", &noise(3, 5_000));
    let (_sending, token, port) = send_file(host, folder.path(), &path, &["--ttl", "3"]);
    let (mut relay, mut fetching) = stalled_before_commit(host, here.path(), port, &token);
    relay.event("stalled");
    fetching.event("received");
    drop(relay);
    assert_eq!(fetching.event_within("warning", Duration::from_secs(10)).unwrap()["code"], "unconfirmed");
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(std::fs::read(here.path().join("kept.bin")).unwrap(), noise(3, 5_000));
}

#[test]
fn a_confirmation_takes_another_connection_if_its_own_breaks() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "kept.bin", &noise(3, 5_000));
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (mut relay, mut fetching) = stalled_before_commit(host, here.path(), port, &token);
    relay.event("stalled");
    fetching.event("received");
    // The relay holds the first connection only; the receiver gives up on it and comes again.
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(fetching.last()["event"], "received");
    sending.event("fetched");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_transfer_whose_way_to_the_sender_is_gone_finds_another() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(3, 20 << 20);
    let path = write(folder.path(), "moved.bin", &content);
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (mut relay, by) = relay(host, port, Some(4 << 20), None);
    let from = format!("{}:{by}", host.ip);
    let arguments = ["fetch", "--json", "--from", &from, "--token", &token];
    let mut fetching = spawn(host, here.path(), ROOM, &arguments, b"");
    relay.event("stalled");
    drop(relay);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert!(std::fs::read(here.path().join("moved.bin")).unwrap() == content);
    assert_eq!(sending.exit_code(), 0);
}

/// A fetch through a relay that lets all through but the confirmation.
fn stalled_before_commit(host: &Host, folder: &Path, port: u16, token: &str) -> (Process, Process) {
    // The handshake's second message, and a record each for `list`, `fetch` and `ready`.
    let up = 49 + 3 * 512;
    let (relay, by) = relay(host, port, None, Some(up));
    let from = format!("{}:{by}", host.ip);
    // On another port for beacons: it would find the sender past the relay otherwise.
    let arguments = ["fetch", "--json", "--udp-port", "48599", "--from", &from, "--token", token];
    (relay, spawn(host, folder, ROOM, &arguments, b""))
}

#[test]
fn a_signal_after_the_final_record_only_hurries_the_confirmation() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "kept.bin", &noise(3, 5_000));
    let (_sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (mut relay, mut fetching) = stalled_before_commit(host, here.path(), port, &token);
    relay.event("stalled");
    fetching.event("received");
    let asked = Instant::now();
    fetching.signal(Signal::INT);
    assert_eq!(fetching.exit_code(), 130, "{:?}", fetching.events);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(names(here.path()), ["kept.bin"], "what is whole is kept");
}
