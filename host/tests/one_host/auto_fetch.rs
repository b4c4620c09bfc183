//! `run --auto-fetch`: what appears is fetched into a folder, within its limits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use deaddrop::BundleOptions;
use deaddrop::blocking::{Ended, Room, Sender, SenderEvent};
use rustix::process::{Resource, Rlimit, Signal};
use serde_json::{Value, json};

use super::signals::ends;
use crate::support::neighbour::{self, Role, tell};
use crate::support::{
    Host, Lan, Process, ROOM, names, noise, send_file, send_message, spawn, wait_for, write,
};

/// A listener that fetches into the folder `inbox`, and is ready.
pub(crate) fn fetcher(host: &Host, folder: &Path, kinds: &str, more: &[&str]) -> Process {
    let inbox = folder.join("inbox");
    fs::create_dir_all(&inbox).unwrap();
    let arguments = ["run", "--json", "--auto-fetch", kinds, "--out", inbox.to_str().unwrap()];
    let mut fetching = spawn(host, folder, ROOM, &[&arguments, more].concat(), b"");
    fetching.event("ready");
    fetching
}

fn path(event: &Value) -> &Path {
    Path::new(event["path"].as_str().unwrap_or_else(|| panic!("{event}")))
}

/// Waits for a warning with this code.
fn warning(process: &mut Process, code: &str) -> String {
    loop {
        let warning = process.event("warning");
        if warning["code"] == code {
            return warning["message"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn messages_files_and_folders_are_fetched_as_they_appear() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &[]);

    let (mut sending, token, _) = send_message(host, folder.path(), "caf\u{e9}\u{1b}[31m", &[]);
    let received = fetching.event("received");
    assert_eq!((&received["token"], &received["kind"]), (&json!(token), &json!("message")));
    assert_eq!(received.get("text"), None, "a message is in its file, and not in a journal");
    let name = path(&received).file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("message-2") && name.ends_with(&format!("Z-{token}.txt")), "{name}");
    assert_eq!(fs::read(path(&received)).unwrap(), "caf\u{e9}\u{1b}[31m".as_bytes());
    assert_eq!(fs::metadata(path(&received)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(sending.exit_code(), 0, "its sender is told");

    let bytes = noise(7, 3 << 20);
    let file = write(folder.path(), "a.bin", &bytes);
    let (mut sending, ..) = send_file(host, folder.path(), &file, &[]);
    let received = fetching.event("received");
    assert_eq!(path(&received), folder.path().join("inbox/a.bin"));
    assert!(fs::read(path(&received)).unwrap() == bytes);
    assert_eq!(sending.exit_code(), 0);

    fs::create_dir_all(folder.path().join("photos/in")).unwrap();
    write(&folder.path().join("photos/in"), "x", b"1");
    let (mut sending, ..) = send_file(host, folder.path(), &folder.path().join("photos"), &[]);
    let received = fetching.event("received");
    assert_eq!(path(&received), folder.path().join("inbox/photos"));
    assert_eq!(fs::read(path(&received).join("in/x")).unwrap(), b"1");
    assert_eq!(sending.exit_code(), 0);
    ends(&mut fetching, super::signals::SIGNALS[1]);
}

#[test]
fn nothing_is_overwritten_and_a_drop_for_several_is_taken_once() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    let inbox = folder.path().join("inbox");
    write(&inbox, "a.txt", b"precious");
    let file = write(folder.path(), "a.txt", b"new");
    let (_sending, ..) = send_file(host, folder.path(), &file, &["--fetches", "3"]);
    assert_eq!(path(&fetching.event("received")), inbox.join("a (1).txt"));
    // A later one comes, and the first was not taken again meanwhile.
    let (mut sending, ..) = send_file(host, folder.path(), &file, &[]);
    assert_eq!(path(&fetching.event("received")), inbox.join("a (2).txt"));
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(fs::read(inbox.join("a.txt")).unwrap(), b"precious");
    assert_eq!(names(&inbox), ["a (1).txt", "a (2).txt", "a.txt"]);
}

#[test]
fn only_the_kinds_that_were_asked_for_are_fetched() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "messages", &[]);
    let file = write(folder.path(), "a.txt", b"file");
    let (_sending, token, _) = send_file(host, folder.path(), &file, &[]);
    assert_eq!(fetching.event("offer")["token"], token, "it is shown");
    let (mut sending, ..) = send_message(host, folder.path(), "message", &[]);
    assert_eq!(fetching.event("received")["kind"], "message");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(names(&folder.path().join("inbox")).len(), 1);
}

