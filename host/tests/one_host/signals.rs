//! Ctrl-C and SIGTERM, on any side and at any moment: out within a second, and nothing left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::actor::{fake, go_on};
use crate::support::{
    Lan, Process, ROOM, fetch, listener, names, noise, send_file, send_message, spawn, stalled_fetch,
    wait_for, write,
};

pub(crate) const SIGNALS: [(Signal, i32, &str); 2] =
    [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated")];

/// Sends the signal and checks how the process ends, and how soon.
///
/// It should take a second. A machine that does other things meanwhile gets some more, but less than the three seconds for
/// which a sender goes on answering when nobody hurries it.
pub(crate) fn ends(process: &mut Process, (signal, code, word): (Signal, i32, &str)) {
    let asked = Instant::now();
    process.signal(signal);
    assert_eq!(process.exit_code(), code, "{:?}", process.events);
    assert!(asked.elapsed() < Duration::from_millis(2_900), "{:?}", asked.elapsed());
    assert_eq!(process.last()["code"], word);
}

#[test]
fn a_listener_ends() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    for how in SIGNALS {
        ends(&mut listener(&lan.hosts[0], folder.path()), how);
    }
}

/// Whether the process has a handler for this signal.
pub(crate) fn catches(id: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn a_hang_up_ends_what_was_not_told_to_outlive_its_terminal() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    ends(&mut listener(host, folder.path()), (Signal::HUP, 143, "terminated"));

    let mut command = host.command("nohup");
    command.args([crate::support::deaddrop(), "run", "--json"]).env("DEADDROP_ROOM", ROOM);
    let mut listening = Process::from_command(command, "nohup run".into());
    listening.event("ready");
    listening.signal(Signal::HUP);
    let (_sending, token, _) = send_message(host, folder.path(), "still there", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    ends(&mut listening, SIGNALS[1]);
}

#[test]
fn a_signal_that_the_parent_ignores_is_ignored() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for (name, signal) in [("INT", Signal::INT), ("QUIT", Signal::QUIT), ("TERM", Signal::TERM)] {
        let mut command = host.command("sh");
        command.args(["-c", &format!("trap '' {name}; exec \"$@\""), "sh", crate::support::deaddrop()]);
        command.args(["send-msg", "--json", "still there"]).env("DEADDROP_ROOM", ROOM);
        command.current_dir(folder.path());
        let mut sending = Process::from_command(command, format!("send-msg without {name}"));
        let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
        sending.signal(signal);
        let mut fetching = fetch(host, folder.path(), host, &token, &[]);
        assert_eq!(fetching.event("received")["text"], "still there");
        assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    }
}

#[test]
fn every_signal_that_ends_a_process_ends_it_in_order() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "whole.bin", &noise(4, 20 << 20));
    let signals = [
        Signal::QUIT,
        Signal::ALARM,
        Signal::USR1,
        Signal::USR2,
        Signal::XCPU,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
    ];
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    for signal in signals {
        let (_relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 4 << 20);
        ends(&mut fetching, (signal, 143, "terminated"));
        assert_eq!(names(here.path()), [""; 0], "{signal:?}");
        assert_eq!(sending.event("lapsed")["why"], "released");
    }
}

#[test]
fn a_sender_that_waits_withdraws_its_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let mut listener = listener(host, folder.path());
    for how in SIGNALS {
        let (mut sending, token, _) = send_message(host, folder.path(), "never mind", &[]);
        assert_eq!(listener.event("offer")["token"], token);
        ends(&mut sending, how);
        let gone = listener.event("gone");
        assert_eq!((&gone["token"], &gone["reason"]), (&token.into(), &"withdrawn".into()));
    }
}

