//! Faults in the file work of a receiver: killed at each of its system calls, and a full disk at each. Whatever comes, the
//! same fetch run again ends with the whole drop, and nothing is left beside it.
//!
//! strace makes the faults. A first run without any shows which calls there are. With `DEADDROP_TEST_LONG` set these are all
//! calls that name or use the folder; otherwise those that change something, and of a folder's some that a seed draws.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Host, Lan, Process, ROOM, deaddrop, names, noise, send_file, send_message, write};

/// System calls that change files, or what is known of them.
const CHANGES: &str = "openat,openat2,pwrite64,fchmod,fsync,fdatasync,fallocate,ftruncate,flock,mkdirat,linkat,unlinkat,\
                       renameat2,syncfs,symlinkat,utimensat";
/// The same and those that only look.
const ALL: &str = "openat,openat2,pwrite64,fchmod,fsync,fdatasync,fallocate,ftruncate,flock,mkdirat,linkat,unlinkat,\
                   renameat2,syncfs,symlinkat,utimensat,readlinkat,newfstatat,statx,fstat,fstatfs,getdents64,pread64,lseek,fcntl";

/// Where the drop goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// A file in a folder.
    Folder,
    /// A folder in a folder.
    Tree,
    /// A pipe.
    Pipe,
    /// A device that takes nothing, so that the drop is kept.
    Full,
}

/// One drop that may be fetched 64 times, each time into a folder of its own.
struct Scene<'a> {
    host: &'a Host,
    from: String,
    token: String,
    content: Vec<u8>,
    /// Where what is sent is.
    source: &'a Path,
    to: To,
}

impl To {
    fn is_saved(self) -> bool {
        matches!(self, Self::Folder | Self::Tree)
    }

    /// The name that it gets where it is saved.
    fn name(self) -> &'static str {
        if self == Self::Tree { "tree" } else { "a.bin" }
    }
}

/// A fault at the `count`th call of this name.
struct Fault {
    call: String,
    count: usize,
}

impl Scene<'_> {
    /// The fetch, under `strace` with these arguments.
    fn command(&self, folder: &Path, strace: &[&str]) -> Command {
        let mut command = self.host.command(if strace.is_empty() { deaddrop() } else { "strace" });
        if !strace.is_empty() {
            command.args(["-f", "-y"]).args(strace).arg(deaddrop());
        }
        command.args(["fetch", "--from", &self.from, "--token", &self.token]);
        if self.to.is_saved() {
            command.arg("--out").arg(folder);
        }
        // A state folder of its own, so that no fetch finds what another has left.
        command.env("DEADDROP_ROOM", ROOM).env("XDG_STATE_HOME", folder).current_dir("/");
        command
    }

    fn run(&self, folder: &Path, to: To, strace: &[&str]) -> Output {
        let mut command = self.command(folder, strace);
        if to == To::Full {
            command.stdout(File::options().write(true).open("/dev/full").expect("a full device"));
        } else {
            command.stdout(Stdio::piped());
        }
        command.stderr(Stdio::piped()).output().expect("a fetch")
    }

    /// The calls that have to do with the folder: of the main thread, and of a folder those of the thread that makes it
    /// durable.
    fn calls(&self, set: &str) -> Vec<Fault> {
        let (folder, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let trace = format!("trace={set}");
        let output = self.run(folder.path(), self.to, &["-o", log.path().to_str().unwrap(), "-e", &trace]);
        assert_eq!(output.status.code(), Some(if self.to == To::Full { 1 } else { 0 }), "{output:?}");
        let log = fs::read_to_string(log.path()).unwrap();
        let main = log.split_whitespace().next().expect("a call").to_owned();
        let place = folder.path().to_str().unwrap();
        let mut counts = std::collections::BTreeMap::<(String, String), usize>::new();
        let mut calls = Vec::<Fault>::new();
        for line in log.lines() {
            let (pid, rest) = line.split_once(' ').expect("a process id");
            let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
            if (pid != main && self.to != To::Tree)
                || !call.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
            {
                continue;
            }
            let count = counts.entry((pid.to_owned(), call.to_owned())).or_default();
            *count += 1;
            // strace counts the calls of each thread, and the first that comes so far has the fault.
            let known = calls.iter().any(|other| other.call == call && other.count == *count);
            if arguments.contains(place) && !known {
                calls.push(Fault { call: call.to_owned(), count: *count });
            }
        }
        assert!(calls.len() > 4, "{log}");
        calls
    }

    /// Makes the fault in a fetch, and gives how that ended.
    fn with(&self, folder: &Path, fault: &Fault, how: &str) -> Output {
        let Fault { call, count } = fault;
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{how}:when={count}"));
        self.run(folder, self.to, &["-o", "/dev/null", "-e", &trace, "-e", &inject])
    }

    /// Fetches again without a fault, and checks that the drop is there and nothing else.
    fn is_had(&self, folder: &Path, after: &str) -> String {
        self.came(folder, after, &self.run(folder, To::Pipe, &[]))
    }

    /// Checks that a fetch has ended with the drop, and nothing else is there.
    fn came(&self, folder: &Path, after: &str, output: &Output) -> String {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{after}: {errors}");
        let here = if self.to.is_saved() { folder.to_owned() } else { folder.join("deaddrop") };
        let left = names(&here);
        if self.to.is_saved() {
            assert_eq!(left, [self.to.name()], "{after}: {errors}");
            self.is_whole(folder, after);
        } else {
            assert_eq!(left, [""; 0], "{after}: {errors}");
            assert!(output.stdout == self.content, "{after}: other bytes");
        }
        errors
    }
}