#[test]
fn a_drop_past_a_limit_is_told_once_and_others_are_fetched() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let limits = ["--max-size", "100k", "--max-total", "150k"];
    let mut fetching = fetcher(host, folder.path(), "all", &limits);
    let large = write(folder.path(), "large", &noise(1, (100 << 10) + 1));
    let (_large, token, _) = send_file(host, folder.path(), &large, &[]);
    let message = warning(&mut fetching, "too-large");
    assert!(message.contains(&token) && message.contains("--max-size"), "{message}");

    let full = write(folder.path(), "full", &noise(2, 100 << 10));
    let (mut sending, ..) = send_file(host, folder.path(), &full, &[]);
    assert_eq!(path(&fetching.event("received")), folder.path().join("inbox/full"));
    assert_eq!(sending.exit_code(), 0);
    let (_full, token, _) = send_file(host, folder.path(), &full, &[]);
    let message = warning(&mut fetching, "total-reached");
    assert!(message.contains(&token) && message.contains("--max-total"), "{message}");

    let (mut sending, ..) = send_message(host, folder.path(), "small", &[]);
    assert_eq!(fetching.event("received")["kind"], "message");
    assert_eq!(sending.exit_code(), 0);
    let warnings = fetching.events.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 2, "{:?}", fetching.events);
    assert_eq!(names(&folder.path().join("inbox")).len(), 2);
}

#[test]
fn empty_folders_count_before_any_of_them_is_made() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &["--max-total", "150k"]);
    for n in 0..100 {
        fs::create_dir_all(folder.path().join(format!("many/{n}"))).unwrap();
    }
    let (_many, token, _) = send_file(host, folder.path(), &folder.path().join("many"), &[]);
    let message = warning(&mut fetching, "total-reached");
    assert!(message.contains(&token) && message.contains("101 files and folders"), "{message}");
    assert_eq!(names(&folder.path().join("inbox")), [""; 0]);
    let (mut sending, ..) = send_message(host, folder.path(), "small", &[]);
    assert_eq!(fetching.event("received")["kind"], "message");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_disk_that_is_to_stay_free_stays_free() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &["--keep-free", "1000T"]);
    let (_sending, token, _) = send_message(host, folder.path(), "message", &[]);
    let message = warning(&mut fetching, "disk-nearly-full");
    assert!(message.contains(&token) && message.contains("--keep-free"), "{message}");
    assert_eq!(names(&folder.path().join("inbox")), [""; 0]);
}

#[test]
fn a_folder_that_is_not_there_is_told_at_the_start() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "--json", "--auto-fetch", "all", "--out", "missing"];
    let mut fetching = spawn(&lan.hosts[0], folder.path(), ROOM, &arguments, b"");
    assert_eq!(fetching.exit_code(), 2);
    assert!(fetching.last()["message"].as_str().unwrap().contains("missing"));
}

#[test]
fn where_nothing_can_be_saved_that_is_told_at_once_and_no_drop_is_claimed() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    let inbox = folder.path().join("inbox");
    // The folder is gone, and is not taken for the name of a file. Then a file is in its place.
    fs::remove_dir(&inbox).unwrap();
    let file = write(folder.path(), "a.txt", b"content");
    let (mut sending, ..) = send_file(host, folder.path(), &file, &[]);
    let message = warning(&mut fetching, "not-saved");
    assert!(message.contains(inbox.to_str().unwrap()) && message.contains("mend that"), "{message}");
    assert_eq!(names(folder.path()), ["a.txt"]);
    fs::write(&inbox, b"").unwrap();
    let (mut second, ..) = send_message(host, folder.path(), "second", &[]);
    assert!(warning(&mut fetching, "not-saved").contains("cannot save into"));
    // Both are fetched once the folder is there.
    fs::remove_file(&inbox).unwrap();
    fs::create_dir(&inbox).unwrap();
    for _ in 0..2 {
        assert!(path(&fetching.event("received")).starts_with(&inbox));
    }
    for sending in [&mut sending, &mut second] {
        assert_eq!(sending.exit_code(), 0);
        let lapsed = sending.events.iter().filter(|event| event["event"] == "lapsed").count();
        assert_eq!(lapsed, 0, "{:?}", sending.events);
    }
    let told = fetching.events.iter().filter(|event| event["code"] == "not-saved").count();
    assert_eq!(told, 2, "{:?}", fetching.events);
}

