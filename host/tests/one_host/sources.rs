//! What goes wrong with a disk on either side, and leaves the other in no doubt.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::actor::{go_on, relay};
use crate::support::{
    Host, Lan, Process, ROOM, deaddrop, fetch, names, noise, send_file, send_message, spawn, stalled_fetch,
    write,
};

#[test]
fn a_file_that_changes_on_its_way_arrives_nowhere() {
    let append: fn(&Path) = |path| {
        use std::io::Write;
        File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let overwrite: fn(&Path) = |path| fs::write(path, noise(6, 20 << 20)).unwrap();
    let truncate: fn(&Path) = |path| File::options().write(true).open(path).unwrap().set_len(5).unwrap();
    for change in [append, overwrite, truncate] {
        let lan = Lan::alone();
        let host = &lan.hosts[0];
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = write(folder.path(), "draft.bin", &noise(5, 20 << 20));
        let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
        let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 10 << 20);
        change(&path);
        go_on(&mut relay);
        assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
        assert_eq!(fetching.last()["code"], "changed");
        assert_eq!(names(here.path()), [""; 0]);
        // A later receiver is told the same, or meets no sender.
        let mut next = fetch(host, here.path(), host, &token, &["--wait", "1"]);
        let code = next.exit_code();
        assert!([1, 4, 7].contains(&code), "{:?}", next.events);
        assert_eq!(sending.exit_code(), 1, "{:?}", sending.events);
        assert_eq!(sending.last()["code"], "changed");
        assert!(sending.last()["message"].as_str().unwrap().contains("draft.bin"));
    }
}

#[test]
fn a_file_that_changes_before_it_is_fetched_arrives_nowhere() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Within one record, so that only the look before the final one can tell.
    let path = write(folder.path(), "draft.txt", b"first");
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
    fs::write(&path, b"other").unwrap();
    let mut fetching = fetch(host, here.path(), host, &token, &[]);
    assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
    assert_eq!(fetching.last()["code"], "changed");
    assert_eq!(names(here.path()), [""; 0]);
    assert_eq!(sending.exit_code(), 1);
    assert_eq!(sending.last()["code"], "changed");
}

#[test]
fn another_file_under_the_same_path_is_not_what_was_offered() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "draft.txt", b"first");
    let (_sending, token, _) = send_file(host, folder.path(), &path, &[]);
    // Renamed over: the offered file lives on without a name, but its change time tells.
    let other = write(folder.path(), "other.txt", b"other");
    fs::rename(other, &path).unwrap();
    let mut fetching = fetch(host, here.path(), host, &token, &[]);
    let code = fetching.exit_code();
    let saved = fs::read(here.path().join("draft.txt")).ok();
    assert!(code == 1 && saved.is_none(), "{code}, {saved:?}");
}

/// A fetch into a folder that is a file system of 1 MiB of its own, and its path as we can reach it. When it
/// ends it prints the names that are left there, on standard error.
fn into_tiny_disk(host: &Host, folder: &Path, from: &str, token: &str) -> (Process, PathBuf) {
    let disk = folder.join("disk");
    fs::create_dir_all(&disk).unwrap();
    let script =
        "mount -t tmpfs -o size=1m tmpfs . && cd \"$PWD\" || exit 99; \"$@\"; code=$?; ls -A >&2; exit $code";
    let mut command = host.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", deaddrop(), "fetch", "--json"]);
    command.args(["--from", from, "--token", token]).current_dir(&disk).env("DEADDROP_ROOM", ROOM);
    let process = Process::from_command(command, "fetch into a tiny disk".into());
    let path = PathBuf::from(format!("/proc/{}/root", process.id())).join(disk.strip_prefix("/").unwrap());
    (process, path)
}

#[test]
fn a_disk_that_is_too_small_takes_nothing_and_leaves_the_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(5, 20 << 20);
    let path = write(folder.path(), "large.bin", &content);
    let (_sending, token, _) = send_file(host, folder.path(), &path, &[]);
    let (mut fetching, _) = into_tiny_disk(host, here.path(), &host.ip, &token);
    let ended = fetching.exit_and_errors();
    assert_eq!(ended, (1, String::new()), "no name is left: {:?}", fetching.events);
    assert_eq!(fetching.last()["code"], "no-space", "{:?}", fetching.events);
    let mut next = fetch(host, here.path(), host, &token, &["--wait", "2"]);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
    assert!(fs::read(here.path().join("large.bin")).unwrap() == content, "other bytes arrived");
}

#[test]
fn a_disk_that_fills_up_meanwhile_keeps_nothing_and_leaves_the_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // It fits, until something else is there too. The second disk has room for all but the final record.
    for filler in [800 << 10, 0x10_0000 - 8 * 65_536 - 4096] {
        let content = noise(5, 8 * 65_536 + 60_000);
        let path = write(folder.path(), "fits.bin", &content);
        let (_sending, token, port) = send_file(host, folder.path(), &path, &[]);
        let (mut relay, by) = relay(host, port, Some(100_000), None);
        let from = format!("{}:{by}", host.ip);
        let (mut fetching, disk) = into_tiny_disk(host, here.path(), &from, &token);
        relay.event("stalled");
        write(&disk, "filler", &noise(1, filler));
        go_on(&mut relay);
        assert_eq!(fetching.exit_and_errors(), (1, "filler\n".into()), "{:?}", fetching.events);
        assert_eq!(fetching.last()["code"], "no-space", "{:?}", fetching.events);
        let mut next = fetch(host, here.path(), host, &token, &["--wait", "2"]);
        assert_eq!(next.exit_code(), 0, "{:?}", next.events);
        assert!(fs::read(here.path().join("fits.bin")).unwrap() == content, "other bytes arrived");
        fs::remove_file(here.path().join("fits.bin")).unwrap();
    }
}

