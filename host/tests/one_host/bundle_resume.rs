//! What a fetch of a folder leaves when it ends early, and how a later one goes on with it.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::resume::is_checked;
use crate::support::{
    Host, Lan, Process, ROOM, fetch, names, noise, send_file, spawn, stalled_fetch, wait_for, write,
};

const FILES: usize = 200;

/// A folder of 20 MiB in 200 files that is offered, and a folder for it.
struct Scene {
    lan: Lan,
    folder: tempfile::TempDir,
    here: tempfile::TempDir,
    sending: Process,
    token: String,
    port: u16,
}

fn content(file: usize) -> Vec<u8> {
    noise(file as u64, 100_000 + file)
}

fn scene() -> Scene {
    let lan = Lan::alone();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in 0..FILES {
        let at = folder.path().join(format!("tree/{}", file % 10));
        fs::create_dir_all(&at).unwrap();
        write(&at, &format!("{file:03}"), &content(file));
    }
    let (sending, token, port) = send_file(&lan.hosts[0], folder.path(), "tree".as_ref(), &[]);
    Scene { lan, folder, here, sending, token, port }
}

impl Scene {
    fn host(&self) -> &Host {
        &self.lan.hosts[0]
    }

    /// Ends a fetch by this signal once at least 11 MiB have come, and a part of them is durable.
    fn ended_by(&self, signal: Signal) -> Process {
        let (relay, mut fetching) =
            stalled_fetch(self.host(), self.here.path(), self.port, &self.token, 14 << 20);
        wait_for(|| is_checked(self.here.path()) && self.arrived().len() > 115);
        fetching.signal(signal);
        let _ = fetching.await_exit(Duration::from_secs(20));
        drop(relay);
        fetching
    }

    fn fetch(&self, more: &[&str]) -> Process {
        fetch(self.host(), self.here.path(), self.host(), &self.token, more)
    }

    fn hidden(&self) -> PathBuf {
        let mut names = names(self.here.path()).into_iter();
        let name = names.find(|name| name.starts_with('.') && !name.ends_with(".record"));
        self.here.path().join(name.expect("a hidden folder"))
    }

    /// The files that have come, of about 100,000 bytes each.
    fn arrived(&self) -> Vec<PathBuf> {
        let tree = self.hidden().join("tree");
        let folders = fs::read_dir(&tree).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = folders.collect();
        folders.sort();
        let files = folders.iter().flat_map(|folder| names(folder).into_iter().map(|name| folder.join(name)));
        files.collect()
    }

    /// Fetches the rest, and checks that the whole is there and nothing else.
    fn goes_on(&mut self, more: &[&str]) -> Process {
        let mut next = self.fetch(more);
        assert_eq!(next.exit_code(), 0, "{:?}", next.events);
        assert_eq!(names(self.here.path()), ["tree"]);
        for file in 0..FILES {
            let path = self.here.path().join(format!("tree/{}/{file:03}", file % 10));
            assert!(fs::read(path).unwrap() == content(file), "other bytes in {file}");
        }
        assert_eq!(event(&next, "received").expect("received")["files"], FILES);
        assert_eq!(self.sending.exit_code(), 0, "{:?}", self.sending.events);
        next
    }
}

fn event<'a>(process: &'a Process, name: &str) -> Option<&'a Value> {
    process.events.iter().find(|event| event["event"] == name)
}

#[test]
fn an_interrupted_folder_goes_on_where_it_was() {
    for (signal, word) in [(Signal::INT, "interrupted"), (Signal::TERM, "terminated")] {
        let mut scene = scene();
        let fetching = scene.ended_by(signal);
        let kept = event(&fetching, "kept").expect("kept");
        let stored = kept["stored"].as_u64().unwrap();
        assert!(stored >= 8 << 20 && kept["reason"] == word, "{kept}");
        let message = fetching.last()["message"].as_str().unwrap();
        assert!(message.contains("run the same fetch again to go on"), "{message}");
        assert!(message.contains(&format!("deaddrop fetch --discard --token {}", scene.token)), "{message}");
        let left = names(scene.here.path());
        assert_eq!(left.len(), 2, "{left:?}");
        for name in &left {
            assert!(name.starts_with(".tree.deaddrop-"), "{name}");
            let mode = fs::metadata(scene.here.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, if name.ends_with(".record") { 0o600 } else { 0o700 }, "{name}");
        }
        let next = scene.goes_on(&[]);
        let resumed = event(&next, "resumed").expect("resumed");
        // The sender goes on at a whole record.
        assert!(stored - resumed["offset"].as_u64().unwrap() < 512, "{resumed} {stored}");
    }
}

