//! What a sender's memory holds, looked at from outside while it lives.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use deaddrop::blocking::{Ended, Room, Sender, SenderEvent};
use getrandom::rand_core::Rng;
use serde_json::json;
use zeroize::Zeroizing;

use crate::support::neighbour::{self, Role, tell, wait_for_end};
use crate::support::{Host, Lan, Process, ROOM, deaddrop, fetch, random, spawn, write};

/// A message that is new in every run, so that it is not in the program's file either. It has characters that
/// JSON escapes, and digits of its own in every part that [`forms`] makes of it.
fn marker() -> String {
    let [a, b, c, d] = std::array::from_fn(|_| random().next_u64());
    format!("{a:016x}\t\"{b:016x}\" {c:016x}\u{e9}-{d:016x}")
}

/// A passphrase that is nowhere else.
const PASSPHRASE: &str = "umbra-quince zephyr-7741 lodestone";

/// All forms in which a secret may lie about.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        json.trim_matches('"').as_bytes().to_vec(),
        HEXLOWER.encode(secret.as_bytes()).into_bytes(),
        HEXUPPER.encode(secret.as_bytes()).into_bytes(),
        secret.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ];
    // Base64 at each of the three alignments, less what depends on its neighbours.
    for skip in 0..3 {
        let whole = secret.as_bytes().get(skip..).unwrap();
        let whole = &whole[..whole.len() / 3 * 3];
        forms.push(BASE64.encode(whole).into_bytes());
    }
    // Parts of it: a buffer may have been overwritten from its front or its end.
    forms.extend(secret.as_bytes().chunks_exact(12).map(<[u8]>::to_vec));
    forms
}

/// Where in a process's memory any form of the secret lies.
fn found(process: &Process, secret: &str) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.id())).expect("it lives");
    let memory = File::open(format!("/proc/{}/mem", process.id())).expect("its memory may be read");
    let forms = forms(secret);
    let mut found = Vec::new();
    let mut seen = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let what = fields.nth(3).unwrap_or("");
        if !rights.starts_with('r') || what.starts_with("[v") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // What was unmapped meanwhile, or lies past the end of a mapped file, holds nothing.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        seen += bytes.len();
        for (i, form) in forms.iter().enumerate() {
            if memchr::memmem::find(&bytes, form).is_some() {
                found.push(format!("form {i} in {what} {range}"));
            }
        }
    }
    assert!(seen > 1 << 20, "only {seen} bytes could be read");
    found
}

#[test]
fn core_dumps_are_off() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let listening = crate::support::listener(&lan.hosts[0], folder.path());
    let limits = fs::read_to_string(format!("/proc/{}/limits", listening.id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    let [soft, hard, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert!(["0", "1"].contains(&soft) && ["0", "1"].contains(&hard), "{line}");
}

/// The limit of locked memory is raised, or cannot be, because `strace` says so: not every machine lets its root do it.
#[test]
fn memory_is_locked_where_no_limit_can_end_the_program() {
    let lan = Lan::alone();
    for (raised, answer) in [(true, "retval=0"), (false, "error=EPERM")] {
        let mut command = lan.hosts[0].command("strace");
        command.args(["-e", "trace=prlimit64,mlockall", "-e", &format!("inject=prlimit64:{answer}")]);
        let output = command.arg(deaddrop()).arg("--version").output().unwrap();
        let calls = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && calls.contains("RLIMIT_MEMLOCK"), "{calls}");
        assert_eq!(calls.contains("mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT)"), raised, "{calls}");
    }
}

/// Has the marker fetched from this sender, and gives what the scan finds before and after.
fn before_and_after(
    host: &Host,
    folder: &Path,
    sending: &mut Process,
    marker: &str,
) -> (Vec<String>, Vec<String>) {
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    let before = found(sending, marker);
    let mut fetching = fetch(host, folder, host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], marker);
    // The drop is burned by now, and the process still runs.
    sending.event("fetched");
    let after = found(sending, marker);
    (before, after)
}

