//! What a fetch leaves when it ends early, and how a later one goes on with it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Host, Lan, Process, ROOM, deaddrop, fetch, names, noise, send_file, send_message, spawn, stalled_fetch,
    wait_for, write,
};

/// A file of 20 MiB that is offered, and a folder for it.
struct Scene {
    lan: Lan,
    folder: tempfile::TempDir,
    here: tempfile::TempDir,
    content: Vec<u8>,
    sending: Process,
    token: String,
    port: u16,
}

fn scene() -> Scene {
    let lan = Lan::alone();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(4, 20 << 20);
    let path = write(folder.path(), "whole.bin", &content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified()).unwrap();
    let (sending, token, port) = send_file(&lan.hosts[0], folder.path(), &path, &[]);
    Scene { lan, folder, here, content, sending, token, port }
}

/// When the file was modified.
fn modified() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_592_000_000)
}

impl Scene {
    fn host(&self) -> &Host {
        &self.lan.hosts[0]
    }

    /// Ends a fetch by this signal once 10 MiB have come, and gives its last events.
    fn ended_by(&self, signal: Signal) -> Process {
        let (relay, mut fetching) =
            stalled_fetch(self.host(), self.here.path(), self.port, &self.token, 10 << 20);
        wait_for(|| is_checked(self.here.path()));
        fetching.signal(signal);
        let _ = fetching.await_exit(Duration::from_secs(20));
        drop(relay);
        fetching
    }

    fn fetch(&self, more: &[&str]) -> Process {
        fetch(self.host(), self.here.path(), self.host(), &self.token, more)
    }

    /// Fetches the rest, and checks that the whole is there and nothing else.
    fn goes_on(&mut self, more: &[&str]) -> Process {
        let mut next = self.fetch(more);
        assert_eq!(next.exit_code(), 0, "{:?}", next.events);
        assert_eq!(names(self.here.path()), ["whole.bin"]);
        let path = self.here.path().join("whole.bin");
        assert!(fs::read(&path).unwrap() == self.content, "other bytes arrived");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o700, "it can be executed as at its sender");
        assert_eq!(metadata.modified().unwrap(), modified());
        assert_eq!(self.sending.exit_code(), 0, "{:?}", self.sending.events);
        next
    }
}

/// The part file in a folder.
fn part(folder: &Path) -> PathBuf {
    let name = names(folder).into_iter().find(|name| name.starts_with('.') && !name.ends_with(".record"));
    folder.join(name.expect("a part"))
}

/// Whether the record in a folder has been written a third time: first when it was made, then with the part file, then
/// by a checkpoint.
pub(crate) fn is_checked(folder: &Path) -> bool {
    let record = names(folder).into_iter().find(|name| name.ends_with(".record"));
    let bytes = fs::read(folder.join(record.expect("a record"))).unwrap();
    let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().unwrap()));
    number(8).max(number(4_096 + 8)) >= Some(3)
}

fn event<'a>(process: &'a Process, name: &str) -> Option<&'a Value> {
    process.events.iter().find(|event| event["event"] == name)
}

#[test]
fn an_interrupted_fetch_goes_on_where_it_was() {
    for (signal, word) in [(Signal::INT, "interrupted"), (Signal::TERM, "terminated")] {
        let mut scene = scene();
        let fetching = scene.ended_by(signal);
        let kept = event(&fetching, "kept").expect("kept");
        let stored = kept["stored"].as_u64().unwrap();
        assert!(stored >= 8 << 20, "{kept}");
        assert_eq!(
            (&kept["reason"], &kept["token"]),
            (&Value::from(word), &Value::from(&*scene.token)),
            "{kept}"
        );
        let message = fetching.last()["message"].as_str().unwrap();
        assert!(message.contains("run the same fetch again to go on"), "{message}");
        assert!(message.contains(&format!("deaddrop fetch --discard --token {}", scene.token)), "{message}");
        let left = names(scene.here.path());
        assert_eq!(left.len(), 2, "{left:?}");
        for name in &left {
            assert!(name.starts_with(".whole.bin.deaddrop-"), "{name}");
            let mode = fs::metadata(scene.here.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let next = scene.goes_on(&[]);
        let resumed = event(&next, "resumed").expect("resumed");
        assert_eq!((resumed["offset"].as_u64(), resumed["size"].as_u64()), (Some(stored), Some(20 << 20)));
    }
}

#[test]
fn a_killed_fetch_goes_on_where_it_was() {
    let mut scene = scene();
    scene.ended_by(Signal::KILL);
    assert_eq!(names(scene.here.path()).len(), 2);
    let next = scene.goes_on(&[]);
    let resumed = event(&next, "resumed").expect("resumed");
    assert!(resumed["offset"].as_u64().unwrap() >= 8 << 20, "by the checkpoint: {resumed}");
}

#[test]
fn a_part_that_is_in_use_or_is_not_what_it_was_is_left_alone() {
    let mut scene = scene();
    scene.ended_by(Signal::KILL);
    let part = part(scene.here.path());
    let whole = fs::read(&part).unwrap();

    fs::write(&part, b"short").unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("file")), "{:?}", next.events);
    assert!(next.last()["message"].as_str().unwrap().contains("--restart"));
    assert_eq!(fs::read(&part).unwrap(), b"short");

    fs::write(&part, &whole).unwrap();
    fs::hard_link(&part, scene.folder.path().join("other name")).unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("file")), "{:?}", next.events);
    fs::remove_file(scene.folder.path().join("other name")).unwrap();

    let elsewhere = scene.folder.path().join("elsewhere");
    fs::rename(&part, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("file")), "{:?}", next.events);
    assert!(fs::read(&elsewhere).unwrap() == whole, "what a link leads to is not touched");

    fs::remove_file(&part).unwrap();
    fs::rename(&elsewhere, &part).unwrap();
    scene.goes_on(&[]);
}

