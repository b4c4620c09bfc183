//! The trace of a whole exchange: it tells what was decided, and no secret.

mod support;

use support::{Host, Lan, Process, ROOM, fetch, send_message, spawn, write};

const NAME: &str = "heist-plans.txt";
const CONTENT: &str = "the vault opens at midnight";

/// What a process wrote to standard error: with `--json`, the trace alone.
fn trace_of(process: &mut Process) -> String {
    let trace = process.errors();
    for line in trace.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(
            matches!(words[..], [ms, "ms", "DEBUG" | "TRACE", _, ..] if ms.parse::<u64>().is_ok()),
            "{line}"
        );
    }
    assert!(process.events.iter().all(serde_json::Value::is_object), "{:?}", process.events);
    trace
}

#[track_caller]
fn holds(trace: &str, lines: &[&str]) {
    for line in lines {
        assert!(trace.contains(line), "no line for: {line}\n{trace}");
    }
}

/// Sends a file with these options, fetches it found by beacons, and gives both traces, and the token.
fn exchange(lan: &Lan, verbose: &str) -> (String, String, String) {
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("from-here"), folder.path().join("to-there"));
    std::fs::create_dir(&here).unwrap();
    std::fs::create_dir(&there).unwrap();
    let path = write(&here, NAME, CONTENT.as_bytes());
    let send = ["send-file", path.to_str().unwrap(), "--json", verbose];
    let mut sending = spawn(sender, &here, ROOM, &send, b"");
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    refused(receiver, sender, &there, verbose);
    let mut fetching = spawn(receiver, &there, ROOM, &["fetch", "--json", verbose, "--token", &token], b"");
    assert_eq!(fetching.exit_code(), 0, "{}", fetching.errors());
    assert_eq!(sending.exit_code(), 0, "{}", sending.errors());
    assert_eq!(std::fs::read_to_string(there.join(NAME)).unwrap(), CONTENT);
    let traces = (trace_of(&mut sending), trace_of(&mut fetching));
    (traces.0, traces.1, token)
}

/// A fetch by somebody who is not a member.
fn refused(receiver: &Host, sender: &Host, folder: &std::path::Path, verbose: &str) {
    let from = format!("{}:48556", sender.ip);
    let mut fetching =
        spawn(receiver, folder, "ferret bucket", &["fetch", "--json", verbose, "--from", &from], b"");
    assert_eq!(fetching.exit_code(), 6);
    let trace = trace_of(&mut fetching);
    holds(&trace, &["transport: connected to", "receiver: another round", "receiver: settled: "]);
    assert!(!trace.contains("ferret") && !trace.contains("bucket"), "{trace}");
}

#[test]
fn each_decision_has_its_line_and_no_line_has_a_secret() {
    let lan = Lan::of(2);
    let (sending, fetching, token) = exchange(&lan, "-vv");
    let (from, to) = (&lan.hosts[0].ip, &lan.hosts[1].ip);
    holds(
        &sending,
        &[
            "program: version",
            &format!("({from}/"),
            "serve: TCP port 48556 is bound",
            &format!("serve: {to}:"),
            &format!("from {to}: Open"),
            ": not a member",
            ": a member",
            "drops: claimed",
            "drops: confirmed, 0 left",
            "lan: Announce to",
        ],
    );
    holds(
        &fetching,
        &[
            "lan: Solicit to",
            &format!("discovery: new peer {from}:48556"),
            &format!("transport: connected to {from}:48556"),
            &format!("client: {from} is a member"),
            "fetch: claimed: 27 bytes from 0 on",
            "files: 27 bytes go to a part file",
            "files: 27 bytes are durable",
            "fetch: confirmed",
        ],
    );
    // Parts too: a prefix of a token names a drop, and one word is a part of the passphrase.
    let content: String = CONTENT.bytes().map(|byte| format!("{byte:02x}")).collect();
    let numbers = format!("{:?}", &CONTENT.as_bytes()[..4]);
    let secrets = ROOM.split(' ').chain(CONTENT.split(' ').filter(|word| word.len() > 4)).chain([
        &token[..4],
        "heist",
        "plans",
        "from-here",
        "to-there",
        &content[..8],
        numbers.trim_matches(['[', ']']),
    ]);
    for secret in secrets {
        for line in sending.lines().chain(fetching.lines()) {
            assert!(!line.to_lowercase().contains(secret), "{secret} in: {line}");
        }
    }
}

#[test]
fn once_shows_decisions_and_no_beacon() {
    let lan = Lan::of(2);
    let (sending, fetching, _) = exchange(&lan, "-v");
    holds(&sending, &["drops: confirmed, 0 left"]);
    holds(&fetching, &["fetch: confirmed"]);
    assert!(!sending.contains("TRACE") && !fetching.contains("TRACE"), "{sending}{fetching}");
}

#[test]
fn there_is_no_trace_unless_it_is_asked_for() {
    let lan = Lan::of(2);
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(&lan.hosts[0], folder.path(), "x", &[]);
    let mut fetching = fetch(&lan.hosts[1], folder.path(), &lan.hosts[0], &token, &[]);
    assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0));
    assert_eq!((fetching.errors(), sending.errors()), (String::new(), String::new()));
}
