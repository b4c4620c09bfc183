//! What a person is asked on a terminal, and that a signal ends the asking too.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::terminal::{terminal, wait_for};
use crate::support::{Host, Lan, ROOM, deaddrop, send_file, send_message, write};

/// A fetch by somebody who sits at a terminal; its standard output is a pipe.
fn fetch_at(terminal: &File, host: &Host) -> Child {
    let copy = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = host.command(deaddrop());
    command.args(["fetch", "--from", &host.ip]).env("DEADDROP_ROOM", ROOM);
    command.stdin(copy()).stderr(copy()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn one_of_several_is_chosen_at_a_terminal() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_one, first, _) = send_message(host, folder.path(), "one", &[]);
    let (_two, second, _) = send_message(host, folder.path(), "two", &[]);
    let (mut ours, theirs) = terminal();
    let fetching = fetch_at(&theirs, host);
    let asked = wait_for(&mut ours, "Which one? [1-2] ");
    // They stand in the order of their tokens.
    let (lower, text) = if first < second { (&first, "one") } else { (&second, "two") };
    assert!(asked.contains(&format!("  1  {lower} message, 3 bytes, from 127.0.0.1:")), "{asked}");
    ours.write_all(b"3\n").unwrap();
    wait_for(&mut ours, "Which one? [1-2] ");
    ours.write_all(b"1\n").unwrap();
    let output = fetching.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), text.as_bytes()));
}

#[test]
fn a_file_goes_to_a_terminal_only_when_forced() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.bin", b"\x1b[31mred");
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
    let (mut ours, theirs) = terminal();
    let run = |more: &[&str]| {
        let mut command = host.command(deaddrop());
        command.args(["fetch", "--from", &host.ip, "--out", "-"]).args(more).env("DEADDROP_ROOM", ROOM);
        command.stdin(Stdio::null()).stdout(theirs.try_clone().unwrap()).output().unwrap()
    };
    // By name, where its kind shows once it is claimed, and found in the list.
    for more in [&["--token", &*token][..], &[]] {
        let output = run(more);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("--force"));
    }
    assert_eq!(sending.event("lapsed")["why"], "released");
    assert_eq!(run(&["--force"]).status.code(), Some(0));
    assert!(wait_for(&mut ours, "red").starts_with("\x1b[31mred"), "and nothing before");
}

#[test]
fn a_wifi_key_is_asked_for_at_a_terminal_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ours, theirs) = terminal();
    let copy = || Stdio::from(theirs.try_clone().unwrap());
    let mut command = Command::new("setsid");
    command.args([
        "--ctty",
        deaddrop(),
        "board-page",
        "--ssid",
        "home",
        "--wifi-key-file",
        "-",
        "--out",
        "page.bin",
    ]);
    command.current_dir(folder.path()).env("DEADDROP_ROOM", "correct horse battery staple");
    let mut making = command.stdin(copy()).stderr(copy()).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&mut ours, "Wi-Fi key: ");
    ours.write_all(b"open sesame\n").unwrap();
    let said = wait_for(&mut ours, "page.bin");
    assert!(!said.contains("sesame"), "{said}");
    assert_eq!(making.wait().unwrap().code(), Some(0));
    let page = std::fs::read(folder.path().join("page.bin")).unwrap();
    assert!(page.windows(11).any(|window| window == b"open sesame"));
}

#[test]
fn a_message_is_asked_for_at_a_terminal() {
    let lan = Lan::alone();
    let (mut ours, theirs) = terminal();
    let copy = || Stdio::from(theirs.try_clone().unwrap());
    let mut command = lan.hosts[0].command(deaddrop());
    command.arg("send-msg").env("DEADDROP_ROOM", ROOM).stdin(copy()).stderr(copy()).stdout(Stdio::null());
    let mut sending = command.spawn().unwrap();
    wait_for(&mut ours, "Type the message, and end it with Ctrl-D");
    ours.write_all(b"hello\n\x04").unwrap();
    wait_for(&mut ours, "Offering message, 6 bytes");
    sending.kill().unwrap();
    sending.wait().unwrap();
}

#[test]
fn a_signal_ends_the_question_which_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let _senders = ["one", "two"].map(|text| send_message(host, folder.path(), text, &[]));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut ours, theirs) = terminal();
        let mut fetching = fetch_at(&theirs, host);
        wait_for(&mut ours, "Which one? [1-2] ");
        kill_process(Pid::from_child(&fetching), signal).unwrap();
        // Without an answer: a process that goes on reading its terminal never ends.
        assert_eq!(fetching.wait().unwrap().code(), Some(code));
    }
}