#[test]
fn an_error_of_saving_that_shows_after_the_claim_is_told_at_once() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    let id = rustix::process::Pid::from_raw(fetching.id().try_into().unwrap());
    let least = Rlimit { current: Some(1_000), maximum: Some(1_000) };
    rustix::process::prlimit(id, Resource::Fsize, least).unwrap();
    let file = write(folder.path(), "a.bin", &noise(5, 2_000));
    let (_sending, ..) = send_file(host, folder.path(), &file, &[]);
    let message = warning(&mut fetching, "not-saved");
    assert!(message.contains("2000 bytes"), "{message}");
}

#[test]
fn a_fetch_that_was_cut_goes_on_in_the_next_run() {
    let lan = Lan::of(2);
    let [sends, host] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let bytes = noise(3, 20 << 20);
    let file = write(folder.path(), "a.bin", &bytes);
    // Neither run gets all of it: the first stands still half way, and the second would if it began anew.
    let half = "tcp sport 48556 quota over 12 mbytes";
    host.filter(half).unwrap();
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    let (mut sending, _, port) = send_file(sends, folder.path(), &file, &[]);
    assert_eq!(port, 48556);
    // Less is not worth keeping.
    while fetching.event("progress")["stored"].as_u64().unwrap() < 8 << 20 {}
    ends(&mut fetching, super::signals::SIGNALS[1]);
    assert!(!inbox.join("a.bin").exists());

    host.unfilter().unwrap();
    host.filter(half).unwrap();
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    assert_eq!(path(&fetching.event("received")), inbox.join("a.bin"));
    assert_eq!(sending.exit_code(), 0);
    assert!(fs::read(inbox.join("a.bin")).unwrap() == bytes);
    wait_for(|| names(&inbox) == ["a.bin"]);
}

#[test]
fn senders_that_stall_keep_nothing_of_other_hosts_from_being_fetched() {
    let lan = Lan::of(3);
    let [stalls, sends, host] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(256 << 20).unwrap();
    // So that none has come before its sender is stopped.
    stalls.limit_rate(20_000).unwrap();
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    // As many as are fetched at once. Each stops in the midst of it.
    let mut stalled: Vec<_> = (0..4).map(|_| send_file(stalls, folder.path(), &large, &[]).0).collect();
    let claimed = stalled.iter_mut().filter_map(|sending| {
        let claimed = sending.event_within("claimed", Duration::from_secs(2));
        sending.signal(Signal::STOP);
        claimed
    });
    assert!(claimed.count() >= 2);
    let (mut sending, ..) = send_message(sends, folder.path(), "urgent", &[]);
    let sent = Instant::now();
    assert_eq!(fetching.event("received")["kind"], "message");
    // A stalled connection is given up after a minute.
    assert!(sent.elapsed() < Duration::from_secs(30), "{:?}", sent.elapsed());
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_members_flood_keeps_no_drop_of_another_host_from_being_fetched() {
    let lan = Lan::of(3);
    let [floods, sends, host] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(256 << 20).unwrap();
    // Two large ones at a time take minutes, and the answers for small ones come late or not at all.
    floods.limit_rate(20_000).unwrap();
    let mut fetching = fetcher(host, folder.path(), "all", &[]);
    let mut flood = neighbour::start(floods, "flood", &[large.to_str().unwrap()]);
    for _ in 0..2 {
        flood.event("claimed");
    }
    for _ in 0..3 {
        let (mut sending, token, _) = send_message(sends, folder.path(), "urgent", &[]);
        let sent = Instant::now();
        while fetching.event("received")["token"] != token {}
        assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
        assert_eq!(sending.exit_code(), 0);
    }
}

#[test]
fn it_is_ready_before_it_measures_its_folder_and_a_signal_ends_it_meanwhile() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let inbox = folder.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    write(&inbox, "a", b"");
    // The signal comes while it reads the folder, and a look at a file in it takes a minute.
    let mut command = host.command("strace");
    command.args(["-f", "-o", "/dev/null", "-P", inbox.to_str().unwrap(), "-e", "trace=getdents64,statx"]);
    command.args(["-e", "inject=getdents64:signal=SIGINT:when=1", "-e", "inject=statx:delay_enter=60000000"]);
    command.args([crate::support::deaddrop(), "run", "--json", "--auto-fetch", "all", "--out", "inbox"]);
    command.current_dir(folder.path()).env("DEADDROP_ROOM", ROOM);
    let mut fetching = Process::from_command(command, "run under strace".into());
    let ended = fetching.event_within("error", Duration::from_secs(30)).expect("its end, before the look's");
    assert_eq!(ended["code"], "interrupted");
    let events: Vec<_> = fetching.events.iter().map(|event| &event["event"]).collect();
    assert_eq!(events, ["ready", "error"]);
}

