//! The walk-through, word for word between two hosts, and how soon an offer is on the screen.

mod support;

use std::time::{Duration, Instant};

use support::{Host, Lan, listener, send_message, spawn};

/// The promise is one second. The limit here leaves room for a machine that is busy with other tests; what
/// was measured is printed.
const SOON: Duration = Duration::from_secs(3);

fn three_hosts(lan: &Lan) -> &[Host; 3] {
    lan.hosts.as_slice().try_into().expect("three hosts")
}

#[test]
fn word_for_word() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    // The environment names another room: what stands on the command line counts.
    let other = "another room altogether";
    let mut listening = spawn(receiver, folder.path(), other, &["run", "--room", "myroom"], b"");
    let send = ["send-msg", "--room", "myroom", "--ttl", "120", "hello there"];
    let mut sending = spawn(sender, folder.path(), other, &send, b"");

    // The first line says what is offered, the second how to get it.
    let shown = listening.line("fetch --from");
    let words: Vec<&str> = shown.split_whitespace().collect();
    let ["deaddrop", "fetch", "--from", from, "--token", token] = words[..] else { panic!("{shown}") };
    let (ip, port) = from.split_once(':').expect("an address and a port");
    assert_eq!((ip, port, token.len()), (sender.ip.as_str(), "48556", 26), "{shown}");
    let offer = listening.events.iter().rev().nth(1).and_then(|line| line.as_str()).unwrap_or_default();
    assert!(offer.starts_with("message, 11 bytes, for 1"), "{offer}");

    let fetched = receiver
        .command(support::deaddrop())
        .args(["fetch", "--from", ip, "--token", token, "--room", "myroom"])
        .current_dir(folder.path())
        .env_remove("DEADDROP_ROOM")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&fetched.stderr);
    assert_eq!(fetched.status.code(), Some(0), "{errors}");
    assert_eq!(String::from_utf8_lossy(&fetched.stdout), "hello there", "{errors}");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(sending.events, Vec::<serde_json::Value>::new(), "a sender has no results");
    assert_eq!(listening.line("Gone"), format!("Gone (fetched): {token}"));
}

#[test]
fn an_offer_is_on_the_screen_within_a_second() {
    let lan = Lan::of(3);
    let [sender, early, late] = three_hosts(&lan);
    let folder = tempfile::tempdir().unwrap();
    let mut early = listener(early, folder.path());
    let (sending, token, _) = send_message(sender, folder.path(), "soon", &[]);
    let offer = early.event("offer");
    assert_eq!(offer["token"], token);
    let took = early.time().saturating_duration_since(sending.time());
    println!("on the screen of one who listened already: {} ms after the sender was ready", took.as_millis());
    assert!(took < SOON, "{took:?}");

    // Long after the first announcements, so that the next one is seconds away.
    let quiet = sending.time() + Duration::from_secs(4);
    assert!(early.event_within("gone", quiet.saturating_duration_since(Instant::now())).is_none());
    let mut late = listener(late, folder.path());
    let ready = late.time();
    assert_eq!(late.event("offer")["token"], token);
    let took = late.time() - ready;
    println!("on the screen of one who came late: {} ms after the listener was ready", took.as_millis());
    assert!(took < SOON, "{took:?}");
}
