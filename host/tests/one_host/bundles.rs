//! Folders and several files as one drop, between two processes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{
    Host, Lan, Process, ROOM, actor, deaddrop, fetch, names, noise, send_file, spawn, stalled_fetch, write,
};
use actor::go_on;
use rustix::process::Signal;

/// Sends several paths and gives the sender, the token and the `ready` event.
fn send(host: &Host, folder: &Path, arguments: &[&str]) -> (Process, String, serde_json::Value) {
    let mut sending = spawn(host, folder, ROOM, &[&["send-file", "--json"], arguments].concat(), b"");
    let ready = sending.event("ready");
    let token = ready["token"].as_str().unwrap().to_owned();
    (sending, token, ready)
}

/// A folder with something of each kind.
fn photos(at: &Path) {
    let root = at.join("photos");
    fs::create_dir_all(root.join("2026/empty")).unwrap();
    write(&root, "a.jpg", &noise(1, 300_000));
    write(&root, "run.sh", b"#!/bin/sh");
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    write(&root.join("2026"), "b.jpg", b"picture");
    symlink("../a.jpg", root.join("2026/link")).unwrap();
}

fn is_photos(root: &Path) {
    assert_eq!(names(root), ["2026", "a.jpg", "run.sh"]);
    assert_eq!(names(&root.join("2026")), ["b.jpg", "empty", "link"]);
    assert!(fs::read(root.join("a.jpg")).unwrap() == noise(1, 300_000));
    assert_eq!(fs::read_link(root.join("2026/link")).unwrap(), Path::new("../a.jpg"));
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("."), mode("a.jpg"), mode("run.sh"), mode("2026/empty")), (0o700, 0o600, 0o700, 0o700));
}

#[test]
fn a_folder_is_one_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    let (mut sending, token, ready) = send(host, folder.path(), &["photos", "--fetches", "3"]);
    assert_eq!(
        (&ready["kind"], &ready["name"], &ready["files"]),
        (&"directory".into(), &"photos".into(), &3.into())
    );
    assert!(ready["size"].as_u64().unwrap() > 300_000);
    for (out, expected) in [(".", "photos"), (".", "photos (1)"), ("mine", "mine")] {
        let mut fetching = fetch(host, here.path(), host, &token, &["--out", out]);
        let received = fetching.event("received");
        assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
        assert_eq!((&received["path"], &received["files"]), (&expected.into(), &3.into()));
        is_photos(&here.path().join(expected));
    }
    assert_eq!(names(here.path()), ["mine", "photos", "photos (1)"]);
    assert_eq!(sending.exit_code(), 0);
    let fetched = sending.events.iter().filter(|event| event["event"] == "fetched");
    let counts: Vec<_> = fetched.map(|event| (event["fetched"].as_u64(), event["of"].as_u64())).collect();
    assert_eq!(counts, [1, 2, 3].map(|n| (Some(n), Some(3))));
}

#[test]
fn several_paths_are_one_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    write(folder.path(), "notes.txt", b"notes");
    write(here.path(), "notes.txt", b"mine");
    let (_sending, token, ready) = send(host, folder.path(), &["photos/", "notes.txt", "--fetches", "2"]);
    assert_eq!(ready["name"], "notes.txt and 1 more");
    let mut fetching = fetch(host, here.path(), host, &token, &[]);
    let received = fetching.event("received");
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(received["paths"], serde_json::json!(["notes (1).txt", "photos"]));
    assert_eq!(fs::read(here.path().join("notes.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(here.path().join("notes (1).txt")).unwrap(), b"notes");
    is_photos(&here.path().join("photos"));

    let (_sending, token, ready) = send(host, folder.path(), &["photos", "notes.txt", "--name", "all"]);
    assert_eq!(ready["name"], "all");
    assert_eq!(fetch(host, here.path(), host, &token, &[]).exit_code(), 0);
    is_photos(&here.path().join("all/photos"));
}

#[test]
fn people_read_how_many_files_a_folder_has() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    let (_sending, token, _) = send(host, folder.path(), &["photos"]);
    let mut command = host.command(deaddrop());
    command.args(["fetch", "--from", &host.ip, "--token", &token]).current_dir(here.path());
    let output = command.env("DEADDROP_ROOM", ROOM).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Taking folder \"photos\", "), "{text}");
    assert!(text.contains("Saved photos, 3 files, "), "{text}");
}

