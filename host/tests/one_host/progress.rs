//! How far a drop has come: lines on a terminal that leave nothing behind, events for scripts, and nothing for others.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::termios::{Action, tcflow};

use crate::support::terminal::{of_size, wait_for};
use crate::support::{
    Host, Lan, Process, ROOM, actor, deaddrop, fetch, noise, send_file, spawn, stalled_fetch, write,
};

/// The size of the drop, and where a relay holds it back: a fetch that ends there keeps nothing.
const SIZE: usize = 6 << 20;
const STALLED: u64 = 3 << 20;

/// A terminal of so many columns: our end of it, and the program's.
fn terminal_of(columns: u16) -> (File, File) {
    of_size(columns, 24).unwrap()
}

/// Starts a command with this terminal as its standard error, and as what controls it.
fn start_at(terminal: &File, term: &str, host: &Host, folder: &Path, words: &[&str]) -> Child {
    let copy = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = host.command("setsid");
    command.args(["--ctty", "--wait", deaddrop()]).args(words).current_dir(folder);
    command.env("DEADDROP_ROOM", ROOM).env("TERM", term);
    command.stdin(copy()).stdout(Stdio::null()).stderr(copy()).spawn().unwrap()
}

/// What a terminal of so many columns shows in the end, from what was written to it: the rows above the cursor, which
/// has to be at the start of an empty one. Knows what the program uses, and nothing else.
fn screen(written: &str, columns: usize) -> Vec<String> {
    let (mut rows, mut row, mut column) = (vec![String::new()], 0, 0);
    let mut written = written;
    while let Some(next) = written.chars().next() {
        let mut length = next.len_utf8();
        match next {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                length = 1 + written.find(|c: char| c.is_ascii_uppercase()).unwrap();
                match &written[1..length] {
                    "[J" => {
                        rows.truncate(row + 1);
                        rows[row].truncate(column);
                    }
                    up if up.ends_with('A') => row -= up[1..up.len() - 1].parse::<usize>().unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            shown => {
                if column == columns {
                    (row, column) = (row + 1, 0);
                    rows.resize(rows.len().max(row + 1), String::new());
                }
                rows[row].truncate(column);
                rows[row].push(shown);
                column += 1;
            }
        }
        rows.resize(rows.len().max(row + 1), String::new());
        written = &written[length..];
    }
    assert_eq!((column, rows.pop()), (0, Some(String::new())), "{rows:?}");
    rows
}

/// These lines as a terminal shows them.
fn rows(lines: &[&str], columns: usize) -> Vec<String> {
    let wrapped = |line: &&str| {
        line.as_bytes()
            .chunks(columns)
            .map(|row| String::from_utf8(row.to_vec()).unwrap())
            .collect::<Vec<_>>()
    };
    lines.iter().flat_map(wrapped).collect()
}

/// What was painted as a line of progress, each time.
fn painted(written: &str) -> Vec<&str> {
    let parts = written.split(['\r', '\n']).filter_map(|part| part.rsplit("\x1b[J").next());
    parts.filter(|part| part.contains("] ") || part.contains("%")).collect()
}

/// A sender of a file, a relay in front of it that holds it back, and where to fetch it from.
fn held_back(host: &Host, folder: &Path, fetches: u8) -> (Process, Process, Vec<String>) {
    let path = write(folder, "a.bin", &noise(1, SIZE));
    let (sending, token, port) = send_file(host, folder, &path, &["--fetches", &fetches.to_string()]);
    let (relay, by) = actor::relay(host, port, Some(STALLED), None);
    let from = format!("{}:{by}", host.ip);
    let words = ["fetch", "--from", &from, "--token", &token].map(str::to_owned).to_vec();
    (sending, relay, words)
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_bar_is_gone_before_what_follows() {
    for columns in [80, 40] {
        let lan = Lan::alone();
        let host = &lan.hosts[0];
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (_sending, mut relay, words) = held_back(host, folder.path(), 1);
        let (mut ours, theirs) = terminal_of(columns);
        let mut fetching = start_at(&theirs, "xterm", host, here.path(), &borrowed(&words));
        let bar = if columns == 80 { " of 6.29 MB" } else { "%" };
        let mut shown = wait_for(&mut ours, bar);
        actor::go_on(&mut relay);
        shown += &wait_for(&mut ours, "Saved ");
        shown += &wait_for(&mut ours, "\n");
        assert_eq!(fetching.wait().unwrap().code(), Some(0));
        let painted = painted(&shown);
        assert!(painted.iter().all(|line| line.len() < usize::from(columns)), "{painted:?}");
        assert!(!painted.is_empty());
        let lines = ["Taking file \"a.bin\", 6291456 bytes from 127.0.0.1", "Saved a.bin, 6291456 bytes"];
        assert_eq!(screen(&shown, columns.into()), rows(&lines, columns.into()), "{shown:?}");
    }
}

#[test]
fn warnings_stand_above_the_bar_and_an_interrupt_leaves_the_terminal_clean() {
    for columns in [80, 40] {
        let lan = Lan::alone();
        let host = &lan.hosts[0];
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (_sending, relay, words) = held_back(host, folder.path(), 1);
        let (mut ours, theirs) = terminal_of(columns);
        let mut fetching = start_at(&theirs, "xterm", host, here.path(), &borrowed(&words));
        let bar = if columns == 80 { " of 6.29 MB" } else { "%" };
        let mut shown = wait_for(&mut ours, bar);
        drop(relay);
        shown += &wait_for(&mut ours, "warning: ");
        let warning = wait_for(&mut ours, "\n");
        let warned = format!("deaddrop: warning: {}", warning.trim_end());
        shown += &warning;
        // Below it the bar is painted again.
        shown += &wait_for(&mut ours, bar);
        ours.write_all(b"\x03").unwrap();
        shown += &wait_for(&mut ours, "deaddrop: interrupted");
        shown += &wait_for(&mut ours, "\n");
        assert_eq!(fetching.wait().unwrap().code(), Some(130));
        let lines = ["Taking file \"a.bin\", 6291456 bytes from 127.0.0.1", &warned, "deaddrop: interrupted"];
        assert_eq!(screen(&shown, columns.into()), rows(&lines, columns.into()), "{shown:?}");
    }
}

#[test]
fn no_bar_without_a_person_at_a_capable_terminal() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // Each through a relay of its own, which holds back its first connection.
    let (mut sending, relay, words) = held_back(host, folder.path(), 5);
    let port = sending.events.iter().find_map(|event| event["port"].as_u64()).unwrap();
    let mut relays = vec![relay];
    let variants: [(&str, &[&str], bool); 5] = [
        ("dumb", &[], true),
        ("xterm", &["--quiet"], true),
        ("xterm", &["--json"], true),
        // The lines of a trace would end up in the midst of it.
        ("xterm", &["-v"], true),
        ("xterm", &[], false),
    ];
    let mut fetches = Vec::new();
    for (turn, (term, more, at_terminal)) in variants.into_iter().enumerate() {
        let mut words = words.clone();
        if turn > 0 {
            let (relay, by) = actor::relay(host, u16::try_from(port).unwrap(), Some(STALLED), None);
            relays.push(relay);
            words[2] = format!("{}:{by}", host.ip);
        }
        let here = tempfile::tempdir().unwrap();
        let words = [&borrowed(&words)[..], more].concat();
        let (ours, theirs) = terminal_of(80);
        let fetching = if at_terminal {
            start_at(&theirs, term, host, here.path(), &words)
        } else {
            let mut command: Command = host.command(deaddrop());
            command.args(&words).current_dir(here.path()).env("DEADDROP_ROOM", ROOM).env("TERM", term);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        fetches.push((words.join(" "), term, ours, theirs, here, fetching));
    }
    // Each receiver has sent `progress` once, 3 s after it began, so that each would have painted its bar long since.
    let mut stored = 0;
    for _ in 0..variants.len() {
        let progress = sending.event("progress");
        assert_eq!((&progress["by"], &progress["size"]), (&"127.0.0.1".into(), &SIZE.into()), "{progress}");
        assert!(progress["stored"].as_u64().unwrap() <= STALLED && progress.get("files_done").is_none());
        stored += progress["stored"].as_u64().unwrap();
    }
    assert!(stored > 0);
    relays.iter_mut().for_each(actor::go_on);
    for (words, term, mut ours, theirs, _here, mut fetching) in fetches {
        let mut shown = Vec::new();
        let piped = fetching.stderr.take();
        assert_eq!(fetching.wait().unwrap().code(), Some(0), "{words}");
        match piped {
            Some(mut pipe) => {
                pipe.read_to_end(&mut shown).unwrap();
            }
            None => {
                (&theirs).write_all(b"the end").unwrap();
                shown = wait_for(&mut ours, "the end").into_bytes();
            }
        }
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains(['\x1b', '%']) && !shown.contains(" MB"), "{words} with {term}: {shown:?}");
    }
}

#[test]
fn a_sender_shows_a_line_for_each_receiver() {
    for (columns, bar) in [(80, "127.0.0.1 ["), (40, "127.0.0.1 ")] {
        let lan = Lan::alone();
        let host = &lan.hosts[0];
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(folder.path(), "a.bin", &noise(1, SIZE));
        let (mut ours, theirs) = terminal_of(columns);
        let words = ["send-file", "a.bin", "--fetches", "2", "--tcp-port", "48600"];
        let mut sending = start_at(&theirs, "xterm", host, folder.path(), &words);
        let mut shown = wait_for(&mut ours, "--token ");
        let token = wait_for(&mut ours, "\r\n");
        shown += &token;
        let stalled = [(); 2].map(|()| stalled_fetch(host, here.path(), 48_600, token.trim(), STALLED));
        shown += &wait_for(&mut ours, &format!("\x1b[J{bar}"));
        shown += &wait_for(&mut ours, &format!("\r\n{bar}"));
        let fetched = [1, 2].map(|n| format!("Fetched by 127.0.0.1, 6291456 bytes ({n} of 2 fetched)"));
        for ((mut relay, mut fetching), fetched) in stalled.into_iter().zip(&fetched) {
            actor::go_on(&mut relay);
            assert_eq!(fetching.exit_code(), 0);
            shown += &wait_for(&mut ours, &format!("{fetched}\r\n"));
        }
        assert_eq!(sending.wait().unwrap().code(), Some(0));
        let painted = painted(&shown);
        assert!(painted.iter().all(|line| line.len() < usize::from(columns)), "{painted:?}");
        let screen = screen(&shown, columns.into());
        let stays = rows(&fetched.each_ref().map(String::as_str), columns.into());
        assert_eq!(screen[screen.len() - stays.len()..], stays, "{shown:?}");
        assert!(!screen.iter().any(|row| row.contains(" MB") || row.contains('%')), "{shown:?}");
    }
}

#[test]
fn a_stopped_terminal_stops_no_transfer() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "a.bin", &noise(1, SIZE));
    let (mut ours, theirs) = terminal_of(80);
    let words = ["send-file", "a.bin", "--fetches", "2", "--tcp-port", "48600"];
    let mut sending = start_at(&theirs, "xterm", host, folder.path(), &words);
    wait_for(&mut ours, "--token ");
    let token = wait_for(&mut ours, "\r\n");
    let (mut first, mut one) = stalled_fetch(host, here.path(), 48_600, token.trim(), STALLED);
    wait_for(&mut ours, "127.0.0.1 [");
    // As Ctrl-S does. The line is painted again within the time in which another fetch reports progress for the first
    // time.
    tcflow(&theirs, Action::OOff).unwrap();
    let (mut second, mut other) = stalled_fetch(host, here.path(), 48_600, token.trim(), STALLED);
    other.event("progress");
    actor::go_on(&mut second);
    other.event("received");
    tcflow(&theirs, Action::OOn).unwrap();
    actor::go_on(&mut first);
    assert_eq!((one.exit_code(), other.exit_code()), (0, 0));
    assert_eq!(sending.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stopped_terminal_keeps_no_sender_waiting() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut sending, mut relay, words) = held_back(host, folder.path(), 1);
    let (mut ours, theirs) = terminal_of(80);
    let mut fetching = start_at(&theirs, "xterm", host, here.path(), &borrowed(&words));
    wait_for(&mut ours, "] ");
    tcflow(&theirs, Action::OOff).unwrap();
    actor::go_on(&mut relay);
    assert_eq!(sending.exit_code(), 0, "it is confirmed: {:?}", sending.events);
    tcflow(&theirs, Action::OOn).unwrap();
    wait_for(&mut ours, "Saved ");
    assert_eq!(fetching.wait().unwrap().code(), Some(0));
}

