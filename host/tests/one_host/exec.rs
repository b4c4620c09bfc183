//! `run --exec`: a program for each received drop.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::auto_fetch::fetcher;
use super::signals::{SIGNALS, ends};
use crate::support::{Host, Lan, Process, ROOM, deaddrop, send_file, send_message, wait_for, write};

/// Makes a program of these lines for the shell.
fn program(folder: &Path, lines: &str) -> String {
    let path = write(folder, "program", format!("#!/bin/sh\n{lines}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A listener that runs these lines, with arguments, for each drop.
fn runs(host: &Host, folder: &Path, lines: &str, more: &[&str]) -> Process {
    let program = program(folder, lines);
    fetcher(host, folder, "all", &[&["--exec", &program], more].concat())
}

#[test]
fn a_program_is_told_of_a_drop_and_gets_it_on_standard_input() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let lines = r#"{ env | grep ^DEADDROP_ | grep -v ^DEADDROP_TEST_ | sort; echo "arguments: $# $1 $2"; echo "input: $(cat)"; } > "$3"; exit 3"#;
    let told = folder.path().join("told");
    let arguments = ["--", "-x", "a b; $(id) *", told.to_str().unwrap()];
    let mut fetching = runs(host, folder.path(), lines, &arguments);
    let (_sending, token, port) = send_message(host, folder.path(), "the message", &[]);
    let executed = fetching.event("executed");
    assert_eq!(executed, json!({ "event": "executed", "token": token, "code": 3, "timed_out": false }));
    let received = fetching.events.iter().find(|event| event["event"] == "received").unwrap();
    let path = received["path"].as_str().unwrap();
    assert_eq!(
        fs::read_to_string(&told).unwrap(),
        format!(
            "DEADDROP_FROM={ip}:{port}\nDEADDROP_KIND=message\nDEADDROP_NAME=\nDEADDROP_PATH={path}\nDEADDROP_SIZE=11\n\
             DEADDROP_TOKEN={token}\narguments: 3 -x a b; $(id) *\ninput: the message\n",
            ip = host.ip
        ),
        "the passphrase, which this process has in its environment, is not among it"
    );

    // A name that a shell would act upon, and a folder.
    let file = write(folder.path(), "$(touch pwned);`id`", b"content");
    let (_sending, ..) = send_file(host, folder.path(), &file, &[]);
    fetching.event("executed");
    let text = fs::read_to_string(&told).unwrap();
    assert!(
        text.contains("\nDEADDROP_NAME=$(touch pwned);`id`\n") && text.contains("input: content\n"),
        "{text}"
    );
    fs::create_dir(folder.path().join("photos")).unwrap();
    write(&folder.path().join("photos"), "x", b"1");
    let (_sending, ..) = send_file(host, folder.path(), &folder.path().join("photos"), &[]);
    fetching.event("executed");
    let text = fs::read_to_string(&told).unwrap();
    assert!(text.contains("DEADDROP_KIND=directory\n") && text.contains("/inbox/photos\n"), "{text}");
    assert!(text.ends_with("input: \n"), "{text}");
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn what_it_prints_is_not_among_the_events() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut fetching = runs(host, folder.path(), "echo '{\"event\":\"forged\"}'", &[]);
    let (_sending, ..) = send_message(host, folder.path(), "x", &[]);
    assert_eq!(fetching.event("executed")["code"], 0);
    assert!(fetching.events.iter().all(|event| event["event"] != "forged"), "{:?}", fetching.events);
    assert!(fetching.errors().contains("forged"));
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let pids = folder.path().join("pids");
    let lines = r#"trap '' TERM; sleep 600 & echo $! > "$1"; wait; wait"#;
    let mut fetching =
        runs(host, folder.path(), lines, &["--exec-timeout", "1s", "--", pids.to_str().unwrap()]);
    let (_sending, ..) = send_message(host, folder.path(), "x", &[]);
    fetching.event("received");
    let begun = Instant::now();
    let executed = fetching.event("executed");
    assert_eq!((&executed["signal"], &executed["timed_out"]), (&json!(9), &json!(true)), "{executed}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let started = fs::read_to_string(&pids).unwrap();
    wait_for(|| !is_running(started.trim()));
}

/// Whether a process is there and is no zombie.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn programs_run_one_at_a_time() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    // A second one would find the folder there.
    let lines = r#"mkdir "$1" || exit 9; sleep 0.2; rmdir "$1""#;
    let alone = folder.path().join("alone");
    let mut fetching = runs(host, folder.path(), lines, &["--", alone.to_str().unwrap()]);
    let _sending: Vec<_> = (0..4).map(|_| send_message(host, folder.path(), "x", &[])).collect();
    for _ in 0..4 {
        assert_eq!(fetching.event("executed")["code"], 0);
    }
}

#[test]
fn drops_are_fetched_while_a_program_runs() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let go = folder.path().join("go");
    let lines = r#"until [ -e "$1" ]; do sleep 0.1; done"#;
    let mut fetching = runs(host, folder.path(), lines, &["--", go.to_str().unwrap()]);
    let sending: Vec<_> = (0..6).map(|_| send_message(host, folder.path(), "x", &[])).collect();
    // More than there are fetches at once.
    let received = tokens(&mut fetching, "received", 6);
    for (mut sending, ..) in sending {
        assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    }
    assert!(fetching.events.iter().all(|event| event["event"] != "executed"), "{:?}", fetching.events);
    fs::write(go, "").unwrap();
    assert_eq!(tokens(&mut fetching, "executed", 6), received);
}

#[test]
fn a_drop_that_waits_for_its_program_when_a_signal_comes_is_told_of() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let begun = folder.path().join("begun");
    let lines = r#": > "$1"; exec sleep 600"#;
    let mut fetching = runs(host, folder.path(), lines, &["--", begun.to_str().unwrap()]);
    let _sending: Vec<_> = (0..4).map(|_| send_message(host, folder.path(), "x", &[])).collect();
    let received = tokens(&mut fetching, "received", 4);
    wait_for(|| begun.exists());
    ends(&mut fetching, SIGNALS[1]);
    let executed = fetching.events.iter().find(|event| event["event"] == "executed").unwrap();
    let not_run = fetching.events.iter().filter(|event| event["code"] == "exec-failed");
    let not_run: Vec<_> = not_run.filter_map(|event| event["message"].as_str()).collect();
    assert_eq!(not_run.len(), 3, "{:?}", fetching.events);
    for token in received {
        let told = not_run.iter().any(|message| message.contains(&token));
        assert!(told != (executed["token"] == *token), "{token}: {:?}", fetching.events);
    }
}

