//! Standard input as a file: what arrives, what of it touches a disk, and how the reading of it ends.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use deaddrop::blocking::Sender;
use deaddrop::{Error, SourceError};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::signals::{SIGNALS, ends};
use crate::support::neighbour::{self, Role, say};
use crate::support::terminal::{terminal, wait_for as wait_for_text};
use crate::support::{
    Host, Lan, Process, ROOM, deaddrop, fetch, names, noise, spawn, stalled_fetch, wait_for, write,
};

const MIB: usize = 1 << 20;

/// `send-file -` with this folder for its spool, and its standard input open.
fn sender(host: &Host, spool: &Path, more: &[&str]) -> Process {
    let mut command = host.command(deaddrop());
    command.args(["send-file", "-", "--json"]).args(more).env("DEADDROP_ROOM", ROOM).env("TMPDIR", spool);
    Process::from_command(command, "send-file -".into())
}

/// The same with this content, once it is offered; its token and port.
fn offered(host: &Host, spool: &Path, content: &[u8], more: &[&str]) -> (Process, String, u16) {
    let mut sending = sender(host, spool, more);
    sending.say(content);
    sending.close_input();
    let ready = sending.event("ready");
    assert_eq!((&ready["kind"], &ready["size"]), (&"file".into(), &content.len().into()));
    let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
    (sending, ready["token"].as_str().unwrap().to_owned(), port)
}

/// The open files of a process that have no name any more.
pub(crate) fn nameless(id: u32) -> Vec<PathBuf> {
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap().map(|entry| entry.unwrap().path());
    open.filter(|path| fs::metadata(path).is_ok_and(|it| it.is_file() && it.nlink() == 0)).collect()
}

#[test]
fn an_empty_name_of_the_folder_for_temporary_files_is_none() {
    let lan = Lan::alone();
    let (_sending, _, _) = offered(&lan.hosts[0], Path::new(""), &noise(1, MIB + 1), &[]);
}

#[test]
fn the_passphrase_and_the_drop_do_not_both_come_from_standard_input() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let file = write(folder.path(), "room.txt", ROOM.as_bytes());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let names = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/../dev/stdin", file.to_str().unwrap()];
    for verb in [&["send-file", "-"][..], &["send-msg"]] {
        for name in names {
            let mut command = host.command(deaddrop());
            command.args(verb).args(["--room-file", name]).env_remove("DEADDROP_ROOM");
            let output = command.stdin(File::open(&file).unwrap()).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{verb:?} {name}: {errors}");
            assert!(errors.contains("would both come from standard input"), "{verb:?} {name}: {errors}");
        }
    }
}

#[test]
fn every_size_arrives_equal_and_leaves_nothing() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let spool = tempfile::tempdir().unwrap();
    for size in [0, 1, MIB, MIB + 1, 20 * MIB] {
        let here = tempfile::tempdir().unwrap();
        let content = noise(size as u64 + 1, size);
        let (mut sending, token, _) = offered(host, spool.path(), &content, &[]);
        assert_eq!(nameless(sending.id()).len(), usize::from(size > MIB), "{size}");
        let mut fetching = fetch(host, here.path(), host, &token, &[]);
        assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
        assert_eq!(names(here.path()), ["stdin"]);
        assert!(fs::read(here.path().join("stdin")).unwrap() == content, "{size} bytes arrived differently");
        assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
        assert_eq!(names(spool.path()), [""; 0]);
    }
}

#[test]
fn it_has_the_name_that_is_given() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (spool, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_sending, token, _) = offered(host, spool.path(), b"one", &["--name", "a.sql"]);
    assert_eq!(fetch(host, here.path(), host, &token, &[]).event("received")["name"], "a.sql");
    // A name that no drop can have is refused before standard input is read, which nobody closes here.
    let mut sending = sender(host, spool.path(), &["--name", "a/b"]);
    assert_eq!(sending.exit_code(), 2);
    // What is behind ./ is a file.
    write(here.path(), "-", b"a file");
    let mut sending = spawn(host, here.path(), ROOM, &["send-file", "--json", "./-"], b"standard input");
    assert_eq!(sending.event("ready")["name"], "-");
}

