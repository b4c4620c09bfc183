//! The blocking front end against the command and against itself.
//!
//! The other half of each test is [`part`], played on a host of the test's LAN: what to do comes by its standard
//! input as JSON.

mod support;

use std::io::Read;
use std::net::IpAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use deaddrop::blocking::{
    FoundOffer, Kind, Network, Receiver, Room, Sender, SenderEvent, Stopper, TokenPrefix,
};
use deaddrop::{Error, FetchError};
use serde_json::{Value, json};
use support::actor::hang;
use support::neighbour::{self, tell};
use support::{
    Host, Lan, Process, ROOM, fetch, listener, names, noise, send_file, send_message, spawn, write,
};

/// Starts a part on a host.
fn start(host: &Host, folder: &Path, room: &str, what: &Value) -> Process {
    let mut command = neighbour::command(host, "part", &[]);
    command.current_dir(folder).env("DEADDROP_ROOM", room);
    let mut process = Process::from_command(command, what.to_string());
    process.say(what.to_string().as_bytes());
    process.close_input();
    process
}

/// A blocking sender that is ready, and its token.
fn serve(host: &Host, folder: &Path, mut what: Value) -> (Process, String) {
    what["do"] = "send".into();
    let mut process = start(host, folder, ROOM, &what);
    let token = process.event("ready")["token"].as_str().expect("a token").to_owned();
    (process, token)
}

/// A blocking receiver that takes a drop from a host.
fn take(host: &Host, folder: &Path, from: &Host, token: &str, mut what: Value) -> Process {
    what["do"] = "fetch".into();
    what["ip"] = from.ip.clone().into();
    what["token"] = token.into();
    start(host, folder, ROOM, &what)
}

/// Lets a part go on that waits at this socket in the folder.
fn go_on(folder: &Path, name: &str) {
    drop(UnixStream::connect(folder.join(name)).expect("a part that waits"));
}

#[test]
fn neighbour() {
    support::play(&[&support::actor::ROLES[..], &[("part", part)]].concat());
}

/// The role of a program that uses the library.
fn part(_: &[&str]) {
    let passphrase = std::env::var("DEADDROP_ROOM").unwrap();
    let room = Room::from_passphrase(&passphrase).unwrap();
    let mut what = String::new();
    std::io::stdin().read_to_string(&mut what).unwrap();
    let what: Value = serde_json::from_str(&what).unwrap();
    let done = match what["do"].as_str().unwrap() {
        "send" => send(&room, &what),
        other => receive(&room, other, &what),
    };
    if let Err(error) = done {
        tell(&json!({ "event": "error", "error": kind(&error), "debug": format!("{error:?}") }));
    }
    // smol's reactor would be a thread of this name.
    assert!(!threads().contains(&"async-io".to_owned()));
}

/// The kind of an error, for the tests to compare.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Stopped => "stopped",
        Error::Interface(_) => "interface",
        Error::Fetch(error) => match error {
            FetchError::Unreachable(_) => "unreachable",
            FetchError::NotMember => "not a member",
            FetchError::Busy(_) => "busy",
            FetchError::Unknown | FetchError::Gone => "not there",
            FetchError::Expired => "expired",
            FetchError::Changed => "changed",
            FetchError::WrongKind(_) => "wrong kind",
            _ => "another fetch error",
        },
        _ => "another error",
    }
}

fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        // A thread may end while we look.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).map(|name| name.trim_end().to_owned()).collect()
}

/// Calls `then` once a test says so, if it is to.
fn on_call(what: &Value, name: &str, then: impl FnOnce() + Send + 'static) {
    if let Some(path) = what[name].as_str() {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            listener.accept().unwrap();
            then();
        });
    }
}

fn stop_on_call(what: &Value, stopper: Stopper) {
    on_call(what, "stop", move || stopper.stop());
}