/// The tokens of the next so many events of this name, sorted.
fn tokens(process: &mut Process, event: &str, count: usize) -> Vec<String> {
    let token = |_| process.event(event)["token"].as_str().unwrap().to_owned();
    let mut tokens: Vec<_> = (0..count).map(token).collect();
    tokens.sort();
    tokens
}

#[test]
fn a_program_that_cannot_be_run_leaves_the_drop_where_it_is() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let program = program(folder.path(), "true");
    let mut fetching = fetcher(host, folder.path(), "all", &["--exec", &program]);
    fs::remove_file(program).unwrap();
    let (mut sending, ..) = send_message(host, folder.path(), "x", &[]);
    let path = fetching.event("received")["path"].as_str().unwrap().to_owned();
    let warning = fetching.event("warning");
    assert_eq!(warning["code"], "exec-failed");
    assert_eq!((fs::read(path).unwrap(), sending.exit_code()), (b"x".to_vec(), 0));
}

#[test]
fn how_it_ended_is_known_although_the_parent_ignores_that() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut command = host.command("env");
    command.args(["--ignore-signal=CHLD", deaddrop(), "run", "--json", "--auto-fetch", "all"]);
    command.args(["--out", ".", "--exec", &program(folder.path(), "exit 3")]);
    command.env("DEADDROP_ROOM", ROOM).current_dir(folder.path());
    let mut fetching = Process::from_command(command, "run without CHLD".into());
    fetching.event("ready");
    let (_sending, ..) = send_message(host, folder.path(), "x", &[]);
    assert_eq!(fetching.event("executed")["code"], 3);
    assert!(fetching.events.iter().all(|event| event["event"] != "warning"), "{:?}", fetching.events);
}

#[test]
fn a_signal_ends_the_program_too() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let pids = folder.path().join("pids");
    let lines = r#"echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 600"#;
    let mut fetching = runs(host, folder.path(), lines, &["--", pids.to_str().unwrap()]);
    let (_sending, ..) = send_message(host, folder.path(), "x", &[]);
    wait_for(|| pids.exists());
    ends(&mut fetching, SIGNALS[1]);
    let pid = fs::read_to_string(&pids).unwrap();
    assert!(!is_running(pid.trim()));
    assert!(fetching.events.iter().any(|event| event["signal"] == 15), "{:?}", fetching.events);
}