impl Scene<'_> {
    /// Checks that the drop is in the folder with every byte.
    fn is_whole(&self, folder: &Path, after: &str) {
        let place = folder.join(self.to.name());
        if self.to == To::Tree {
            assert_eq!(tree(&place), tree(self.source), "{after}");
        } else {
            assert!(fs::read(place).unwrap() == self.content, "{after}: other bytes");
        }
    }
}

/// What is in a folder: for each path whether it is a folder, its content or target, its right to be executed, its time.
fn tree(root: &Path) -> Vec<(String, bool, Vec<u8>, bool, i64)> {
    let mut all = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            let plain = !metadata.is_symlink();
            let time = if plain { metadata.mtime() } else { 0 };
            let executable = plain && metadata.mode() & 0o100 != 0;
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            all.push((path, metadata.is_dir(), content, executable, time));
        }
    }
    all.sort();
    all
}

/// A folder with some of each kind in it, of about this size.
fn plant(at: &Path, size: usize) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    write(at, "a.bin", &noise(3, size / 2));
    write(at, "run.sh", b"#!/bin/sh");
    fs::set_permissions(at.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    write(&at.join("sub"), "b.bin", &noise(4, size / 2));
    std::os::unix::fs::symlink("../a.bin", at.join("sub/link")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    for path in ["a.bin", "sub/b.bin", "sub/empty", "sub", "."] {
        File::open(at.join(path)).unwrap().set_modified(time).unwrap();
    }
}

fn is_long() -> bool {
    std::env::var_os("DEADDROP_TEST_LONG").is_some()
}

/// How many calls of a folder are drawn, if these are not all.
const DRAWN: usize = 14;

/// Some of the calls, of each kind at least one.
fn drawn(calls: Vec<Fault>, seed: u64) -> Vec<Fault> {
    let draw = noise(seed, calls.len());
    let mut kinds = std::collections::BTreeSet::new();
    let least = calls.len().div_ceil(DRAWN);
    let some = calls.into_iter().zip(draw);
    some.filter(|(fault, draw)| kinds.insert(fault.call.clone()) || usize::from(*draw) % least == 0)
        .map(|(fault, _)| fault)
        .collect()
}

fn set() -> &'static str {
    if is_long() { ALL } else { CHANGES }
}