/// Senders that this test binary plays with the library.
pub(crate) const ROLES: [Role; 3] = [("in-a-row", in_a_row), ("flood", flood), ("hostile", hostile)];

/// Offers as fast as it can until it is ended, a hundred drops at a time, each for five seconds: messages and files of all
/// sizes, also of one name and of the longest, and folders of many empty files.
fn hostile(words: &[&str]) {
    let folder = Path::new(words[0]);
    let room = Room::from_passphrase(ROOM).unwrap();
    let offered = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..100 {
            let (room, offered) = (&room, &offered);
            scope.spawn(move || {
                loop {
                    let n = offered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let sender = match n % 6 {
                        0 => Sender::message(vec![b'x'; 65_536]),
                        1 => Sender::file(folder.join("same")).map(|sender| sender.name("same").unwrap()),
                        2 => Sender::file(folder.join("empty"))
                            .map(|sender| sender.name(&format!("{n:0>255}")).unwrap()),
                        3 => Sender::bundle([folder.join("many")], &BundleOptions::default()),
                        4 => Sender::file(folder.join("large")),
                        _ => Sender::message(Vec::new()),
                    };
                    let sender = sender.unwrap().ttl(Duration::from_secs(5)).tcp_port(20_000 + thread);
                    // Its port may be in use still, and it tries again.
                    let _ = sender.offer(room).map(|offered| offered.serve(|_| {}));
                }
            });
        }
    });
}

/// What all in a folder counts against `--max-total`. What gets its name meanwhile may be missed, or be counted twice.
fn counted(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    known.map(|(path, entry)| 4_096 + if entry.is_dir() { counted(&path) } else { entry.len() }).sum()
}

#[test]
#[ignore = "takes two minutes: run it with --release, as CONTRIBUTING.md says"]
fn a_hostile_member_fills_no_more_than_the_folder_and_delays_nobody() {
    let lan = Lan::of(3);
    let [floods, sends, host] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, size: u64| {
        fs::File::create(folder.path().join(name)).unwrap().set_len(size).unwrap();
    };
    for (name, size) in [("same", 1 << 20), ("empty", 0), ("large", 64 << 20)] {
        of(name, size);
    }
    fs::create_dir(folder.path().join("many")).unwrap();
    (0..1_000).for_each(|n| of(&format!("many/{n}"), 0));
    let _flood = neighbour::start(floods, "hostile", &[folder.path().to_str().unwrap()]);
    let is = |event: &Value, name: &str| event["event"] == name || event["code"] == name;
    // As long as there is room, and where there is little of it.
    for (total, seconds) in [(16_384_u64, 60), (16, 30)] {
        let place = tempfile::tempdir().unwrap();
        let limits = ["--max-size", "8M", "--max-total", &format!("{total}M")];
        let mut fetching = fetcher(host, place.path(), "all", &limits);
        let (before, begun) = (memory(&fetching), Instant::now());
        let (mut honest, mut slowest) = (0, Duration::ZERO);
        while begun.elapsed() < Duration::from_secs(seconds) {
            if total < 1_024 {
                // It fills up. Drops of others are told of then like all.
                let _ = fetching.event_within("received", Duration::from_secs(1));
                continue;
            }
            let (mut sending, token, _) = send_message(sends, place.path(), "honest", &["--ttl", "1h"]);
            let sent = Instant::now();
            while fetching.event("received")["token"] != token {}
            slowest = slowest.max(sent.elapsed());
            assert_eq!(sending.exit_code(), 0);
            honest += 1;
        }
        let count = |name: &str| fetching.events.iter().filter(|event| is(event, name)).count();
        let (after, used) = (memory(&fetching), counted(&place.path().join("inbox")));
        println!(
            "--max-total {total}M, {:?}: {} offers, {} received, of them {honest} of another host within {slowest:?}; \
             {} too large, {} for which there was no room; {} MiB counted; memory {before} kB, then {after} kB",
            begun.elapsed(),
            count("offer"),
            count("received"),
            count("too-large"),
            count("total-reached"),
            used >> 20
        );
        assert!(used <= total << 20, "{used} bytes");
        assert!(slowest < Duration::from_secs(20));
        assert!(after < before + (64 << 10), "{before} kB grew to {after} kB");
        assert!((count("total-reached") > 0) == (total < 1_024));
        ends(&mut fetching, super::signals::SIGNALS[1]);
    }
}