#[test]
fn a_script_hears_how_far_a_fetch_has_come() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", &noise(1, SIZE));
    let (_sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, STALLED);
    let progress = fetching.event("progress");
    assert_eq!((&progress["token"], &progress["size"]), (&token.as_str().into(), &SIZE.into()), "{progress}");
    assert!((1..=STALLED).contains(&progress["stored"].as_u64().unwrap()), "{progress}");
    assert!(progress.get("by").is_none() && progress.get("files_done").is_none(), "{progress}");
    actor::go_on(&mut relay);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(fetching.last()["event"], "received");
}

#[test]
fn a_script_hears_how_many_files_are_there() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path().join("photos");
    std::fs::create_dir(&root).unwrap();
    for (name, size) in [("a", 7), ("b", 0), ("c", SIZE)] {
        write(&root, name, &noise(1, size));
    }
    let mut sending = spawn(host, folder.path(), ROOM, &["send-file", "--json", "photos"], b"");
    let ready = sending.event("ready");
    let (token, port) = (ready["token"].as_str().unwrap(), ready["port"].as_u64().unwrap());
    let port = u16::try_from(port).unwrap();
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, token, STALLED);
    assert_eq!(fetching.event("progress")["files_done"], 2);
    actor::go_on(&mut relay);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(fetching.last()["files"], 3);
}

#[test]
fn what_ends_at_once_has_no_progress() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", b"small");
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
    let mut fetching = fetch(host, here.path(), host, &token, &[]);
    assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0));
    for process in [&fetching, &sending] {
        assert!(process.events.iter().all(|event| event["event"] != "progress"), "{:?}", process.events);
    }
}
