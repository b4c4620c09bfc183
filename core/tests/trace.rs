//! Every decision has its trace line, and no line contains a secret (decision 0020).
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use std::net::SocketAddr;
use std::sync::Mutex;

use deaddrop_core::discovery::{Arrival, Browser, ProbeError};
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Beacon, BeaconKind};
use log::{LevelFilter, Log, Metadata, Record};
use net::receiver::{Goal, Outcome};
use net::{ROOM, World, client, id, seconds};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.target(), "deaddrop");
        self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// The forms in which bytes could appear in a line: Rust's debug output and hex.
fn forms(bytes: &[u8]) -> Vec<String> {
    let debug = format!("{bytes:?}");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![debug.trim_matches(['[', ']']).to_owned(), hex.clone(), hex.to_uppercase()]
}

/// Fetches that succeed, break, are refused or are strangers', and beacons that count or are ignored.
fn everything() -> Vec<Token> {
    let mut world = World::new(2);
    let tokens = vec![world.put(200_000, 1), world.put(10, 1), world.put_for(10, 1, seconds(5))];
    let n = world.member(&[Goal::Fetch(tokens[0], id(0xa7))]);
    world.receiver(n).redials = true;
    world.conns[n].down.cut_at = Some(100_000);
    let stranger = world.connect(client(99), ROOM + 1, &[Goal::List]);
    let listing = world.member(&[Goal::List, Goal::Fetch(tokens[1], id(0xa8))]);
    world.run(seconds(30));
    assert_eq!(world.outcome(n), Some(Outcome::Done));
    assert_eq!(world.outcome(listing), Some(Outcome::Done));
    assert_eq!(world.outcome(stranger), Some(Outcome::Failed(ClientError::NotMember)));
    let late = world.member(&[Goal::Fetch(tokens[1], id(0xa9))]);
    world.run(seconds(30));
    assert!(matches!(world.outcome(late), Some(Outcome::Refused(_))));
    world.wait(seconds(10));

    let mut rng = net::rng();
    let now = Instant::from_millis(5_000);
    let mut browser = Browser::<4, 4, 16>::new(now, Instance::random(&mut rng));
    let from = SocketAddr::from(([10, 0, 0, 7], 48_555));
    let beacon = Beacon {
        kind: BeaconKind::Announce,
        port: 48_556,
        instance: Instance::random(&mut rng),
        revision: 1,
    };
    for attached in [false, true] {
        browser.handle_beacon(now, &Arrival { from, attached, loopback: false }, &beacon, &mut rng);
    }
    let now = now + seconds(5);
    let probe = browser.poll_probe(now, &mut rng).unwrap();
    browser.handle_probe(now, &probe, Err(ProbeError::Session(ClientError::NotMember)));
    tokens
}

#[test]
fn every_decision_has_its_line_and_no_line_has_a_secret_a_token_or_a_name() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let tokens = everything();
    let lines = LINES.0.lock().unwrap().clone();
    for decision in [
        "server: connection 0 from 10.0.1.0: Open",
        "message 2: Granted",
        ": a member",
        ": not a member",
        ": refused: Gone",
        "drops: claimed",
        "drops: confirmed, 0 left",
        "drops: ended: Fetched, unconfirmed false",
        "drops: ended: Expired, unconfirmed false",
        "client: 10.0.0.1 is a member",
        "fetch: claimed: 200000 bytes from 0 on",
        "fetch: Session(Reset): Retry(None), claimed true",
        "fetch: claimed: 200000 bytes from 65536 on",
        "fetch: whole and durable, 200000 bytes",
        "fetch: confirmed",
        "discovery: beacon from 10.0.0.7:48555 ignored: attached false",
        "discovery: new peer 10.0.0.7:48556",
        "discovery: probe of 10.0.0.7:48556: NotMember",
    ] {
        assert!(lines.iter().any(|line| line.contains(decision)), "no line for: {decision}\n{lines:#?}");
    }
    let mut secrets = vec!["plans.txt".to_owned()];
    for token in &tokens {
        // A short prefix already identifies a drop.
        secrets.push(token.to_string()[..6].to_owned());
        secrets.extend(forms(&token.as_bytes()[..4]));
    }
    secrets.extend([0xa7, 0xa8, 0xa9].iter().flat_map(|id| forms(&[*id; 4])));
    for room in [ROOM, ROOM + 1] {
        secrets.extend(forms(&net::prs(room).expose()[..4]));
    }
    for line in &lines {
        for secret in &secrets {
            assert!(!line.contains(secret.as_str()), "{secret} in: {line}");
        }
    }
    assert!(lines.iter().all(|line| line.starts_with("DEBUG") || line.starts_with("TRACE")));
}