/// Offers a large file eight times and four messages at once, and each anew once it is fetched, without end. Tells when
/// one of the files is claimed.
fn flood(words: &[&str]) {
    let (room, large) = (Room::from_passphrase(ROOM).unwrap(), Path::new(words[0]));
    std::thread::scope(|scope| {
        for n in 0..12 {
            let room = &room;
            scope.spawn(move || {
                loop {
                    let sender = if n < 8 { Sender::file(large) } else { Sender::message(b"flood".to_vec()) };
                    let offered = sender.unwrap().ttl(Duration::from_secs(3_600)).offer(room).unwrap();
                    let ended = offered.serve(|event| {
                        if n < 8 && matches!(event, SenderEvent::Claimed { .. }) {
                            tell(&json!({ "event": "claimed" }));
                        }
                    });
                    assert_eq!(ended.unwrap(), Ended::Fetched);
                }
            });
        }
    });
}

/// Offers `count` messages, `at_once` at a time, each until it is fetched.
fn in_a_row(words: &[&str]) {
    let [count, at_once] = [words[0], words[1]].map(|word| word.parse::<usize>().unwrap());
    let room = Room::from_passphrase(ROOM).unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    let sender = Sender::message(format!("message {n}").into_bytes()).unwrap();
                    let ended = sender.ttl(Duration::from_secs(3_600)).offer(&room).unwrap().serve(|_| {});
                    assert_eq!(ended.unwrap(), Ended::Fetched);
                }
            });
        }
    });
    tell(&json!({ "event": "done" }));
}

/// How many kilobytes of memory a process has had at most.
fn memory(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

/// Fetches so many messages in a row, and checks that each is there once.
fn fetch_in_a_row(count: usize) {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = fetcher(host, folder.path(), "all", &["--quiet"]);
    let first = (memory(&fetching), Instant::now());
    let mut sending = neighbour::start(host, "in-a-row", &[&count.to_string(), "8"]);
    for _ in 0..count {
        fetching.event("received");
    }
    sending.event("done");
    let inbox = folder.path().join("inbox");
    let files = names(&inbox);
    let mut messages: Vec<_> =
        files.iter().map(|name| fs::read_to_string(inbox.join(name)).unwrap()).collect();
    messages.sort();
    let mut expected: Vec<_> = (0..count).map(|n| format!("message {n}")).collect();
    expected.sort();
    assert!(messages == expected, "{} files of {count}", files.len());
    let (before, after) = (first.0, memory(&fetching));
    println!("{count} drops in {:?}; memory {before} kB, then {after} kB", first.1.elapsed());
    assert!(after < before + (32 << 10), "{before} kB grew to {after} kB");
    ends(&mut fetching, super::signals::SIGNALS[1]);
}

#[test]
fn many_drops_in_a_row_are_all_fetched_once() {
    fetch_in_a_row(200);
}

#[test]
#[ignore = "takes long: run it with --release, as CONTRIBUTING.md says"]
fn ten_thousand_drops_in_a_row_are_all_fetched_once() {
    fetch_in_a_row(10_000);
}