/// Plays with a drop of its own for each run of faults, because each may be fetched 64 times.
fn each(to: To, size: usize, play: impl Fn(&Scene<'_>, &mut Process, &Fault)) {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let content = noise(3, size);
    let content: Vec<u8> =
        if to.is_saved() { content } else { content.iter().map(|c| c & 0x3f | 0x40).collect() };
    let mut calls: Option<Vec<Fault>> = None;
    let source = folder.path().join("tree");
    plant(&source, size);
    for first in (0..).step_by(30) {
        let (mut sending, token, port) = match to {
            To::Tree => send_file(host, folder.path(), &source, &["--fetches", "64"]),
            To::Folder => {
                let path = write(folder.path(), "a.bin", &content);
                send_file(host, folder.path(), &path, &["--fetches", "64"])
            }
            To::Pipe | To::Full => {
                let text = String::from_utf8(content.clone()).unwrap();
                send_message(host, folder.path(), &text, &["--fetches", "64"])
            }
        };
        let from = format!("{}:{port}", host.ip);
        let scene = Scene { host, from, token, content: content.clone(), source: &source, to };
        let calls = calls.get_or_insert_with(|| {
            let all = scene.calls(set());
            sending.event("fetched");
            if to == To::Tree && !is_long() { drawn(all, 7) } else { all }
        });
        let Some(some) = calls.get(first..calls.len().min(first + 30)).filter(|some| !some.is_empty()) else {
            break;
        };
        for fault in some {
            play(&scene, &mut sending, fault);
        }
    }
}

fn killed_at_each_call(to: To, size: usize) {
    each(to, size, |scene, sending, fault| {
        let after = format!("killed at {} {}", fault.call, fault.count);
        let folder = tempfile::tempdir().unwrap();
        let output = scene.with(folder.path(), fault, "signal=KILL");
        assert_eq!(output.status.signal(), Some(9), "{after}: {output:?}");
        if to.is_saved() && names(folder.path()) == [to.name()] {
            // It has its name, and its record is gone.
            scene.is_whole(folder.path(), &after);
        } else {
            let again = scene.run(folder.path(), To::Pipe, &[]);
            if output.stdout == scene.content && to == To::Pipe && again.status.code() == Some(4) {
                // It was printed and confirmed, and only its record was left: there is nothing to be had any more.
                assert_eq!(names(&folder.path().join("deaddrop")), [""; 0], "{after}");
            } else {
                scene.came(folder.path(), &after, &again);
            }
        }
        // Its sender is told.
        sending.event("fetched");
    });
}

fn full_at_each_call(to: To, size: usize) {
    each(to, size, |scene, sending, fault| {
        let after = format!("no space at {} {}", fault.call, fault.count);
        let folder = tempfile::tempdir().unwrap();
        let before = sending.events.len();
        let output = scene.with(folder.path(), fault, "error=ENOSPC");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(127) && to == To::Tree {
            // The main thread made as many such calls before the program began: its loader had the fault.
            return;
        }
        assert!(!errors.contains("lost"), "{after}: {errors}");
        match output.status.code() {
            // It has come all the same: what failed was no part of it.
            Some(0) => {
                if to.is_saved() {
                    let left = names(folder.path());
                    assert!(left.contains(&to.name().into()), "{after}: {left:?}");
                }
                if names(folder.path()).len() > 1 {
                    scene.is_had(folder.path(), &after);
                }
            }
            Some(1) => {
                scene.is_had(folder.path(), &after);
            }
            code => panic!("{after}: {code:?}, {errors}"),
        }
        sending.event("fetched");
        // A claim that was not kept for the next run was given back at once.
        let events = &sending.events[before..];
        let lapsed = events.iter().filter(|event| event["event"] == "lapsed" && event["why"] == "released");
        let claimed = events.iter().filter(|event| event["event"] == "claimed");
        assert_eq!(claimed.count(), 1 + lapsed.count(), "{after}: {errors} {events:?}");
    });
}

#[test]
fn a_file_survives_a_kill_at_each_call() {
    killed_at_each_call(To::Folder, 300_000);
}

#[test]
fn a_file_survives_a_full_disk_at_each_call() {
    full_at_each_call(To::Folder, 300_000);
}

#[test]
fn a_folder_survives_a_kill_at_each_call() {
    killed_at_each_call(To::Tree, 200_000);
}

#[test]
fn a_folder_survives_a_full_disk_at_each_call() {
    full_at_each_call(To::Tree, 200_000);
}

#[test]
fn a_message_survives_a_kill_at_each_call() {
    killed_at_each_call(To::Pipe, 5_000);
}

#[test]
fn a_message_that_is_kept_survives_a_kill_at_each_call() {
    killed_at_each_call(To::Full, 5_000);
}

#[test]
fn a_message_that_is_kept_survives_a_full_disk_at_each_call() {
    full_at_each_call(To::Full, 5_000);
}

/// A file of this size that is offered once, and a fetch of it with this fault.
fn once(size: usize, play: impl Fn(&Scene<'_>, &Path, &mut Process)) {
    once_to(To::Folder, size, play);
}

/// The same of a file or a folder.
fn once_to(to: To, size: usize, play: impl Fn(&Scene<'_>, &Path, &mut Process)) {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(3, size);
    let (path, source) = (write(folder.path(), "a.bin", &content), folder.path().join("tree"));
    plant(&source, size);
    let sent = if to == To::Tree { &source } else { &path };
    let (mut sending, token, port) = send_file(host, folder.path(), sent, &[]);
    let scene = Scene { host, from: format!("{}:{port}", host.ip), token, content, source: &source, to };
    play(&scene, here.path(), &mut sending);
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
}

fn fault(call: &str, count: usize) -> Fault {
    Fault { call: call.into(), count }
}

#[test]
fn a_file_that_cannot_be_renamed_is_kept_whole_and_its_sender_knows() {
    once(300_000, |scene, here, sending| {
        let output = scene.with(here, &fault("renameat2", 1), "error=EROFS");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("the whole drop is kept in"), "{errors}");
        assert_eq!(sending.exit_code(), 0, "it is durable: {:?}", sending.events);
        let errors = scene.is_had(here, "not renamed");
        assert!(!errors.contains("could not be told"), "its sender knows already: {errors}");
    });
}

#[test]
fn a_part_that_is_removed_after_ready_is_fetched_again_by_the_same_receiver() {
    once(300_000, |scene, here, _| {
        let fetching = std::thread::scope(|scope| {
            let fetching = scope.spawn(|| scene.with(here, &fault("renameat2", 1), "delay_enter=2000000"));
            // The final record has come once all of it is there.
            support::wait_for(|| {
                let part = names(here).into_iter().find(|name| !name.ends_with(".record"));
                let part = part.map(|part| here.join(part));
                let whole = |path: &std::path::PathBuf| fs::metadata(path).is_ok_and(|m| m.len() == 300_000);
                part.filter(whole).is_some_and(|part| fs::remove_file(part).is_ok())
            });
            fetching.join().unwrap()
        });
        let errors = String::from_utf8_lossy(&fetching.stderr).into_owned();
        assert_eq!(fetching.status.code(), Some(1), "{errors}");
        assert!(errors.contains("its sender holds the drop for this receiver"), "{errors}");
        scene.is_had(here, "removed");
    });
}

#[test]
fn a_large_file_survives_a_kill_in_its_threads() {
    for killed in [fault("fdatasync", 1), fault("fdatasync", 2), fault("pwrite64", 200), fault("fsync", 2)] {
        once(20 << 20, |scene, here, _| {
            let after = format!("killed at {} {}", killed.call, killed.count);
            let output = scene.with(here, &killed, "signal=KILL");
            assert_eq!(output.status.signal(), Some(9), "{after}: {output:?}");
            scene.is_had(here, &after);
        });
    }
}

#[test]
fn a_large_file_survives_a_disk_that_fills_up_half_way() {
    for full in [fault("pwrite64", 200), fault("fdatasync", 1)] {
        once(20 << 20, |scene, here, sending| {
            let after = format!("no space at {} {}", full.call, full.count);
            let output = scene.with(here, &full, "error=ENOSPC");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{after}: {errors}");
            assert_eq!(sending.event("lapsed")["why"], "released", "{after}");
            scene.is_had(here, &after);
        });
    }
}

#[test]
fn a_large_folder_survives_a_kill_in_its_threads() {
    // In a checkpoint, between its steps, in the writing of files, and in what makes all of it durable.
    let kills = [fault("syncfs", 1), fault("fdatasync", 2), fault("pwrite64", 100), fault("renameat2", 1)];
    for killed in kills {
        once_to(To::Tree, 20 << 20, |scene, here, _| {
            let after = format!("killed at {} {}", killed.call, killed.count);
            let output = scene.with(here, &killed, "signal=KILL");
            assert_eq!(output.status.signal(), Some(9), "{after}: {output:?}");
            scene.is_had(here, &after);
        });
    }
}

#[test]
fn a_folder_whose_names_cannot_be_given_is_kept_whole_and_its_sender_knows() {
    once_to(To::Tree, 300_000, |scene, here, sending| {
        let output = scene.with(here, &fault("renameat2", 1), "error=EROFS");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("the whole drop is kept in"), "{errors}");
        assert_eq!(sending.exit_code(), 0, "it is durable: {:?}", sending.events);
        scene.is_had(here, "not renamed");
    });
}

#[test]
fn neighbour() {
    support::play(&support::actor::ROLES);
}
