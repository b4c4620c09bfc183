//! How a program ends, and what an exchange leaves that ends early.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::scene::{Scene, System, WAYS, event};
use crate::support::{Process, actor, names, noise, wait_for, write};

/// The file that a fetch is stopped in the midst of.
const SIZE: usize = 20 << 20;

#[test]
#[ignore = "cargo xtask windows"]
fn exit_codes_are_those_of_linux() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in WAYS {
        let (mut sending, token, _) = scene.send(from, folder.path(), &["send-msg", "hello"], b"");
        let stranger = &["fetch", "--json", "--from", "127.0.0.1", "--token", &token, "--wait", "1"];
        let mut stranger = scene.command(to, folder.path(), stranger);
        stranger.env("DEADDROP_ROOM", "another room altogether");
        let mut stranger = Process::from_command(stranger, format!("{to:?}: a stranger"));
        assert_eq!(stranger.exit_code(), 6, "{:?}", stranger.events);
        assert_eq!(stranger.last()["code"], "not-a-member");

        let mut fetching = scene.fetch(to, folder.path(), &token, &[]);
        assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0));
        let mut late = scene.fetch(to, folder.path(), &token, &["--wait", "0"]);
        assert_eq!((late.exit_code(), late.last()["code"].as_str()), (7, Some("unreachable")));
        let mut wrong = scene.spawn(to, folder.path(), &["send-file", "--json", "missing"], b"");
        assert_eq!((wrong.exit_code(), wrong.last()["code"].as_str()), (2, Some("usage")));
        let mut wrong = scene.spawn(to, folder.path(), &["fetch", "--json", "--nothing"], b"");
        assert_eq!((wrong.exit_code(), wrong.last()["code"].as_str()), (2, Some("usage")));
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn an_interrupted_sender_withdraws_its_drop() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let mut listening = scene.spawn(System::Linux, folder.path(), &["run", "--json"], b"");
    listening.event("ready");
    let (mut sending, token, _) = scene.send(System::Windows, folder.path(), &["send-msg", "hello"], b"");
    assert_eq!(listening.event("offer")["token"], token);
    // Wine makes a Ctrl-C of it.
    sending.signal(Signal::INT);
    assert_eq!(listening.event("gone")["reason"], "withdrawn");
    assert_eq!((sending.exit_code(), sending.last()["code"].as_str()), (130, Some("interrupted")));
}

/// Fetches through a relay that holds back the second half, until a part is durable, and then stops the fetch.
fn stopped(scene: &Scene, by: System, here: &Path, (token, port): (&str, u16), signal: Signal) -> Process {
    let (mut relay, through) = actor::relay(scene.host(by), port, Some(10 << 20), None);
    let from = format!("127.0.0.1:{through}");
    // On another port for beacons: it would find the sender past the relay otherwise.
    let arguments = ["fetch", "--json", "--udp-port", "48599", "--from", &from, "--token", token];
    let mut fetching = scene.spawn(by, here, &arguments, b"");
    relay.event("stalled");
    wait_for(|| checkpoints(here) >= 3);
    fetching.signal(signal);
    let _ = fetching.await_exit(Duration::from_secs(20));
    fetching
}

/// How often the record in a folder has been written: when it was made, with the part file, and by each checkpoint.
fn checkpoints(folder: &Path) -> u64 {
    let Some(record) = names(folder).into_iter().find(|name| name.ends_with(".record")) else { return 0 };
    let bytes = fs::read(folder.join(record)).unwrap_or_default();
    let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    number(8).max(number(4_096 + 8)).unwrap_or(0)
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_fetch_that_was_stopped_goes_on_where_it_was() {
    let scene = Scene::new();
    let content = noise(4, SIZE);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "whole.bin", &content);
    for (from, to, signal) in [
        (System::Linux, System::Windows, Signal::INT),
        (System::Linux, System::Windows, Signal::KILL),
        (System::Windows, System::Linux, Signal::KILL),
    ] {
        let here = tempfile::tempdir().unwrap();
        let (mut sending, token, port) = scene.send(from, folder.path(), &["send-file", "whole.bin"], b"");
        let mut fetching = stopped(&scene, to, here.path(), (&token, port), signal);
        if signal == Signal::INT {
            assert_eq!(fetching.exit_code(), 130, "{:?}", fetching.events);
            assert_eq!(event(&fetching, "kept").expect("kept")["reason"], "interrupted");
        }
        assert_eq!(names(here.path()).len(), 2, "a part and its record");
        let mut next = scene.fetch(to, here.path(), &token, &[]);
        assert_eq!((next.exit_code(), sending.exit_code()), (0, 0), "{:?}", next.events);
        let offset = event(&next, "resumed").expect("resumed")["offset"].as_u64();
        assert!(offset >= Some(8 << 20), "{to:?}: by the checkpoint, {offset:?}");
        assert_eq!(names(here.path()), ["whole.bin"]);
        assert!(fs::read(here.path().join("whole.bin")).unwrap() == content, "{to:?}: the bytes differ");
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn of_two_receivers_exactly_one_gets_it() {
    let scene = Scene::new();
    for from in [System::Windows, System::Linux] {
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(folder.path(), "one.bin", &noise(5, 3 << 20));
        let (mut sending, token, _) = scene.send(from, folder.path(), &["send-file", "one.bin"], b"");
        let mut racing = [System::Windows, System::Linux]
            .map(|system| scene.fetch(system, here.path(), &token, &["--wait", "10"]));
        let codes = racing.each_mut().map(Process::exit_code);
        let lost = codes.into_iter().filter(|code| [4, 5, 7].contains(code)).count();
        assert!(codes.contains(&0) && lost == 1, "{codes:?}");
        assert_eq!(sending.exit_code(), 0);
        assert_eq!(names(here.path()), ["one.bin"]);
    }
}