fn send(room: &Room, what: &Value) -> Result<(), Error> {
    let mut builder = match what["file"].as_str() {
        Some(path) => Sender::file(path)?,
        None => Sender::message(what["text"].as_str().unwrap().as_bytes().to_vec())?,
    };
    if let Some(seconds) = what["ttl"].as_u64() {
        builder = builder.ttl(Duration::from_secs(seconds));
    }
    if let Some(fetches) = what["fetches"].as_u64() {
        builder = builder.fetches(u8::try_from(fetches).unwrap());
    }
    if let Some(name) = what["name"].as_str() {
        builder = builder.name(name)?;
    }
    if let Some(interface) = what["interface"].as_str() {
        builder = builder.network(Network { interfaces: vec![interface.into()], ..Network::default() });
    }
    let sender = builder.offer(room)?;
    let stopper = sender.stopper();
    stop_on_call(what, sender.stopper());
    let addresses: Vec<String> = sender.addresses().iter().map(ToString::to_string).collect();
    tell(&json!({
        "event": "ready",
        "token": sender.token().to_string(),
        "port": sender.port(),
        "addresses": addresses,
    }));
    let ended = sender.serve(|event| match event {
        SenderEvent::Fetched { by } => {
            tell(&json!({ "event": "fetched", "by": by.to_string(), "threads": threads() }));
            if what["stop-when-fetched"] == true {
                stopper.stop();
            }
        }
        other => tell(&json!({ "event": "other", "debug": format!("{other:?}") })),
    })?;
    tell(&json!({ "event": "ended", "how": format!("{ended:?}") }));
    Ok(())
}

fn receive(room: &Room, how: &str, what: &Value) -> Result<(), Error> {
    let mut receiver = Receiver::new(room);
    if let Some(seconds) = what["wait"].as_u64() {
        receiver = receiver.wait(Duration::from_secs(seconds));
    }
    stop_on_call(what, receiver.stopper());
    tell(&json!({ "event": "begun" }));
    let ip = || what["ip"].as_str().unwrap().parse::<IpAddr>().unwrap();
    let port = || what["port"].as_u64().map(|port| u16::try_from(port).unwrap());
    match how {
        "list" => tell_found(&receiver.list(ip(), port())?),
        "discover" => tell_found(&receiver.discover(Duration::from_secs(what["seconds"].as_u64().unwrap()))?),
        "fetch" => {
            let token: TokenPrefix = what["token"].as_str().unwrap().parse().unwrap();
            let claim = receiver.claim_from(ip(), port(), token)?;
            tell(&json!({ "event": "claimed", "from": claim.from() }));
            if let Some(path) = what["hold"].as_str() {
                UnixListener::bind(path).unwrap().accept().unwrap();
                drop(claim);
            } else if let Some(path) = what["save"].as_str() {
                let received = claim.save(path)?;
                tell(&json!({
                    "event": "received", "path": received.content, "confirmed": received.confirmed,
                }));
            } else {
                let received = claim.message()?;
                let text = String::from_utf8(received.content.to_vec()).unwrap();
                tell(&json!({ "event": "received", "text": text, "confirmed": received.confirmed }));
            }
        }
        "take-all" => {
            for found in receiver.discover(Duration::from_secs(what["seconds"].as_u64().unwrap()))? {
                let claim = receiver.claim(&found)?;
                assert_eq!(*claim.offer(), found.offer);
                match found.offer.kind {
                    Kind::Message => {
                        let text = String::from_utf8(claim.message()?.content.to_vec()).unwrap();
                        tell(&json!({ "event": "received", "text": text }));
                    }
                    _ => {
                        let path = claim.save(".")?.content;
                        tell(&json!({ "event": "received", "path": path }));
                    }
                }
            }
        }
        other => panic!("{other}"),
    }
    Ok(())
}

fn tell_found(found: &[FoundOffer]) {
    let found: Vec<Value> = found
        .iter()
        .map(|found| {
            json!({
                "token": found.offer.token.to_string(),
                "kind": found.offer.kind.to_string(),
                "name": found.offer.name.as_str(),
                "size": found.offer.size,
                "from": found.from,
            })
        })
        .collect();
    tell(&json!({ "event": "found", "found": found }));
}

/// The end of a part that did what it was to do.
fn ends_well(process: &mut Process) {
    let code = process.exit_code();
    assert_eq!(code, 0, "{:?}", process.events);
    assert!(process.events.iter().all(|event| event["event"] != "error"), "{:?}", process.events);
}

