//! Servers that are not what they say, and clients that mean harm.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::exchange::Server;
use deaddrop_core::limits::{CONTROL_RECORD, HOST, RECORD_MAX, TTL_MAX};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::time;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{CLIENT_HELLO_LEN, Greeting, Status, Suites};
use support::{
    Beacon, BeaconKind, Lan, Neighbour, Process, ROOM, Until, fetch, listener, say, send_message,
    shake_hands, spawn, wrong_room,
};

/// Guesses that one host may make at once, as promised; after that one comes back in this time.
const BURST: u32 = 16;
/// See [`BURST`].
const REFILL_MS: u64 = 5_000;

/// What fake servers do, each worse than the one before.
const FAKES: [&str; 5] = ["silent", "close", "garbage", "greet", "refuse"];
/// The encoding of a point that anybody may send as a share: the generator of ristretto255.
const SHARE: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58,
    0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

#[test]
fn neighbour() {
    support::play(&[
        ("impostor", impostor),
        ("milk", milk),
        ("guess", guess),
        ("hog", hog),
        ("hoard", hoard),
        ("full", full),
    ]);
}

/// One connection to a fake server. True if the client sent message 4: a guess at its passphrase.
fn deceive(mut stream: &TcpStream, manner: &str, instance: Instance) -> std::io::Result<bool> {
    let greeting = Greeting { status: Status::Ok, suites: Suites::SUPPORTED, instance, nonce: [7; 16] };
    match manner {
        "close" => return Ok(false),
        "garbage" => stream.write_all(&[0x5a; 4_096])?,
        "greet" | "refuse" => stream.write_all(&greeting.emit())?,
        _ => {}
    }
    if manner == "refuse" {
        stream.read_exact(&mut [0; CLIENT_HELLO_LEN])?;
        stream.write_all(&SHARE)?;
        stream.read_exact(&mut [0; CONTROL_RECORD])?;
        return Ok(true);
    }
    // Whatever the client says, it gets no answer.
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(false)
}

/// The role of a server that does not know the passphrase: `manner`, the port, and where to announce it to. It
/// takes on the instance of the first sender that it hears; without one, `alone`, any.
fn impostor(words: &[&str]) {
    let (manner, port) = (words[0].to_owned(), words[1].parse().expect("a port"));
    let server = TcpListener::bind(("0.0.0.0", port)).expect("a port");
    let socket = support::beacon_socket(48_555);
    say("ready");
    let end = support::asked_to_end();
    let nobody =
        Beacon { kind: BeaconKind::Announce, port, instance: Instance::from_bytes([9; 8]), revision: 1 };
    let real = if words[2] == "alone" { nobody } else { support::hear_sender(&socket) };
    thread::spawn(move || {
        while let Ok((stream, _)) = server.accept() {
            let manner = manner.clone();
            thread::spawn(move || deceive(&stream, &manner, real.instance));
        }
    });
    while !end.load(Ordering::Acquire) {
        for kind in [BeaconKind::Announce, BeaconKind::Answer] {
            let _ = socket.send_to(&Beacon { kind, port, ..real }.emit(), "10.77.0.255:48555");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn search(host: &support::Host, folder: &std::path::Path, more: &[&str]) -> Process {
    spawn(host, folder, ROOM, &[&["fetch", "--json"], more].concat(), b"")
}

#[test]
fn impostors_on_other_hosts_do_not_keep_a_drop_from_its_receiver() {
    let lan = Lan::of(2 + FAKES.len());
    let [sender, receiver, others @ ..] = &lan.hosts[..] else { unreachable!("seven hosts") };
    let folder = tempfile::tempdir().unwrap();
    let impostors: Vec<Neighbour> = others
        .iter()
        .zip(FAKES)
        .map(|(host, manner)| Neighbour::start(host, "impostor", &[manner, "48556", "with"]))
        .collect();
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    let mut fetching = search(receiver, folder.path(), &["--wait", "20", "--token", &token]);
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.event("fetched")["by"], receiver.ip);
    assert_eq!(sending.exit_code(), 0);

    // With none but impostors there is nothing to be found, and nobody to be refused by.
    let mut fetching = search(receiver, folder.path(), &["--wait", "3"]);
    assert_eq!(fetching.exit_code(), 7, "{:?}", fetching.events);
    for impostor in impostors {
        impostor.end();
    }
}

#[test]
fn impostors_on_the_senders_own_host_do_not_keep_a_drop_from_its_receiver() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut ports = 48_556..;
    let impostors = FAKES.map(|manner| {
        let port = ports.next().expect("a port").to_string();
        Neighbour::start(sender, "impostor", &[manner, &port, "alone"])
    });
    let (mut sending, token, port) = send_message(sender, folder.path(), "real", &[]);
    assert_eq!(Some(port), ports.next(), "the next port that is free");
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &["--wait", "20"]);
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    for impostor in impostors {
        impostor.end();
    }
}