#[test]
fn nothing_of_it_is_readable_on_a_disk() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (spool, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let marker = b"cobalt-heron 5519 in the clear! ";
    let content = marker.repeat(5 * MIB / marker.len());
    let (mut sending, token, _) = offered(host, spool.path(), &content, &[]);
    assert_eq!(names(spool.path()), [""; 0]);
    let files = nameless(sending.id());
    let [file] = &files[..] else { panic!("{files:?}") };
    let bytes = fs::read(file).unwrap();
    assert!(bytes.len() > content.len(), "all of it is there, and the tags");
    for part in marker.chunks(8) {
        assert!(memchr::memmem::find(&bytes, part).is_none(), "{}", String::from_utf8_lossy(part));
    }
    // It is closed with the drop, not with the process.
    assert_eq!(fetch(host, here.path(), host, &token, &[]).exit_code(), 0);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
}

#[test]
fn a_spool_that_is_altered_withdraws_the_drop() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (spool, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut sending, token, _) = offered(host, spool.path(), &noise(3, 5 * MIB), &[]);
    let file = nameless(sending.id()).pop().expect("a spool");
    // By the same user, which nothing prevents.
    let file = File::options().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"other", 4 << 20).unwrap();
    let mut fetching = fetch(host, here.path(), host, &token, &[]);
    assert_eq!(fetching.exit_code(), 1, "{:?}", fetching.events);
    assert_eq!((&fetching.last()["code"], names(here.path()).len()), (&"changed".into(), 0));
    assert_eq!(sending.exit_code(), 1, "{:?}", sending.events);
    assert!(sending.last()["message"].as_str().unwrap().contains("TMPDIR"), "{:?}", sending.events);
}

#[test]
fn a_fetch_that_is_interrupted_goes_on() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (spool, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(4, 20 * MIB);
    let (mut sending, token, port) = offered(host, spool.path(), &content, &[]);
    let (relay, mut fetching) = stalled_fetch(host, here.path(), port, &token, 12 << 20);
    let part = || names(here.path()).into_iter().find(|name| !name.ends_with(".record")).expect("a part");
    // Not its length: what comes later may be written first.
    wait_for(|| fs::read(here.path().join(part())).unwrap().starts_with(&content[..9 << 20]));
    fetching.signal(Signal::INT);
    assert_eq!(fetching.exit_code(), 130, "{:?}", fetching.events);
    assert!(fetching.events.iter().any(|event| event["event"] == "kept"), "{:?}", fetching.events);
    drop(relay);
    let mut next = fetch(host, here.path(), host, &token, &[]);
    assert!(next.event("resumed")["offset"].as_u64().unwrap() >= 8 << 20);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
    assert!(fs::read(here.path().join("stdin")).unwrap() == content, "other bytes arrived");
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
}

/// `send-file -` from this file with a spool of 8 MiB, which it prints the names in when it ends.
fn into_small_spool(host: &Host, folder: &Path, input: &Path) -> Process {
    let script = "mount -t tmpfs -o size=8m tmpfs \"$TMPDIR\" || exit 99; \"$@\" < \"$INPUT\"; code=$?; ls -A \"$TMPDIR\"; \
                  exit $code";
    let mut command = host.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", deaddrop(), "send-file", "--json", "-"]);
    command.env("DEADDROP_ROOM", ROOM).env("TMPDIR", folder).env("INPUT", input);
    Process::from_command(command, "send-file - with a small spool".into())
}