#[test]
fn a_restart_goes_past_what_another_has_put_in_the_place_of_a_part() {
    let mut scene = scene();
    scene.ended_by(Signal::KILL);
    let part = part(scene.here.path());
    let elsewhere = scene.folder.path().join("elsewhere");
    fs::rename(&part, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!(next.exit_code(), 1, "{:?}", next.events);
    let message = next.last()["message"].as_str().unwrap();
    assert!(message.contains("--restart") && message.contains("--discard"), "{message}");
    assert!(!message.contains("kept in"), "{message}");
    let mut next = scene.fetch(&["--restart"]);
    assert_eq!(next.exit_code(), 0, "{:?}", next.events);
    assert!(fs::read(scene.here.path().join("whole.bin")).unwrap() == scene.content, "other bytes arrived");
    assert_eq!(scene.sending.exit_code(), 0, "{:?}", scene.sending.events);
    // The link is not ours, and what it leads to is not touched.
    assert!(part.is_symlink() && fs::read(&elsewhere).unwrap() == before);
    assert_eq!(names(scene.here.path()).len(), 2);
}

#[test]
fn other_bytes_than_the_senders_are_told_on_both_sides_and_never_mixed() {
    let mut scene = scene();
    let fetching = scene.ended_by(Signal::INT);
    let stored = event(&fetching, "kept").expect("kept")["stored"].as_u64().unwrap();
    let part = part(scene.here.path());
    let file = fs::File::options().write(true).open(&part).unwrap();
    file.write_all_at(&[!scene.content[usize::try_from(stored).unwrap() - 1]], stored - 1).unwrap();
    for _ in 0..2 {
        let mut next = scene.fetch(&[]);
        assert_eq!(
            (next.exit_code(), next.last()["code"].as_str()),
            (1, Some("changed")),
            "{:?}",
            next.events
        );
        assert!(next.last()["message"].as_str().unwrap().contains("--restart"));
        assert!(part.exists());
    }
    let lapses = |sending: &mut Process| sending.event("lapsed")["why"].clone();
    assert_eq!(lapses(&mut scene.sending), "wrong-prefix");
    assert_eq!(lapses(&mut scene.sending), "wrong-prefix");
    let next = scene.goes_on(&["--restart"]);
    assert_eq!(event(&next, "resumed"), None);
}

#[test]
fn unattended_a_drop_is_begun_anew_if_what_is_here_is_not_what_its_sender_has() {
    for length in [10 << 20, 5] {
        let mut scene = scene();
        scene.ended_by(Signal::KILL);
        fs::write(part(scene.here.path()), noise(9, length)).unwrap();
        let arguments = ["run", "--json", "--auto-fetch", "all", "--out", "."];
        let mut fetching = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
        fetching.event("received");
        assert_eq!(scene.sending.exit_code(), 0, "{:?}", scene.sending.events);
        assert!(fs::read(scene.here.path().join("whole.bin")).unwrap() == scene.content, "other bytes");
        wait_for(|| names(scene.here.path()) == ["whole.bin"]);
        assert!(!fetching.events.iter().any(|event| event["event"] == "warning"), "{:?}", fetching.events);
    }
}

#[test]
fn unattended_a_drop_that_is_here_whole_and_cannot_get_its_name_is_told_of_and_kept() {
    let (lan, folder) = (Lan::alone(), tempfile::tempdir().unwrap());
    let (host, here) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let content = noise(8, 3_000);
    let path = write(folder.path(), "a.bin", &content);
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
    let mut command = host.command("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=renameat2,renameat,rename,linkat,link"]);
    command.args(["-e", "inject=renameat2,renameat,rename,linkat,link:error=EIO"]);
    command.args([deaddrop(), "fetch", "--from", &host.ip, "--token", &token]);
    let fetched = command.current_dir(here.path()).env("DEADDROP_ROOM", ROOM).status().unwrap();
    assert_eq!((fetched.code(), sending.exit_code()), (Some(1), 0), "it is whole, and its sender forgets it");
    let part = part(here.path());
    let left = names(here.path());
    // With a second name a part is not taken for what the earlier run has left.
    let elsewhere = folder.path().join("elsewhere");
    fs::hard_link(&part, &elsewhere).unwrap();
    let arguments = ["run", "--json", "--auto-fetch", "all", "--out", "."];
    let mut fetching = spawn(host, here.path(), ROOM, &arguments, b"");
    let warning = fetching.event("warning");
    assert_eq!(warning["code"], "unfinished");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains(part.file_name().unwrap().to_str().unwrap()), "{message}");
    assert!(message.contains(&token) && !message.contains("--restart"), "{message}");
    assert_eq!(names(here.path()), left, "nothing was begun anew");
    assert!(fs::read(&part).unwrap() == content);
    // Others are fetched.
    let (mut sending, ..) = send_message(host, folder.path(), "x", &[]);
    fetching.event("received");
    assert_eq!(sending.exit_code(), 0);
    drop(fetching);
    fs::remove_file(elsewhere).unwrap();
    let mut fetching = spawn(host, here.path(), ROOM, &arguments, b"");
    assert_eq!(fetching.event("received")["token"], token);
    assert!(fs::read(here.path().join("a.bin")).unwrap() == content);
}