#[test]
fn a_limit_of_the_size_of_files_leaves_no_part_and_gives_the_claim_back() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", &noise(5, 300_000));
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let limit = Rlimit { current: Some(102_400), maximum: Some(102_400) };
    // There from the start, and set while the drop comes, when a write runs into it.
    for at_first in [true, false] {
        let (mut relay, by) = relay(host, port, Some(100_000), None);
        let mut command = host.command("prlimit");
        command.arg(if at_first { "--fsize=102400" } else { "--fsize=300000" }).arg(deaddrop());
        command.args(["fetch", "--json", "--from", &format!("{}:{by}", host.ip), "--token", &token]);
        command.current_dir(here.path()).env("DEADDROP_ROOM", ROOM);
        let mut fetching = Process::from_command(command, "fetch with a limit".into());
        if !at_first {
            relay.event("stalled");
            let id = i32::try_from(fetching.id()).ok().and_then(Pid::from_raw);
            prlimit(id, Resource::Fsize, limit).unwrap();
            go_on(&mut relay);
        }
        assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
        let message = fetching.last()["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains("file too large"), "{message}");
        assert_eq!(names(here.path()), [""; 0]);
        assert_eq!(sending.event("lapsed")["why"], "released");
    }
    let mut next = fetch(host, here.path(), host, &token, &["--wait", "1"]);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
}

#[test]
fn a_part_that_another_user_exchanges_burns_no_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(5, 300_000);
    let path = write(folder.path(), "a.bin", &content);
    let (mut sending, token, port) = send_file(host, folder.path(), &path, &[]);
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 100_000);
    let part = here.path().join(&names(here.path())[0]);
    fs::remove_file(&part).unwrap();
    fs::write(&part, "evil").unwrap();
    go_on(&mut relay);
    assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
    assert!(fetching.last()["message"].as_str().unwrap().contains("replaced"), "{:?}", fetching.events);
    assert_eq!(names(here.path()).len(), 1, "the other's file alone");
    assert_eq!(sending.event("lapsed")["why"], "released");
    let mut next = fetch(host, here.path(), host, &token, &["--wait", "1"]);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
    assert!(fs::read(here.path().join("a.bin")).unwrap() == content, "other bytes arrived");
}

#[test]
fn a_received_file_that_others_can_read_is_warned_of() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", &noise(5, 300_000));
    let (_sending, token, port) = send_file(host, folder.path(), &path, &["--fetches", "2"]);
    let (mut relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 100_000);
    // As it is from the start on a file system without modes, which takes root to mount.
    let part = here.path().join(&names(here.path())[0]);
    fs::set_permissions(part, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    go_on(&mut relay);
    let warning = fetching.event("warning");
    assert_eq!((&warning["code"], fetching.exit_code()), (&"readable-by-others".into(), 0));
    assert!(warning["message"].as_str().unwrap().contains("a.bin"));
    let mut next = fetch(host, here.path(), host, &token, &[]);
    assert_eq!(next.exit_code(), 0);
    assert!(!next.events.iter().any(|event| event["event"] == "warning"), "{:?}", next.events);
}

#[test]
fn an_output_that_takes_nothing_gives_the_claim_back() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", &noise(5, 300_000));
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
    let mut command = host.command(deaddrop());
    command.args(["fetch", "--json", "--from", &host.ip, "--token", &token]);
    command.current_dir(here.path()).env("DEADDROP_ROOM", ROOM);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(command.status().unwrap().code(), Some(1));
    assert_eq!(names(here.path()), [""; 0]);
    sending.event("claimed");
    assert_eq!(sending.event("lapsed")["why"], "released");
    // Far from the fifteen seconds after which a claim lapses by itself.
    let mut next = fetch(host, here.path(), host, &token, &["--wait", "1"]);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for path in ["missing", "/dev/null", "/proc/version", "/sys/class/net/lo/mtu"] {
        let mut sending = spawn(host, folder.path(), ROOM, &["send-file", "--json", path], b"");
        assert!(sending.event_within("ready", Duration::from_secs(20)).is_none());
        assert_eq!(sending.exit_code(), 2, "{path}");
        assert_eq!(sending.last()["code"], "usage");
    }
    for (arguments, input) in [(&["send-msg", "--json"][..], ""), (&["send-msg", "--json", ""], "x")] {
        let mut sending = spawn(host, folder.path(), ROOM, arguments, input.as_bytes());
        assert_eq!(sending.exit_code(), 2, "{arguments:?}");
        assert!(sending.last()["message"].as_str().unwrap().contains("--allow-empty"));
    }
    let (_sending, token, _) = send_message(host, folder.path(), "", &["--allow-empty"]);
    assert_eq!(fetch(host, folder.path(), host, &token, &[]).event("received")["text"], "");
    let long = vec![b'x'; 65_537];
    let mut sending = spawn(host, folder.path(), ROOM, &["send-msg", "--json"], &long);
    assert_eq!(sending.exit_code(), 2);
}