#[test]
fn the_command_takes_what_a_blocking_sender_holds() {
    let lan = Lan::of(3);
    let [sender, receiver, third] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listener = listener(third, folder.path());

    let (mut sending, token) = serve(sender, folder.path(), json!({ "text": "from a thread" }));
    let offer = listener.event("offer");
    assert_eq!((&offer["token"], &offer["kind"]), (&json!(token), &json!("message")));
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "from a thread");
    assert_eq!(fetching.exit_code(), 0);
    let fetched = sending.event("fetched");
    assert_eq!(fetched["by"], receiver.ip);
    let threads: Vec<&str> = fetched["threads"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    // Ours, and perhaps the one that served, but no reactor.
    assert!(!threads.is_empty() && !threads.contains(&"async-io"), "{threads:?}");
    assert_eq!(listener.event("gone")["reason"], "fetched");
    assert_eq!(sending.event("ended")["how"], "Fetched");
    ends_well(&mut sending);

    let content = noise(2, 3_000_000);
    let path = write(folder.path(), "plain.bin", &content);
    let what = json!({ "file": path, "name": "other name.bin" });
    let (mut sending, _) = serve(sender, folder.path(), what);
    let here = tempfile::tempdir().unwrap();
    // Found by its announcement alone.
    let mut fetching = spawn(receiver, here.path(), ROOM, &["fetch", "--json"], b"");
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(names(here.path()), ["other name.bin"]);
    assert_eq!(std::fs::read(here.path().join("other name.bin")).unwrap(), content);
    assert_eq!(sending.event("ended")["how"], "Fetched");
    ends_well(&mut sending);
}

#[test]
fn a_blocking_receiver_takes_what_the_command_holds() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(sender, folder.path(), "to a thread", &[]);
    // By the first characters of the token, and by the port.
    let mut taking = take(receiver, folder.path(), sender, &token[..8], json!({ "port": port }));
    let received = taking.event("received");
    assert_eq!((&received["text"], &received["confirmed"]), (&json!("to a thread"), &json!(true)));
    ends_well(&mut taking);
    assert_eq!(sending.event("fetched")["by"], receiver.ip);
    assert_eq!(sending.exit_code(), 0);

    let content = noise(3, 12_000_000);
    let path = write(folder.path(), "large.bin", &content);
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    let here = tempfile::tempdir().unwrap();
    let mut taking = take(receiver, folder.path(), sender, &token, json!({ "save": here.path() }));
    let received = taking.event("received");
    assert_eq!(received["path"].as_str(), here.path().join("large.bin").to_str());
    assert_eq!(std::fs::read(here.path().join("large.bin")).unwrap(), content);
    assert_eq!(names(here.path()), ["large.bin"]);
    ends_well(&mut taking);
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn each_of_several_receivers_at_once_gets_the_whole_drop_and_one_more_gets_nothing() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let content = noise(4, 2_000_000);
    let path = write(folder.path(), "for all.bin", &content);
    let (mut sending, token) = serve(sender, folder.path(), json!({ "file": path, "fetches": 4 }));
    let places: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut all: Vec<Process> = places
        .iter()
        .map(|here| take(receiver, folder.path(), sender, &token, json!({ "save": here.path() })))
        .collect();
    // The sender goes on answering as long as somebody is connected, two seconds in this case.
    let mut hanging = None;
    for (taking, here) in all.iter_mut().zip(&places) {
        taking.event("received");
        hanging = Some(hang(sender, 48_556, 1));
        assert_eq!(std::fs::read(here.path().join("for all.bin")).unwrap(), content);
        ends_well(taking);
    }
    for _ in 0..4 {
        sending.event("fetched");
    }
    let mut late = take(receiver, folder.path(), sender, &token, json!({}));
    let error = late.event("error");
    assert_eq!(error["error"], "not there");
    assert_eq!(sending.event("ended")["how"], "Fetched");
    ends_well(&mut sending);
    drop(hanging);
}