#[test]
fn a_folder_on_standard_output_is_a_tar_archive() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    let (_sending, token, _) = send(host, folder.path(), &["photos"]);
    let script = format!("{} fetch --from {} --token {token} --out - | tar xp", deaddrop(), host.ip);
    let mut command = host.command("sh");
    command.args(["-c", &script]).current_dir(here.path()).env("DEADDROP_ROOM", ROOM);
    assert!(command.status().unwrap().success());
    is_photos(&here.path().join("photos"));
}

#[test]
fn a_folder_that_cannot_be_put_out_is_kept_as_an_archive() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    // In memory, and in a file without a name.
    for size in [100_000, 3 << 20] {
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("secrets")).unwrap();
        write(&folder.path().join("secrets"), "key", &noise(2, size));
        let (mut sending, token, _) = send(host, folder.path(), &["secrets"]);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = host.command(deaddrop());
        command.args(["fetch", "--from", &host.ip, "--token", &token, "--out", "-"]);
        let ended = command.env("DEADDROP_ROOM", ROOM).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        // Its sender is done: nobody else could have it.
        assert_eq!(sending.exit_code(), 0);
        let kept = host.state().join("deaddrop");
        let [archive] = &names(&kept)[..] else { panic!("{:?}", names(&kept)) };
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains(archive) && said.contains("tar -xf"), "{said}");
        assert_eq!(fs::metadata(kept.join(archive)).unwrap().permissions().mode() & 0o7777, 0o600);
        let mut unpack = host.command("tar");
        assert!(
            unpack.arg("-xf").arg(kept.join(archive)).current_dir(here.path()).status().unwrap().success()
        );
        assert!(fs::read(here.path().join("secrets/key")).unwrap() == noise(2, size));
        fs::remove_file(kept.join(archive)).unwrap();
    }
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is_offered() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    symlink("/etc/hostname", folder.path().join("photos/out")).unwrap();
    let mut sending = spawn(host, folder.path(), ROOM, &["send-file", "--json", "photos"], b"");
    assert_eq!(sending.exit_code(), 1);
    assert!(!sending.events.iter().any(|event| event["event"] == "ready"), "{:?}", sending.events);
    let message = sending.last()["message"].as_str().unwrap();
    assert!(message.contains("photos/out") && message.contains("--skip-unreadable"), "{message}");
    let (sending, token, _) = send(host, folder.path(), &["photos", "--skip-unreadable"]);
    let warning = sending.events.iter().find(|event| event["code"] == "left-out").unwrap();
    assert!(warning["message"].as_str().unwrap().contains("photos/out"), "{warning}");
    assert_eq!(fetch(host, here.path(), host, &token, &[]).exit_code(), 0);
    is_photos(&here.path().join("photos"));
    for paths in [&["photos", "missing"][..], &["photos", "photos"]] {
        let arguments = [&["send-file", "--json"], paths].concat();
        assert_eq!(spawn(host, folder.path(), ROOM, &arguments, b"").exit_code(), 2, "{paths:?}");
    }
}

#[test]
fn a_folder_that_is_interrupted_half_way_leaves_nothing() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    let (mut sending, token, port) = send_file(host, folder.path(), Path::new("photos"), &[]);
    let (_relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 150_000);
    assert!(names(here.path())[0].starts_with(".photos.deaddrop-"), "{:?}", names(here.path()));
    fetching.signal(Signal::INT);
    assert_eq!(fetching.exit_code(), 130, "{:?}", fetching.events);
    assert_eq!(names(here.path()), [""; 0]);
    assert_eq!(sending.event("lapsed")["why"], "released");
    assert_eq!(fetch(host, here.path(), host, &token, &["--wait", "2"]).exit_code(), 0);
    is_photos(&here.path().join("photos"));
}

#[test]
fn a_folder_that_changes_while_it_is_offered_is_withdrawn_by_name() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(folder.path());
    let (mut sending, token, port) = send_file(host, folder.path(), Path::new("photos"), &[]);
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 40_000);
    write(&folder.path().join("photos"), "run.sh", b"another");
    go_on(&mut relay);
    assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
    assert_eq!(fetching.last()["code"], "changed");
    assert_eq!(names(here.path()), [""; 0]);
    assert_eq!(sending.exit_code(), 1);
    let message = sending.last()["message"].as_str().unwrap();
    assert!(sending.last()["code"] == "changed" && message.contains("photos/run.sh"), "{message}");
}

