//! Limits of the system that are too low: one line that says so, and neither a panic nor a program that does nothing.

use std::process::Command;

use testbed::PATIENCE;

use crate::support::{Host, Lan, Process, ROOM, deaddrop, send_message};

/// Root is no subject of a limit of processes.
const SOMEBODY: &str = "42421";

/// deaddrop under this limit.
fn limited(host: &Host, limit: &str, words: &[&str]) -> Command {
    let mut command = host.command("prlimit");
    command.arg(limit);
    if rustix::process::geteuid().is_root() && limit.starts_with("--nproc") {
        command.args(["setpriv", "--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups"]);
        // It may find the program where only root may look.
        command.args(["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]);
    }
    command.arg(deaddrop()).args(words).env("DEADDROP_ROOM", ROOM);
    command
}

#[test]
fn what_there_is_not_enough_of_is_said() {
    let lan = Lan::alone();
    let limits = [
        ("--nofile=6:6", "not enough files can be open at once", "ulimit -n"),
        ("--nofile=16:16", "not enough files can be open at once", "ulimit -n"),
        ("--nproc=2:2", "not enough threads can be started", "ulimit -u"),
        ("--as=40000000", "not enough memory", "ulimit -v"),
    ];
    for (limit, what, advice) in limits {
        for words in [&["run"][..], &["send-msg", "hello"], &["fetch"]] {
            let what_runs = format!("{words:?} under {limit}");
            let mut process = Process::from_command(limited(&lan.hosts[0], limit, words), what_runs);
            let (code, said) = process.exit_and_errors();
            assert_eq!((code, said.lines().count()), (1, 1), "{limit}: {said}");
            assert!(said.starts_with(&format!("deaddrop: {what}")) && said.contains(advice), "{said}");
        }
    }
}

#[test]
fn a_listener_that_is_ready_shows_what_is_offered_however_few_files_it_may_open() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (_sending, token, _) = send_message(host, folder.path(), "hello", &[]);
    let (mut ready, mut refused) = (0, 0);
    // Each address has four descriptors of its own, and at one of the limits none is left for a connection.
    for address in 2..9 {
        host.ip_command(&format!("address add 127.0.0.{address}/8 dev lo"));
        for limit in 45..49 {
            let command = limited(host, &format!("--nofile={limit}:{limit}"), &["run", "--json"]);
            let mut listening = Process::from_command(command, format!("run with {limit} files"));
            if listening.event_within("ready", PATIENCE).is_some() {
                assert_eq!(listening.event("offer")["token"], token);
                ready += 1;
                continue;
            }
            assert_eq!(listening.exit_code(), 1, "{:?}", listening.events);
            let said = listening.last()["message"].as_str().unwrap();
            assert!(said.contains("ulimit -n"), "{said}");
            refused += 1;
        }
    }
    assert!(ready > 0 && refused > 0, "{ready} {refused}");
}