#[test]
fn unattended_a_part_with_a_second_name_is_begun_anew_and_leaves_nothing() {
    let mut scene = scene();
    scene.ended_by(Signal::KILL);
    let part = part(scene.here.path());
    let elsewhere = scene.folder.path().join("elsewhere");
    fs::hard_link(&part, &elsewhere).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let arguments = ["run", "--json", "--auto-fetch", "all", "--out", "."];
    let mut fetching = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
    fetching.event("received");
    assert_eq!(scene.sending.exit_code(), 0, "{:?}", scene.sending.events);
    wait_for(|| names(scene.here.path()) == ["whole.bin"]);
    assert!(fs::read(scene.here.path().join("whole.bin")).unwrap() == scene.content, "other bytes");
    assert!(fs::read(&elsewhere).unwrap() == before, "what the other name leads to is not touched");
}

#[test]
fn a_record_that_is_damaged_is_told_of_once_and_keeps_no_drop_from_being_fetched() {
    let (lan, here) = (Lan::alone(), tempfile::tempdir().unwrap());
    let host = &lan.hosts[0];
    let part = write(here.path(), ".a.bin.deaddrop-0123456789abcdef", b"what came");
    let record = here.path().join(".a.bin.deaddrop-0123456789abcdef.record");
    let damaged = [&b"ddpart\0\x01"[..], &noise(6, 504)].concat();
    for (arguments, damaged) in [
        (&["fetch", "--json", "--wait", "0"][..], &*damaged),
        (&["run", "--json", "--auto-fetch", "all", "--out", "."], &damaged),
        // Cut, and with other first bytes.
        (&["fetch", "--json", "--wait", "0"], &damaged[..100]),
        (&["run", "--json", "--auto-fetch", "all", "--out", "."], &noise(6, 512)),
    ] {
        fs::write(&record, damaged).unwrap();
        let mut fetching = spawn(host, here.path(), ROOM, arguments, b"");
        let warning = fetching.event("warning");
        assert_eq!(warning["code"], "unfinished");
        let message = warning["message"].as_str().unwrap();
        assert!(message.contains(part.file_name().unwrap().to_str().unwrap()), "{message}");
        assert!(part.exists() && !record.exists());
    }
    let mut again = spawn(host, here.path(), ROOM, &["fetch", "--json", "--wait", "0"], b"");
    assert_eq!(again.exit_code(), 7);
    assert_eq!(event(&again, "warning"), None);
}

