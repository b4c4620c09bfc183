//! Where a received drop is saved, and under which name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::{Host, Lan, Process, ROOM, fetch, names, send_file, send_message, spawn, write};

/// Sends a file under a name and gives the sender and the token.
fn offered(host: &Host, folder: &Path, name: &str) -> (Process, String) {
    let path = write(folder, "source", b"content");
    let (sending, token, _) = send_file(host, folder, &path, &["--name", name, "--fetches", "20"]);
    (sending, token)
}

/// Fetches and gives the exit code and the path that the event names.
fn saved(host: &Host, here: &Path, token: &str, more: &[&str]) -> (i32, Option<String>) {
    let mut fetching = fetch(host, here, host, token, more);
    let code = fetching.exit_code();
    let received = fetching.events.iter().find(|event| event["event"] == "received");
    (code, received.map(|event| event["path"].as_str().unwrap().to_owned()))
}

#[test]
fn hostile_names_arrive_harmless() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for (name, safe) in [
        (".bashrc", "_bashrc"),
        ("a\x1b[31m", "a_[31m"),
        ("CON", "_CON"),
        ("-rf", "_rf"),
        ("..", "drop"),
        ("..\\..\\boot.ini", "_._.._boot.ini"),
        ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
        ("報告 (1).pdf", "報告 (1).pdf"),
    ] {
        let outer = tempfile::tempdir().unwrap();
        let here = outer.path().join("here");
        fs::create_dir(&here).unwrap();
        let (_sending, token) = offered(host, folder.path(), name);
        let mut fetching = fetch(host, &here, host, &token, &[]);
        assert_eq!(fetching.event("offer")["name"], name, "as its sender wrote it");
        assert_eq!(fetching.event("received")["path"], safe);
        assert_eq!(fetching.exit_code(), 0);
        assert_eq!(names(&here), [safe]);
        assert_eq!(names(outer.path()), ["here"], "nothing outside the folder");
        let mode = fs::metadata(here.join(safe)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it is a secret");
    }
}

#[test]
fn names_that_no_drop_has_are_refused_by_the_sender() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "source", b"content");
    for name in ["../x", "/etc/passwd", "a/b", "", &"x".repeat(256)] {
        let arguments = ["send-file", "--json", "source", "--name", name];
        let mut sending = spawn(host, folder.path(), ROOM, &arguments, b"");
        assert_eq!(sending.exit_code(), 2, "{name}");
        assert_eq!(sending.last()["code"], "usage");
    }
}

#[test]
fn what_exists_is_never_overwritten() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_sending, token) = offered(host, folder.path(), "photo.jpg");
    write(here.path(), "photo.jpg", b"mine");
    for n in 1..=2 {
        assert_eq!(saved(host, here.path(), &token, &[]), (0, Some(format!("photo ({n}).jpg"))));
    }
    assert_eq!(fs::read(here.path().join("photo.jpg")).unwrap(), b"mine");
    assert_eq!(names(here.path()), ["photo (1).jpg", "photo (2).jpg", "photo.jpg"]);
}

#[test]
fn out_is_a_folder_a_new_file_or_standard_output() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let here = here.path();
    let (_sending, token) = offered(host, folder.path(), "photo.jpg");
    fs::create_dir(here.join("sub")).unwrap();
    fs::create_dir(here.join("own")).unwrap();
    let at = |out: &str| saved(host, here, &token, &["--out", out]);
    assert_eq!(at("sub"), (0, Some("sub/photo.jpg".into())));
    assert_eq!(at("mine.jpg"), (0, Some("mine.jpg".into())));
    // It exists now.
    assert_eq!(at("mine.jpg"), (0, Some("mine (1).jpg".into())));
    // The user's own link to a folder is that folder; a link to a file, or to nothing, is not followed.
    symlink("own", here.join("link")).unwrap();
    assert_eq!(at("link"), (0, Some("link/photo.jpg".into())));
    assert_eq!(names(&here.join("own")), ["photo.jpg"]);
    write(here, "target", b"untouched");
    symlink("target", here.join("file-link")).unwrap();
    symlink("missing", here.join("dangling")).unwrap();
    assert_eq!(at("file-link"), (0, Some("file-link (1)".into())));
    assert_eq!(at("dangling"), (0, Some("dangling (1)".into())));
    assert_eq!(fs::read(here.join("target")).unwrap(), b"untouched");
    assert!(!here.join("missing").exists());
    for (out, code) in [("no/such/folder", 2), ("nowhere/", 2), ("target/under", 2)] {
        assert_eq!(at(out).0, code, "{out}");
    }
    let arguments = ["fetch", "--from", &host.ip, "--token", &token, "--out", "-"];
    let mut command = host.command(crate::support::deaddrop());
    command.args(arguments).current_dir(here).env("DEADDROP_ROOM", ROOM);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"content"[..]));
}

#[test]
fn an_output_that_is_no_regular_file_is_refused_before_anything_is_claimed() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let here = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(host, here.path(), "kept", &[]);
    for out in ["/dev/null", "/dev/stdout", "/dev/fd/1"] {
        let mut fetching = fetch(host, here.path(), host, &token, &["--out", out]);
        assert_eq!(fetching.exit_code(), 2, "{out}: {:?}", fetching.events);
        let message = fetching.last()["message"].as_str().unwrap();
        assert!(message.contains(out) && message.contains("--out -"), "{message}");
    }
    assert_eq!(fetch(host, here.path(), host, &token, &[]).exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    let claims = sending.events.iter().filter(|event| event["event"] == "claimed").count();
    assert_eq!(claims, 1, "{:?}", sending.events);
}

#[test]
fn a_link_planted_under_the_drops_name_is_not_followed() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, outer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let here = outer.path().join("here");
    fs::create_dir(&here).unwrap();
    write(outer.path(), "precious", b"mine");
    symlink("../precious", here.join("photo.jpg")).unwrap();
    let (_sending, token) = offered(host, folder.path(), "photo.jpg");
    assert_eq!(saved(host, &here, &token, &[]), (0, Some("photo (1).jpg".into())));
    assert_eq!(fs::read(outer.path().join("precious")).unwrap(), b"mine");
}

#[test]
fn a_message_is_printed_byte_for_byte_or_saved() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let here = tempfile::tempdir().unwrap();
    let message = "two\nlines \x1b[31m and no end";
    let (_sending, token, _) = send_message(host, here.path(), message, &["--fetches", "3"]);
    let run = |more: &[&str]| {
        let mut command = host.command(crate::support::deaddrop());
        command.args(["fetch", "--from", &host.ip, "--token", &token]).args(more);
        command.current_dir(here.path()).env("DEADDROP_ROOM", ROOM).output().unwrap()
    };
    for more in [&[][..], &["--out", "-", "--quiet"]] {
        let output = run(more);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), message.as_bytes()));
    }
    let output = run(&["--out", "note.txt"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b""[..]));
    assert_eq!(fs::read(here.path().join("note.txt")).unwrap(), message.as_bytes());
    assert_eq!(names(here.path()), ["note.txt"]);
}