#[test]
fn what_a_fetch_says_of_an_impostor() {
    let lan = Lan::of(2);
    let [fake, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let token = "0".repeat(26);
    // Who shakes hands and then refuses cannot be told from a sender in another room. None else is mistaken
    // for one.
    for (manner, code) in FAKES.into_iter().zip([7, 7, 7, 7, 6]) {
        let impostor = Neighbour::start(fake, "impostor", &[manner, "50000", "alone"]);
        let mut fetching = fetch(receiver, folder.path(), fake, &token, &["--port", "50000", "--wait", "1"]);
        assert_eq!(fetching.exit_code(), code, "{manner}: {:?}", fetching.events);
        impostor.end();
    }
}

#[test]
fn a_fake_sender_gets_ten_guesses_out_of_a_listener() {
    let lan = Lan::of(2);
    let [fake, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let _listening = listener(receiver, folder.path());
    let mut milking = Neighbour::start(fake, "milk", &[]);
    assert_eq!(milking.word(), "10");
    milking.end();
}

/// The role that has ever new instances on three ports, lets clients guess, and says how many guesses it got
/// before nobody has connected for twelve seconds: a client without a guess tries again sooner, if at all.
fn milk(_: &[&str]) {
    let servers =
        [5_000, 5_001, 5_002].map(|port| (port, TcpListener::bind(("0.0.0.0", port)).expect("a port")));
    let socket = support::beacon_socket(0);
    say("ready");
    let (sender, guesses) = mpsc::channel();
    for (port, server) in servers {
        let (sender, socket) = (sender.clone(), socket.try_clone().expect("a socket"));
        thread::spawn(move || {
            for round in 0..8_u8 {
                let instance =
                    Instance::from_bytes([round, 1, 2, 3, 4, 5, 6, u8::try_from(port % 1_000).unwrap_or(0)]);
                let beacon = Beacon { kind: BeaconKind::Announce, port, instance, revision: 1 };
                socket.send_to(&beacon.emit(), "10.77.0.255:48555").expect("a broadcast");
                let (stream, _) = server.accept().expect("a connection");
                let _ = sender.send(deceive(&stream, "refuse", instance).unwrap_or(false));
            }
        });
    }
    let mut got = 0;
    while let Ok(guessed) = guesses.recv_timeout(Duration::from_secs(12)) {
        got += usize::from(guessed);
    }
    say(got);
    support::wait_for_end();
}

#[test]
fn who_guesses_is_reported_and_slowed_down_and_holds_up_nobody() {
    let lan = Lan::of(3);
    let [sender, member, guesser] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(sender, folder.path(), "real", &["--fetches", "2"]);
    let words = [sender.ip.clone(), port.to_string(), (BURST + 4).to_string()];
    let mut guessing = Neighbour::start(guesser, "guess", &words.each_ref().map(String::as_str));
    let warning = sending.event("warning");
    assert_eq!(warning["code"], "guessing");
    let message = warning["message"].as_str().unwrap_or_default();
    let expected = format!("3 handshakes with another passphrase from {}", guesser.ip);
    assert!(message.starts_with(&expected), "{message}");

    // The burst is spent.
    for _ in 0..BURST {
        guessing.word();
    }
    let start = Instant::now();
    let mut fetching = fetch(member, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "real");
    println!("fetched in {} ms while somebody guesses", start.elapsed().as_millis());
    assert!(start.elapsed() < Duration::from_secs(10));

    // One more every five seconds, however often it asks.
    let first: u64 = guessing.word().parse().expect("a number");
    let second: u64 = guessing.word().parse().expect("a number");
    assert!(first >= REFILL_MS - 100, "the first beyond the burst came after {first} ms");
    assert!(second >= 2 * REFILL_MS - 100, "the second beyond the burst came after {second} ms");
    drop(guessing);
    let warnings = sending.events.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 1, "once a minute");
}

#[test]
fn a_fetch_that_is_parked_waits_longer_and_says_so() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (_sending, token, port) = send_message(sender, folder.path(), "real", &[]);
    // From the receiver's own host, so that it waits for its turn like the guesser: behind one more guess, its token
    // comes after ten seconds.
    let words = [sender.ip.clone(), port.to_string(), (BURST + 1).to_string()];
    let mut guessing = Neighbour::start(receiver, "guess", &words.each_ref().map(String::as_str));
    for _ in 0..BURST {
        guessing.word();
    }
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "real");
    assert!(fetching.events.iter().any(|event| event["code"] == "flooded"), "{:?}", fetching.events);
    assert_eq!(fetching.exit_code(), 0);
    drop(guessing);
}