#[test]
fn what_is_discarded_is_removed_and_its_claim_given_back() {
    let mut scene = scene();
    scene.ended_by(Signal::INT);
    let from = format!("{}:{}", scene.host().ip, scene.port);
    let arguments = ["fetch", "--json", "--discard", "--from", &from, "--token", &scene.token];
    let mut discarding = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
    assert_eq!(discarding.exit_code(), 0, "{:?}", discarding.events);
    assert_eq!(names(scene.here.path()), [""; 0]);
    assert_eq!(scene.sending.event("lapsed")["why"], "released");
    let mut again = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
    assert_eq!(again.exit_code(), 4, "nothing is there any more");
    let next = scene.goes_on(&["--wait", "1"]);
    assert_eq!(event(&next, "resumed"), None);
}

#[test]
fn a_message_that_cannot_be_printed_is_kept_until_it_is() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let state = host.state().join("deaddrop");
    for again in [true, false] {
        let (mut sending, token, _) = send_message(host, folder.path(), "the secret", &[]);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = host.command(deaddrop());
        command.args(["fetch", "--from", &host.ip, "--token", &token]).env("DEADDROP_ROOM", ROOM);
        let output = command.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let part = part(&state);
        assert!(said.contains(part.to_str().unwrap()), "{said}");
        assert!(!said.contains("lost"), "{said}");
        assert_eq!(fs::read(&part).unwrap(), b"the secret");
        assert_eq!(fs::metadata(&part).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(sending.exit_code(), 0, "its sender need not wait: {:?}", sending.events);
        let more = if again { &[][..] } else { &["--discard"] };
        let arguments = [&["fetch", "--json", "--from", &host.ip, "--token", &token], more].concat();
        let mut next = spawn(host, folder.path(), ROOM, &arguments, b"");
        assert_eq!(next.exit_code(), 0, "{:?}", next.events);
        let received = event(&next, "received").map(|received| received["text"].clone());
        assert_eq!(received, again.then(|| "the secret".into()));
        assert!(event(&next, "warning").is_none(), "its sender knows already: {:?}", next.events);
        assert_eq!(names(&state), [""; 0]);
    }
}

#[test]
fn a_message_whose_receiver_was_killed_before_it_confirmed_is_had_by_the_next_run() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // As long as a message may be: more than a pipe takes that nobody reads.
    let message = "x".repeat(64 * 1024);
    let (mut sending, token, _) = send_message(host, folder.path(), &message, &[]);
    let mut command = host.command(deaddrop());
    command.args(["fetch", "--from", &host.ip, "--token", &token]).env("DEADDROP_ROOM", ROOM);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    rustix::pipe::fcntl_setpipe_size(&out, 4096).unwrap();
    // The message is on its way out, so the final record has come; it waits for us before it confirms.
    out.read_exact(&mut [0; 16]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut next = fetch(host, folder.path(), host, &token, &[]);
    assert_eq!(next.event("received")["text"], message);
    assert_eq!(next.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    assert_eq!(names(&host.state().join("deaddrop")), [""; 0]);
}

#[test]
fn a_kept_message_is_printed_by_a_fetch_without_a_token() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, _, _) = send_message(host, folder.path(), "the secret", &[]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = host.command(deaddrop());
    command.args(["fetch", "--from", &host.ip]).env("DEADDROP_ROOM", ROOM);
    assert_eq!(command.stdout(full).status().unwrap().code(), Some(1));
    assert_eq!(sending.exit_code(), 0);
    let mut next = spawn(host, folder.path(), ROOM, &["fetch", "--json", "--from", &host.ip], b"");
    assert_eq!(next.event("received")["text"], "the secret");
    assert_eq!(next.exit_code(), 0);
    assert_eq!(names(&host.state().join("deaddrop")), [""; 0]);
}

#[test]
fn a_file_passed_on_to_a_pipe_that_closes_is_kept_too() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // In memory, and in a file without a name.
    for size in [300_000, 3 << 20] {
        let content = noise(9, size);
        let path = write(folder.path(), "piped.bin", &content);
        let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let arguments = ["fetch", "--from", &host.ip, "--token", &token, "--out", "-"];
        let mut command = host.command(deaddrop());
        command.args(arguments).env("DEADDROP_ROOM", ROOM);
        assert_eq!(command.stdout(full).status().unwrap().code(), Some(1));
        assert_eq!(sending.exit_code(), 0);
        let mut command = host.command(deaddrop());
        let output = command.args(arguments).env("DEADDROP_ROOM", ROOM).output().unwrap();
        assert!(output.stdout == content, "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(names(&host.state().join("deaddrop")), [""; 0]);
    }
}