#[test]
fn offers_are_listed_and_discovered() {
    let lan = Lan::of(3);
    let [sender, other, receiver] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "listed.bin", b"12345");
    let (mut first, token, port) = send_message(sender, folder.path(), "one", &[]);
    let (mut second, second_token) = serve(sender, folder.path(), json!({ "file": path }));
    let (mut third, third_token) = serve(other, folder.path(), json!({ "text": "three" }));

    let found = |what: Value| {
        let mut process = start(receiver, folder.path(), ROOM, &what);
        let found = process.event("found")["found"].as_array().unwrap().clone();
        ends_well(&mut process);
        found
    };
    let tokens = |found: &[Value]| {
        let mut tokens: Vec<String> =
            found.iter().map(|offer| offer["token"].as_str().unwrap().to_owned()).collect();
        tokens.sort();
        tokens
    };
    let sorted = |mut tokens: Vec<&String>| {
        tokens.sort();
        tokens.into_iter().cloned().collect::<Vec<_>>()
    };
    // One port has one sender's drops, all ports have those of all senders there, the LAN has all.
    let one = found(json!({ "do": "list", "ip": sender.ip, "port": port }));
    assert_eq!(tokens(&one), std::slice::from_ref(&token));
    let both = found(json!({ "do": "list", "ip": sender.ip }));
    assert_eq!(tokens(&both), sorted(vec![&token, &second_token]));
    let file = both.iter().find(|offer| offer["kind"] == "file").unwrap();
    assert_eq!((&file["name"], &file["size"]), (&json!("listed.bin"), &json!(5)));
    let all = found(json!({ "do": "discover", "seconds": 3 }));
    assert_eq!(tokens(&all), sorted(vec![&token, &second_token, &third_token]));

    let here = tempfile::tempdir().unwrap();
    let mut taking = start(receiver, here.path(), ROOM, &json!({ "do": "take-all", "seconds": 3 }));
    ends_well(&mut taking);
    assert_eq!(names(here.path()), ["listed.bin"]);
    for text in ["one", "three"] {
        assert!(taking.events.iter().any(|event| event["text"] == text), "{:?}", taking.events);
    }
    assert_eq!(first.exit_code(), 0);
    ends_well(&mut second);
    ends_well(&mut third);
}

#[test]
fn a_stranger_is_told_so_and_the_owner_of_the_drop_too() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token) = serve(sender, folder.path(), json!({ "text": "not for you" }));
    let other = "another room altogether, with other words";
    for what in
        [json!({ "do": "fetch", "ip": sender.ip, "token": token }), json!({ "do": "list", "ip": sender.ip })]
    {
        let mut stranger = start(receiver, folder.path(), other, &what);
        let error = stranger.event("error");
        assert_eq!(error["error"], "not a member");
    }
    let mut stranger = start(receiver, folder.path(), other, &json!({ "do": "discover", "seconds": 1 }));
    assert_eq!(stranger.event("found")["found"], json!([]));
    let warning = sending.event("other")["debug"].as_str().unwrap().to_owned();
    assert!(warning.starts_with("Guessing"), "{warning}");
    // A member still gets it.
    let mut taking = take(receiver, folder.path(), sender, &token, json!({}));
    assert_eq!(taking.event("received")["text"], "not for you");
    ends_well(&mut sending);
}

#[test]
fn a_drop_that_nobody_fetches_expires() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token) = serve(host, folder.path(), json!({ "text": "too late", "ttl": 1 }));
    // Another sender there, which never heard of the first one's drop.
    let (mut held, held_token) = serve(host, folder.path(), json!({ "text": "held", "ttl": 3600 }));
    assert_eq!(sending.event("ended")["how"], "Expired { unconfirmed: false }");
    ends_well(&mut sending);
    let mut taking = take(host, folder.path(), host, &token, json!({}));
    assert_eq!(taking.event("error")["error"], "not there");
    let mut taking = take(host, folder.path(), host, &held_token, json!({}));
    assert_eq!(taking.event("received")["text"], "held");
    ends_well(&mut held);
}

#[test]
fn a_stopper_takes_the_drop_back() {
    let lan = Lan::of(2);
    let [sender, third] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listener = listener(third, folder.path());
    let stop = folder.path().join("stop");
    let (mut sending, token) = serve(sender, folder.path(), json!({ "text": "never mind", "stop": stop }));
    assert_eq!(listener.event("offer")["token"], token);
    go_on(folder.path(), "stop");
    assert_eq!(listener.event("gone")["reason"], "withdrawn");
    assert_eq!(sending.event("ended")["how"], "Stopped { unconfirmed: false }");
    ends_well(&mut sending);

    // From an event, with a fetch left, and a receiver that holds a claim on it.
    let what = json!({ "text": "once", "fetches": 2, "stop-when-fetched": true });
    let (mut sending, token) = serve(sender, folder.path(), what);
    let hold = folder.path().join("hold");
    let mut holding = take(third, folder.path(), sender, &token, json!({ "hold": hold }));
    holding.event("claimed");
    let mut taking = take(third, folder.path(), sender, &token, json!({}));
    assert_eq!(taking.event("received")["confirmed"], true);
    assert_eq!(sending.event("ended")["how"], "Stopped { unconfirmed: false }");
    ends_well(&mut sending);
    go_on(folder.path(), "hold");
    ends_well(&mut holding);
}