/// The role that tries passphrases: address, port, how many. It says when each share came, in milliseconds
/// since the first handshake began. All beyond the burst try at the same time.
fn guess(words: &[&str]) {
    let to: SocketAddr = format!("{}:{}", words[0], words[1]).parse().expect("an address");
    let count: u32 = words[2].parse().expect("a number");
    say("ready");
    let start = Instant::now();
    let guess = move || {
        let mut stream = TcpStream::connect(to).expect("a connection");
        match shake_hands(&mut stream, &wrong_room(), Until::Guess) {
            Ok(()) => say(start.elapsed().as_millis()),
            Err(e) => println!("{e}, after {} ms", start.elapsed().as_millis()),
        }
    };
    (0..BURST).for_each(|_| guess());
    let more: Vec<_> = (BURST..count).map(|_| thread::spawn(guess)).collect();
    more.into_iter().for_each(|thread| thread.join().expect("a guess"));
    support::wait_for_end();
}

#[test]
fn a_search_waits_for_a_sender_that_names_a_time_to_come_back() {
    let lan = Lan::of(2);
    let [fake, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let full = Neighbour::start(fake, "full", &[]);
    let mut waiting = search(receiver, folder.path(), &[]);
    let mut hasty = search(receiver, folder.path(), &["--wait", "1"]);
    assert_eq!(hasty.exit_code(), 5, "busy, and not nobody there");
    let warning = waiting.event("warning");
    assert_eq!(warning["code"], "flooded", "{warning}");
    waiting.signal(rustix::process::Signal::TERM);
    assert_eq!(waiting.exit_code(), 143);
    full.end();
}

/// The role of a server that has no place for anybody, and wants to be asked again after ten seconds.
fn full(_: &[&str]) {
    let instance = Instance::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    let connections = TcpListener::bind("0.0.0.0:5000").expect("a port");
    let socket = support::beacon_socket(0);
    say("ready");
    thread::spawn(move || {
        let status = Status::Busy { retry_after: Duration::from_secs(10) };
        let greeting = Greeting { status, suites: Suites::SUPPORTED, instance, nonce: [7; 16] };
        while let Ok((mut stream, _)) = connections.accept() {
            // The client may have hung up.
            let _ = stream.write_all(&greeting.emit());
        }
    });
    let end = support::asked_to_end();
    let beacon = Beacon { kind: BeaconKind::Announce, port: 5_000, instance, revision: 1 };
    while !end.load(Ordering::Acquire) {
        let _ = socket.send_to(&beacon.emit(), "10.77.0.255:48555");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_host_that_hogs_connections_holds_up_nobody_else() {
    let lan = Lan::of(3);
    let [sender, member, hog] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(sender, folder.path(), "real", &[]);
    let hogging = Neighbour::start(hog, "hog", &[&sender.ip, &port.to_string()]);
    let start = Instant::now();
    let mut fetching = fetch(member, folder.path(), sender, &token, &["--wait", "30"]);
    assert_eq!(fetching.event("received")["text"], "real");
    println!("fetched in {} ms beside a hog", start.elapsed().as_millis());
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    hogging.end();
}

/// The role that holds 70 connections open without a word, makes up for those it loses, and floods the server
/// with halves of handshakes beside them.
fn hog(words: &[&str]) {
    let to: SocketAddr = format!("{}:{}", words[0], words[1]).parse().expect("an address");
    let halves = Arc::new(AtomicU32::new(0));
    for _ in 0..70 {
        let stream = TcpStream::connect(to).expect("a connection");
        thread::spawn(move || {
            let mut stream = stream;
            loop {
                // Until the server has had enough of it.
                let _ = stream.read_to_end(&mut Vec::new());
                match TcpStream::connect(to) {
                    Ok(again) => stream = again,
                    Err(_) => return,
                }
            }
        });
    }
    for thread in 0..4 {
        let halves = halves.clone();
        thread::spawn(move || {
            let room = wrong_room();
            let mut held = Vec::new();
            while let Ok(mut stream) = TcpStream::connect(to) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                if shake_hands(&mut stream, &room, Until::Half).is_ok() {
                    halves.fetch_add(1, Ordering::Relaxed);
                }
                // Half of them wait for their share, half of them have left.
                if thread % 2 == 0 {
                    held.push(stream);
                    held.drain(..held.len().saturating_sub(100));
                }
            }
        });
    }
    // The parking is full by then, and the flood goes on.
    while halves.load(Ordering::Relaxed) < 100 {
        thread::sleep(Duration::from_millis(10));
    }
    say("ready");
    support::wait_for_end();
}

#[test]
fn a_member_with_more_drops_than_are_shown_hides_no_other_member() {
    let lan = Lan::of(3);
    let [sender, receiver, hoarder] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let hoarding = Neighbour::start(hoarder, "hoard", &[]);
    // There is no room for more.
    let warning = listening.event("warning");
    assert_eq!(warning["code"], "crowded");
    assert!(warning["message"].as_str().is_some_and(|message| message.contains(&hoarder.ip)), "{warning}");
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    while listening.event("offer")["token"] != token {}
    // Its place was another's, who had been shown.
    assert!(listening.events.iter().any(|event| event["reason"] == "displaced"));
    let prefix = &token[..12];
    let fetch = ["fetch", "--json", "--wait", "20", "--token", prefix];
    let mut fetching = spawn(receiver, folder.path(), ROOM, &fetch, b"");
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(sending.exit_code(), 0);
    // One line, however long it lasts.
    let crowded = listening.events.iter().filter(|event| event["code"] == "crowded").count();
    assert_eq!(crowded, 1);
    hoarding.end();
}

/// Senders of one member, and drops of each: 1,260 in all.
const SENDERS: u16 = 12;
/// See [`SENDERS`].
const DROPS: usize = 105;

/// A sender with more drops than the program ever has.
type Hoard = Server<DROPS, 1, 8, 8>;

/// The role of a member that has many senders of many drops each.
fn hoard(_: &[&str]) {
    let room = deaddrop_core::derive::room_secret(ROOM).expect("a passphrase");
    let socket = support::beacon_socket(0);
    say("ready");
    let start = Instant::now();
    for port in 5_000..5_000 + SENDERS {
        let (now, mut rng) = (since(start), support::random());
        let mut server = Box::new(Hoard::new(now, room.prs(), &HOST, &mut rng));
        for _ in 0..DROPS {
            let spec = DropSpec {
                kind: Kind::Message,
                name: Name::default(),
                size: 5,
                ttl: TTL_MAX,
                fetches: Fetches::Counted(1),
            };
            server.drops.put(now, spec, &mut rng).expect("a free place");
        }
        let (instance, revision) = (server.instance(), server.drops.revision());
        let beacon = Beacon { kind: BeaconKind::Announce, port, instance, revision };
        let connections = TcpListener::bind(("0.0.0.0", port)).expect("a port");
        thread::spawn(move || {
            while let Ok((stream, _)) = connections.accept() {
                // A listener that hangs up asks again.
                let _ = serve(&mut server, &stream, start);
            }
        });
        socket.send_to(&beacon.emit(), "10.77.0.255:48555").expect("a broadcast");
    }
    support::wait_for_end();
}

fn since(start: Instant) -> time::Instant {
    time::Instant::from_millis(start.elapsed().as_millis().try_into().expect("a short test"))
}

/// Serves one connection to its end.
fn serve(server: &mut Hoard, mut stream: &TcpStream, start: Instant) -> std::io::Result<()> {
    let mut session = server.open(since(start), stream.peer_addr()?.ip(), &mut support::random());
    let mut record = vec![0; RECORD_MAX as usize];
    loop {
        while let Ok(Some(len)) = session.poll_transmit(since(start), server, &mut record) {
            stream.write_all(&record[..len])?;
        }
        let Some(len) = session.wants().filter(|_| session.closing().is_none()) else { break };
        let Ok(()) = stream.read_exact(&mut record[..len]) else { break };
        let heard = session.handle_message(since(start), server, &mut support::random(), &mut record[..len]);
        heard.expect("a message of the length that was wanted");
    }
    session.closed(since(start), server);
    Ok(())
}