#[test]
fn a_killed_folder_goes_on_at_its_last_checkpoint() {
    let mut scene = scene();
    scene.ended_by(Signal::KILL);
    assert_eq!(names(scene.here.path()).len(), 2);
    let next = scene.goes_on(&[]);
    let resumed = event(&next, "resumed").expect("resumed");
    assert!(resumed["offset"].as_u64().unwrap() >= 4 << 20, "{resumed}");
}

#[test]
fn a_hidden_folder_that_does_not_match_is_an_error_on_both_sides() {
    let mut scene = scene();
    let fetching = scene.ended_by(Signal::INT);
    assert!(event(&fetching, "kept").is_some());
    let files = scene.arrived();
    // The last whole one is among the bytes that are compared.
    let changed = &files[files.len() - 2];
    let file = fs::File::options().read(true).write(true).open(changed).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 50_000).unwrap();
    file.write_all_at(&[!byte[0]], 50_000).unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("changed")), "{:?}", next.events);
    assert!(next.last()["message"].as_str().unwrap().contains("--restart"));
    assert_eq!(scene.sending.event("lapsed")["why"], "wrong-prefix");
    file.set_len(5).unwrap();
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("file")), "{:?}", next.events);
    let message = next.last()["message"].as_str().unwrap();
    assert!(message.contains("--restart") && message.contains("--discard"), "{message}");
    assert_eq!(event(&scene.goes_on(&["--restart"]), "resumed"), None);
}

#[test]
fn a_folder_whose_source_changes_meanwhile_is_not_mixed() {
    let mut scene = scene();
    scene.ended_by(Signal::INT);
    write(&scene.folder.path().join("tree/9"), "199", b"another");
    let mut next = scene.fetch(&[]);
    assert_eq!((next.exit_code(), next.last()["code"].as_str()), (1, Some("changed")), "{:?}", next.events);
    assert!(!names(scene.here.path()).contains(&"tree".into()));
    assert_eq!(scene.sending.exit_code(), 1);
    let message = scene.sending.last()["message"].as_str().unwrap();
    assert!(message.contains("tree/9/199"), "{message}");
}

#[test]
fn a_folder_that_is_discarded_is_removed_and_its_claim_given_back() {
    let mut scene = scene();
    scene.ended_by(Signal::INT);
    let from = format!("{}:{}", scene.host().ip, scene.port);
    let arguments = ["fetch", "--json", "--discard", "--from", &from, "--token", &scene.token];
    let mut discarding = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
    assert_eq!(discarding.exit_code(), 0, "{:?}", discarding.events);
    assert_eq!(names(scene.here.path()), [""; 0]);
    assert_eq!(scene.sending.event("lapsed")["why"], "released");
    assert_eq!(event(&scene.goes_on(&["--wait", "1"]), "resumed"), None);
}

#[test]
fn what_is_discarded_and_stays_is_not_said_to_be_removed() {
    let scene = scene();
    scene.ended_by(Signal::INT);
    let hidden = scene.hidden();
    // Something else has its name: it is not the fetch's to remove.
    fs::rename(&hidden, scene.here.path().join("moved")).unwrap();
    fs::create_dir(&hidden).unwrap();
    write(&hidden, "precious", b"1");
    let from = format!("{}:{}", scene.host().ip, scene.port);
    let arguments = ["fetch", "--json", "--discard", "--from", &from, "--token", &scene.token];
    let mut discarding = spawn(scene.host(), scene.here.path(), ROOM, &arguments, b"");
    assert_eq!(discarding.exit_code(), 1, "{:?}", discarding.events);
    let message = discarding.last()["message"].as_str().unwrap();
    let name = hidden.file_name().unwrap().to_str().unwrap();
    assert!(message.contains(name) && message.contains("by hand"), "{message}");
    assert_eq!(fs::read(hidden.join("precious")).unwrap(), b"1");
}