#[test]
fn a_stopper_ends_a_receiver_that_waits() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "0".repeat(26);
    for (i, what) in [
        json!({ "do": "fetch", "ip": "127.0.0.1", "port": 48_556, "token": nowhere, "wait": 86_400 }),
        json!({ "do": "list", "ip": "127.0.0.1", "wait": 86_400 }),
        json!({ "do": "discover", "seconds": 86_400 }),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("stop{i}");
        let mut what = what;
        what["stop"] = json!(folder.path().join(&name));
        let mut waiting = start(host, folder.path(), ROOM, &what);
        waiting.event("begun");
        go_on(folder.path(), &name);
        assert_eq!(waiting.event("error")["error"], "stopped");
    }
}

#[test]
fn a_claim_that_is_dropped_gives_the_drop_back() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token) = serve(host, folder.path(), json!({ "text": "after you" }));
    let hold = folder.path().join("hold");
    let mut holding = take(host, folder.path(), host, &token, json!({ "hold": hold }));
    holding.event("claimed");
    let mut hasty = take(host, folder.path(), host, &token, json!({ "wait": 0 }));
    assert_eq!(hasty.event("error")["error"], "busy");
    let mut patient = take(host, folder.path(), host, &token, json!({ "wait": 3_600 }));
    patient.event("begun");
    go_on(folder.path(), "hold");
    assert_eq!(patient.event("received")["text"], "after you");
    ends_well(&mut holding);
    ends_well(&mut sending);
}

#[test]
fn a_file_that_changes_is_withdrawn() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "changing.bin", &noise(5, 100_000));
    let (mut sending, token) = serve(host, folder.path(), json!({ "file": path }));
    write(folder.path(), "changing.bin", &noise(6, 100_000));
    let here = tempfile::tempdir().unwrap();
    let mut taking = take(host, folder.path(), host, &token, json!({ "save": here.path() }));
    assert_eq!(taking.event("error")["error"], "changed");
    assert_eq!(sending.event("ended")["how"], "Changed { unconfirmed: false }");
    assert_eq!(names(here.path()), Vec::<String>::new());
    ends_well(&mut sending);
}

#[test]
fn a_file_is_no_message_and_the_sender_keeps_it() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "file.bin", b"a file");
    let (mut sending, token) = serve(host, folder.path(), json!({ "file": path }));
    let mut taking = take(host, folder.path(), host, &token, json!({}));
    assert_eq!(taking.event("error")["error"], "wrong kind");
    let here = tempfile::tempdir().unwrap();
    // A file of the name that means standard output on the command line.
    let mut taking = take(host, here.path(), host, &token, json!({ "save": "-" }));
    taking.event("received");
    assert_eq!(names(here.path()), ["-"]);
    ends_well(&mut sending);
}

#[test]
fn where_interfaces_are_chosen_others_are_shut() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token) = serve(sender, folder.path(), json!({ "text": "here", "interface": "eth0" }));
    let local = json!({ "do": "fetch", "ip": "127.0.0.1", "token": token, "wait": 0 });
    let mut shut_out = start(sender, folder.path(), ROOM, &local);
    assert_eq!(shut_out.event("error")["error"], "unreachable");
    let mut taking = take(receiver, folder.path(), sender, &token, json!({}));
    assert_eq!(taking.event("received")["text"], "here");
    ends_well(&mut sending);

    let what = json!({ "do": "send", "text": "nowhere", "interface": "eth7" });
    let mut failing = start(sender, folder.path(), ROOM, &what);
    assert_eq!(failing.event("error")["error"], "interface");
}

#[test]
fn an_address_that_nobody_has_is_given_up() {
    let lan = Lan::of(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    // On this network, but silent: connections to it are neither taken nor refused.
    let what = json!({ "do": "list", "ip": "10.77.0.99", "wait": 0 });
    let mut asking = start(host, folder.path(), ROOM, &what);
    assert_eq!(asking.event("error")["error"], "unreachable");

    let stop = folder.path().join("stop");
    let what = json!({ "do": "list", "ip": "10.77.0.99", "wait": 86_400, "stop": stop });
    let mut asking = start(host, folder.path(), ROOM, &what);
    asking.event("begun");
    go_on(folder.path(), "stop");
    assert_eq!(asking.event("error")["error"], "stopped");
}