#[test]
fn a_message_is_wiped_once_it_is_burned() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let marker = marker();
    let mut sending = spawn(host, folder.path(), ROOM, &["send-msg", "--json"], marker.as_bytes());
    let (before, after) = before_and_after(host, folder.path(), &mut sending, &marker);
    assert!(!before.is_empty(), "the scan finds nothing at all");
    assert!(after.is_empty(), "{after:?}");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_file_from_standard_input_is_wiped_too() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let send = |content: &str| {
        let mut sending = spawn(host, folder.path(), ROOM, &["send-file", "-", "--json"], content.as_bytes());
        let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
        (sending, token)
    };
    let marker = marker();
    let (mut sending, token) = send(&marker);
    assert!(!found(&sending, &marker).is_empty(), "the scan finds nothing at all");
    assert_eq!(fetch(host, folder.path(), host, &token, &[]).exit_code(), 0);
    sending.event("fetched");
    let after = found(&sending, &marker);
    assert!(after.is_empty(), "{after:?}");
    // More than 1 MiB is sealed in a file by the time it is offered, and nothing of it is left in memory.
    let (sending, _) = send(&marker.repeat(40_000));
    let left = found(&sending, &marker);
    assert!(left.is_empty(), "{left:?}");
}

/// Senders that this test binary plays with the library: one wipes what it read, one leaves a copy of it.
pub(crate) const ROLES: [Role; 2] =
    [("wipes", |words| send_by_library(words[0], false)), ("leaks", |words| send_by_library(words[0], true))];

/// Sends the message of `length` bytes on standard input, after leaving an unwiped copy on the heap if `leak`.
fn send_by_library(length: &str, leak: bool) {
    let mut message = Zeroizing::new(vec![0; length.parse().unwrap()]);
    // Past std's buffer for standard input, which is never wiped.
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    File::from(stdin).read_exact(&mut message).unwrap();
    if leak {
        std::mem::forget(message.to_vec());
    }
    let room = Room::from_passphrase(ROOM).unwrap();
    let sender = Sender::message(message).unwrap().offer(&room).unwrap();
    tell(&json!({ "event": "ready", "token": sender.token().to_string() }));
    let ended = sender.serve(|event| {
        if let SenderEvent::Fetched { .. } = event {
            tell(&json!({ "event": "fetched" }));
        }
    });
    assert_eq!(ended.unwrap(), Ended::Fetched);
    wait_for_end();
}

/// What the scan finds in the memory of one of these senders, before and after the fetch.
fn before_and_after_by_library(role: &str) -> (Vec<String>, Vec<String>) {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let marker = marker();
    let mut sending = neighbour::start(host, role, &[&marker.len().to_string()]);
    sending.say(marker.as_bytes());
    before_and_after(host, folder.path(), &mut sending, &marker)
}

#[test]
fn a_message_that_the_library_sends_is_wiped_too() {
    let (before, after) = before_and_after_by_library("wipes");
    assert!(!before.is_empty(), "the scan finds nothing at all");
    assert!(after.is_empty(), "{after:?}");
}

/// The negative control: the same sender with one copy that nobody wipes. The scan must find it.
#[test]
fn without_wiping_the_message_would_be_found() {
    let (before, after) = before_and_after_by_library("leaks");
    assert!(!before.is_empty() && !after.is_empty(), "{before:?}, {after:?}");
}

#[test]
fn a_message_that_expires_is_wiped_too() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let marker = marker();
    let arguments = ["send-msg", "--json", "--ttl", "2"];
    let mut sending = spawn(&lan.hosts[0], folder.path(), ROOM, &arguments, marker.as_bytes());
    sending.event("ready");
    assert!(!found(&sending, &marker).is_empty());
    sending.event("expired");
    let after = found(&sending, &marker);
    assert!(after.is_empty(), "{after:?}");
}

#[test]
fn the_passphrase_from_a_file_is_gone_once_the_room_is_known() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "room.txt", format!("{PASSPHRASE}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for verb in ["send-msg", "run"] {
        let mut command = host.command(deaddrop());
        command.args([verb, "--json", "--room-file", "room.txt"]);
        command.current_dir(folder.path()).env_remove("DEADDROP_ROOM");
        let mut process = Process::from_command(command, verb.into());
        process.say(b"a message");
        process.close_input();
        process.event("ready");
        let left = found(&process, PASSPHRASE);
        assert!(left.is_empty(), "{verb}: {left:?}");
    }
}

#[test]
fn the_scan_finds_a_passphrase_that_the_process_cannot_wipe() {
    // The kernel's copy of the environment is the process's own memory, and stays: hence --room-file.
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let mut process = spawn(&lan.hosts[0], folder.path(), PASSPHRASE, &["run", "--json"], b"");
    process.event("ready");
    assert!(!found(&process, PASSPHRASE).is_empty());
}