#[test]
fn a_listener_shows_a_folder() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let mut listening = crate::support::listener(host, folder.path());
    let (_sending, token, _) = send(host, folder.path(), &["photos"]);
    let offer = listening.event_within("offer", Duration::from_secs(20)).unwrap();
    assert_eq!(
        (&offer["token"], &offer["kind"], &offer["name"]),
        (&token.into(), &"directory".into(), &"photos".into())
    );
}

/// A folder with a file of this size, and behind that so many files of a few bytes.
fn with_small_files(at: &Path, size: usize, count: usize) {
    fs::create_dir(at).unwrap();
    fs::write(at.join("a"), noise(3, size)).unwrap();
    for n in 0..count {
        fs::write(at.join(format!("f{n:04}")), b"few").unwrap();
    }
}

/// A command on a host that runs `program` with a file system of its own over `folder`, which has so much space and so
/// many inodes, in the words of tmpfs.
fn on_a_small_disk(host: &Host, folder: &Path, limits: &str, program: &str) -> Command {
    let mut command = host.command("unshare");
    let script = r#"mount -t tmpfs -o "$1" none "$0" && cd "$0" && shift && exec "$@""#;
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(folder);
    command.args([limits, program]).env("DEADDROP_ROOM", ROOM);
    command
}

/// Each small file takes a block of the disk and a header in an archive, many times what it has in the drop. The final
/// record, which is asked for when nobody else can have the drop any more, holds hundreds of them.
#[test]
fn small_files_that_the_disk_has_no_room_for_leave_the_drop_to_others() {
    // In all but the first case the final record is what the small files are in.
    let archive = &["--out", "-"][..];
    let cases = [
        (10, "size=256k", &[][..]),
        (100 << 10, "size=512k", &[]),
        (100 << 10, "size=10m,nr_inodes=200", &[]),
        (1200 << 10, "size=1400k", archive),
    ];
    for (size, limits, more) in cases {
        let lan = Lan::alone();
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        with_small_files(&from.path().join("d"), size, 400);
        let (mut sending, token, _) = send(&lan.hosts[0], from.path(), &["d"]);
        let arguments = ["fetch", "--from", "127.0.0.1", "--token", &*token];
        let small = to.path().join("small");
        fs::create_dir(&small).unwrap();
        let mut command = on_a_small_disk(&lan.hosts[0], &small, limits, deaddrop());
        let output = command.args(arguments).args(more).env("TMPDIR", &small).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{size}, {limits}: {errors}");
        assert!(errors.contains("no room") || errors.contains("No space left"), "{size}, {limits}: {errors}");
        assert!(output.stdout.is_empty());
        let mut next = fetch(&lan.hosts[0], to.path(), &lan.hosts[0], &token, &[]);
        assert_eq!(next.exit_code(), 0, "{size}, {limits}: {:?}", next.events);
        assert_eq!(names(&to.path().join("d")).len(), 401);
        assert_eq!(sending.exit_code(), 0, "{size}, {limits}: {:?}", sending.events);
    }
}

/// An archive that outgrows what a spool has in memory with its last bytes stays in memory: no disk is asked for it when
/// nobody else can have the drop any more.
#[test]
fn an_archive_that_outgrows_the_spool_at_its_end_needs_no_disk() {
    let lan = Lan::alone();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with_small_files(&from.path().join("d"), 900 << 10, 400);
    let (mut sending, token, _) = send(&lan.hosts[0], from.path(), &["d"]);
    let mut command = lan.hosts[0].command(deaddrop());
    command.args(["fetch", "--from", "127.0.0.1", "--token", &*token, "--out", "-"]);
    command.env("DEADDROP_ROOM", ROOM).env("TMPDIR", to.path().join("missing"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 1_200 << 10, "{}", output.stdout.len());
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
}

/// What a small folder takes is known before its final record, and no more is asked for.
#[test]
fn a_small_folder_fits_on_a_small_disk() {
    let lan = Lan::alone();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with_small_files(&from.path().join("d"), 60_000, 3);
    let (mut sending, token, _) = send(&lan.hosts[0], from.path(), &["d"]);
    let mut command = on_a_small_disk(&lan.hosts[0], to.path(), "size=256k", deaddrop());
    let output = command.args(["fetch", "--from", "127.0.0.1", "--token", &*token]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
}
