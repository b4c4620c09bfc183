//! Where the passphrase comes from.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Host, Lan, Process, ROOM, deaddrop, fetch, send_message, spawn, write};

/// Runs deaddrop with or without the environment variable.
fn start(host: &Host, folder: &std::path::Path, variable: Option<&str>, arguments: &[&str]) -> Process {
    let mut command = host.command(deaddrop());
    command.args(arguments).current_dir(folder).env_remove("DEADDROP_ROOM");
    command.envs(variable.map(|room| ("DEADDROP_ROOM", room)));
    let mut process = Process::from_command(command, arguments.join(" "));
    process.close_input();
    process
}

#[test]
fn every_source_leads_into_the_room() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let room = |name: &str, content: &str, mode| {
        let path = write(folder.path(), name, content.as_bytes());
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    room("room.txt", &format!("{ROOM}\n"), 0o600);
    room("bare.txt", ROOM, 0o400);
    room("other.txt", "another room altogether", 0o600);
    let (_sending, token, _) = send_message(host, folder.path(), "in", &["--fetches", "20"]);
    let ends = |variable: Option<&str>, source: &[&str]| {
        let arguments =
            [&["fetch", "--json", "--from", &host.ip, "--token", &token, "--wait", "1"], source].concat();
        start(host, folder.path(), variable, &arguments).exit_code()
    };
    let file = "--room-file";
    assert_eq!(ends(Some(ROOM), &[]), 0, "the environment");
    assert_eq!(ends(None, &["--room", ROOM]), 0, "the command line");
    assert_eq!(ends(None, &[file, "room.txt"]), 0, "a file with a line end");
    assert_eq!(ends(None, &[file, "bare.txt"]), 0, "a file without one");
    // The first one given wins.
    assert_eq!(ends(Some("another room altogether"), &[file, "room.txt"]), 0);
    assert_eq!(ends(Some("another room altogether"), &["--room", ROOM]), 0);
    assert_eq!(ends(Some("another room altogether"), &["--room", ROOM, file, "other.txt"]), 0);
    assert_eq!(ends(Some(ROOM), &[file, "other.txt"]), 6);
}

#[test]
fn what_is_no_room_is_refused_before_anything_is_said() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for (name, content, mode) in
        [("open.txt", ROOM, 0o644), ("group.txt", ROOM, 0o640), ("empty.txt", "", 0o600)]
    {
        let path = write(folder.path(), name, content.as_bytes());
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let refused = |variable: Option<&str>, source: &[&str]| {
        let mut process = start(host, folder.path(), variable, &[&["run", "--json"], source].concat());
        assert_eq!(process.exit_code(), 2, "{source:?}");
        assert_eq!(process.events.len(), 1, "{:?}", process.events);
        assert_eq!(process.last()["code"], "usage");
        let message = process.last()["message"].as_str().unwrap().to_owned();
        assert!(!message.contains(ROOM), "{message}");
        message
    };
    assert!(refused(None, &["--room-file", "open.txt"]).contains("chmod 600"));
    assert!(refused(None, &["--room-file", "group.txt"]).contains("chmod 600"));
    assert!(refused(None, &["--room-file", "empty.txt"]).contains("empty"));
    assert!(refused(None, &["--room-file", "missing.txt"]).contains("missing.txt"));
    assert!(refused(Some(""), &[]).contains("DEADDROP_ROOM"));
    // Nobody is there to be asked.
    assert!(refused(None, &[]).contains("--room-file"));
}

#[test]
fn the_same_passphrase_typed_on_two_systems_is_the_same_room() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // Composed and decomposed, a space and a no-break space.
    let (one, other) = ("caf\u{e9} am see um zwei", "cafe\u{301} am see\u{a0}um zwei");
    let mut sending = spawn(host, folder.path(), one, &["send-msg", "--json"], b"same");
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    assert_eq!(fetch(host, folder.path(), host, &token, &["--wait", "1"]).exit_code(), 6);
    let arguments = ["fetch", "--json", "--from", &host.ip, "--token", &token];
    let mut fetching = spawn(host, folder.path(), other, &arguments, b"");
    assert_eq!(fetching.event("received")["text"], "same");
}

#[test]
fn a_space_at_the_end_of_a_room_file_is_warned_of() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "room.txt", format!("{ROOM} \n").as_bytes());
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    let arguments = ["run", "--json", "--room-file", "room.txt"];
    let mut listening = start(&lan.hosts[0], folder.path(), None, &arguments);
    assert_eq!(listening.event("warning")["code"], "passphrase-space");
    listening.event("ready");
}

#[test]
fn a_room_file_that_cannot_be_private_comes_through_a_pipe() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "room.txt", ROOM.as_bytes());
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
    let mut refused = start(host, folder.path(), None, &["run", "--json", "--room-file", "room.txt"]);
    assert_eq!(refused.exit_code(), 2);
    let message = refused.last()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("cat room.txt | deaddrop ... --room-file /dev/stdin"), "{message}");
    assert!(message.contains("DEADDROP_ROOM="), "{message}");
    // As behind `cat`, without a shell whose end would leave the program behind.
    let mut command = host.command(deaddrop());
    command.args(["run", "--json", "--room-file", "/dev/stdin"]).env_remove("DEADDROP_ROOM");
    let mut piped = Process::from_command(command, "run with a piped room".into());
    piped.say(ROOM.as_bytes());
    piped.close_input();
    piped.event("ready");
}

#[test]
fn a_weak_passphrase_is_warned_of() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let mut listening = spawn(&lan.hosts[0], folder.path(), "summer12", &["run", "--json"], b"");
    let warning = listening.event("warning");
    assert_eq!(warning["code"], "weak-passphrase");
    listening.event("ready");
}