#[test]
fn a_search_ends() {
    let lan = Lan::of(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // A server that takes connections and says nothing, and a host that is not there.
    let mut silent = fake(host, 48_560, "silent");
    host.ip_command("neighbour add 10.77.0.99 lladdr 02:00:00:00:00:99 dev eth0");
    let places = [&[][..], &["--from", "127.0.0.1"], &["--from", "127.0.0.1", "--token", "0000"]];
    let nowhere = [&["--from", "10.77.0.99"][..], &["--from", "10.77.0.99", "--token", "0000"]];
    for place in places.into_iter().chain(nowhere) {
        for how in SIGNALS {
            let arguments = [&["fetch", "--json", "--wait", "60", "--udp-port", "48000"], place].concat();
            let mut searching = spawn(host, folder.path(), ROOM, &arguments, b"");
            match place {
                [] => wait_for(|| has_socket(searching.id(), "udp", ":BB80", "")),
                [_, "127.0.0.1", ..] => {
                    silent.event("connection");
                }
                // A connection on its way.
                _ => wait_for(|| has_socket(searching.id(), "tcp", ":BDAC", "02")),
            }
            ends(&mut searching, how);
        }
    }
}

/// Whether there is a socket with an end like this on the process's host, in this state.
pub(crate) fn has_socket(id: u32, kind: &str, end: &str, state: &str) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{id}/net/{kind}")).unwrap_or_default();
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.len() > 3
            && (fields[1].ends_with(end) || fields[2].ends_with(end))
            && (state.is_empty() || fields[3] == state)
    })
}

/// From a sender that is never waited for: the signal has to be heard between two records.
///
/// A release build on an idle machine comes to that; a debug build waits now and then, and hears it then too.
#[test]
fn a_receiver_that_is_never_idle_hears_a_signal() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("whole.bin");
    // Long enough on its way for a signal to come half-way, and nothing but a hole on the disk.
    std::fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    for how in SIGNALS {
        let (_sending, token, _) = send_file(host, folder.path(), &path, &[]);
        let mut fetching = fetch(host, here.path(), host, &token, &[]);
        wait_for(|| !names(here.path()).is_empty());
        ends(&mut fetching, how);
        let left = names(here.path());
        assert!(left.iter().all(|name| name.starts_with(".whole.bin.deaddrop-")), "not the whole: {left:?}");
    }
}

#[test]
fn a_receiver_that_gives_up_half_way_gives_the_drop_back_at_once() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(4, 20 << 20);
    let path = write(folder.path(), "whole.bin", &content);
    for how in SIGNALS {
        let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
        let (_relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 4 << 20);
        assert_eq!(names(here.path()).len(), 2, "a part and its record");
        ends(&mut fetching, how);
        assert_eq!(names(here.path()), [""; 0]);
        assert_eq!(sending.event("claimed")["by"], "127.0.0.1");
        let lapsed = sending.event("lapsed");
        assert_eq!((&lapsed["by"], &lapsed["why"]), (&"127.0.0.1".into(), &"released".into()));
        // Far from the fifteen seconds after which a claim lapses by itself.
        let mut next = fetch(host, here.path(), host, &token, &["--wait", "3"]);
        assert_eq!(next.exit_code(), 0, "{:?}", next.events);
        assert!(std::fs::read(here.path().join("whole.bin")).unwrap() == content, "other bytes arrived");
        std::fs::remove_file(here.path().join("whole.bin")).unwrap();
    }
}

#[test]
fn a_sender_hears_of_it_even_if_the_connection_is_gone_when_it_looks() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "large.bin", &noise(4, 20 << 20));
    let (sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (_relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 4 << 20);
    sending.signal(Signal::STOP);
    ends(&mut fetching, SIGNALS[0]);
    assert_eq!(names(here.path()), [""; 0]);
    sending.signal(Signal::CONT);
    let mut next = fetch(host, here.path(), host, &token, &["--wait", "3"]);
    next.event("offer");
}

#[test]
fn a_receiver_hears_that_the_drop_ended_while_it_came() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "whole.bin", &noise(4, 20 << 20));
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &["--ttl", "2"]);
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 10 << 20);
    // A claim that is held goes on for as long again as the TTL was, and no longer.
    sending.event("expired");
    go_on(&mut relay);
    assert_eq!(fetching.exit_code(), 3, "{:?}", fetching.events);
    assert_eq!(fetching.last()["code"], "expired");
    assert_eq!(names(here.path()), [""; 0]);
    assert_eq!(sending.exit_code(), 3);
    assert!(!sending.events.iter().any(|event| event["code"] == "unconfirmed"), "{:?}", sending.events);
}