#[test]
fn more_than_the_disk_has_room_for_ends_with_an_error_before_it_is_full() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (spool, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let large = write(folder.path(), "large.bin", &noise(2, 20 * MIB));
    for input in [&large, Path::new("/dev/zero")] {
        let mut sending = into_small_spool(host, spool.path(), input);
        assert_eq!(sending.exit_code(), 1, "{:?}", sending.events);
        assert_eq!(sending.last()["code"], "no-space", "and no name is left: {:?}", sending.events);
        assert!(!sending.events.iter().any(|event| event["event"] == "ready"));
        let message = sending.last()["message"].as_str().unwrap();
        let spooled = message.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
        // Some of what is free was used, and a tenth of the disk was not.
        assert!((6 * MIB..8 * MIB * 9 / 10).contains(&spooled), "{message}");
        assert!(!message.contains(". ") && message.contains("TMPDIR"), "{message}");
    }
}

#[test]
fn a_limit_of_the_size_of_files_is_said() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let spool = tempfile::tempdir().unwrap();
    let mut command = host.command("prlimit");
    command.args(["--fsize=2000000", deaddrop(), "send-file", "--json", "-"]);
    command.env("DEADDROP_ROOM", ROOM).env("TMPDIR", spool.path());
    let mut sending = Process::from_command(command, "send-file - with a limit".into());
    sending.say(&noise(2, 4 * MIB));
    sending.close_input();
    assert_eq!(sending.exit_code(), 1, "{:?}", sending.events);
    let message = sending.last()["message"].as_str().unwrap();
    assert!(message.contains("file too large") && message.contains("ulimit -f"), "{message}");
}

/// A program that has no handler for the signal of that limit, with the library.
pub(crate) const ROLES: [Role; 1] = [("spools", |_| {
    let stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    say("reading");
    let error = Sender::file_from(stdin, "a.bin").unwrap_err();
    let Error::Source(SourceError::NotSpooled { error, .. }) = error else { panic!("{error}") };
    say(format!("{:?}", error.kind()));
})];

#[test]
fn a_limit_of_the_size_of_files_does_not_kill_a_program_that_spools() {
    let lan = Lan::alone();
    let mut spooling = neighbour::start(&lan.hosts[0], "spools", &[]);
    assert_eq!(spooling.event("word")["word"], "reading");
    let id = i32::try_from(spooling.id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: Some(2_000_000), maximum: Some(2_000_000) };
    prlimit(id, Resource::Fsize, limit).unwrap();
    spooling.say(&noise(2, 4 * MIB));
    spooling.close_input();
    assert_eq!(spooling.event("word")["word"], "FileTooLarge");
    assert_eq!(spooling.exit_code(), 0);
}

#[test]
fn a_signal_ends_the_reading_and_leaves_nothing() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let spool = tempfile::tempdir().unwrap();
    for how in SIGNALS {
        for size in [100, 3 * MIB] {
            let mut sending = sender(host, spool.path(), &[]);
            sending.say(&noise(1, size));
            // It reads, and nobody closes its standard input.
            let id = sending.id();
            wait_for(|| if size > MIB { !nameless(id).is_empty() } else { has_read_all(id) });
            ends(&mut sending, how);
            assert_eq!(names(spool.path()), [""; 0]);
        }
    }
}

/// Whether the process has read all that its standard input, a pipe, has held so far.
fn has_read_all(id: u32) -> bool {
    let input = File::open(format!("/proc/{id}/fd/0")).unwrap();
    rustix::io::ioctl_fionread(&input).unwrap() == 0
}

#[test]
fn the_content_is_asked_for_at_a_terminal() {
    let lan = Lan::alone();
    let (mut ours, theirs) = terminal();
    let copy = || Stdio::from(theirs.try_clone().unwrap());
    let mut command = lan.hosts[0].command(deaddrop());
    command.args(["send-file", "-"]).env("DEADDROP_ROOM", ROOM);
    let mut sending = command.stdin(copy()).stderr(copy()).stdout(Stdio::null()).spawn().unwrap();
    wait_for_text(&mut ours, "Type the content of the file, and end it with Ctrl-D");
    ours.write_all(b"hello\n\x04").unwrap();
    wait_for_text(&mut ours, "Offering file \"stdin\", 6 bytes");
    sending.kill().unwrap();
    sending.wait().unwrap();
}
