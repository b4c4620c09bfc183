//! Forged beacons: they make a listener look, within limits, and change nothing else.

mod support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use deaddrop_core::limits::{CONNECTS_TO_DEFAULT_PORTS, CONNECTS_TO_OTHER_PORTS, CONNECTS_WINDOW};
use deaddrop_core::token::Instance;
use getrandom::rand_core::Rng;
use support::{
    Beacon, BeaconKind, Capture, Lan, Neighbour, ROOM, listener, random, say, send_message, spawn,
};

#[test]
fn neighbour() {
    support::play(&[
        ("capture", support::capture),
        ("flood", flood),
        ("forge", forge),
        ("divert", divert),
        ("spread", spread),
    ]);
}

fn beacon(kind: BeaconKind, port: u16) -> Beacon {
    let mut instance = [0; 8];
    random().fill_bytes(&mut instance);
    Beacon { kind, port, instance: Instance::from_bytes(instance), revision: random().next_u32() }
}

fn everybody() -> SocketAddrV4 {
    "10.77.0.255:48555".parse().expect("an address")
}

#[test]
fn a_flood_of_beacons_hides_nobody_and_makes_no_scanner() {
    let lan = Lan::of(3);
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let start = Instant::now();
    let mut listening = listener(receiver, folder.path());
    let mut flooding = Neighbour::start(forger, "flood", &["10000"]);
    assert_eq!(flooding.word(), "half");
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    println!(
        "the offer was shown {} ms after the sender was ready",
        (listening.time() - sending.time()).as_millis()
    );
    assert!(listening.time().saturating_duration_since(sending.time()) < Duration::from_secs(10));
    assert_eq!(flooding.word(), "all");
    let mut fetching = spawn(receiver, folder.path(), ROOM, &["fetch", "--json", "--wait", "20"], b"");
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(sending.exit_code(), 0);
    drop(listening);
    flooding.end();

    let traffic = capture.end();
    let heard = traffic.datagrams().iter().filter(|(flow, _)| flow.0.ip().to_string() == forger.ip).count();
    assert!(heard >= 9_000, "{heard} forged beacons were on the wire");
    // Two processes listened: the one that showed offers, and the fetch.
    let looks: Vec<_> =
        traffic.connects().into_iter().filter(|(_, to)| to.ip().to_string() == forger.ip).collect();
    let ports: BTreeSet<u16> = looks.iter().map(|(_, to)| to.port()).collect();
    let windows = 1 + usize::try_from(start.elapsed().as_secs() / CONNECTS_WINDOW.as_secs()).unwrap();
    println!("{} connections to {} ports of the forger", looks.len(), ports.len());
    assert!(!looks.is_empty(), "a beacon makes a listener look");
    let most = usize::from(CONNECTS_TO_DEFAULT_PORTS + CONNECTS_TO_OTHER_PORTS);
    assert!(looks.len() <= 2 * most * windows, "{} connections", looks.len());
}

/// The role that sends this many announcements of senders that are not there.
fn flood(words: &[&str]) {
    let count: u32 = words[0].parse().expect("a number");
    let socket = support::beacon_socket(0);
    say("ready");
    for sent in 0..count {
        let port = 1_024 + u16::try_from(random().next_u32() % 64_512).expect("a port");
        let kind = if sent % 2 == 0 { BeaconKind::Announce } else { BeaconKind::Answer };
        // When the way out is full: no loss to anybody.
        let _ = socket.send_to(&beacon(kind, port).emit(), everybody());
        if sent == count / 2 {
            say("half");
        }
    }
    say("all");
    support::wait_for_end();
}

#[test]
fn a_flood_from_two_hundred_dead_addresses_hides_no_new_sender() {
    let lan = Lan::of(3);
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    // The forger sends from many addresses and answers for none of them: it does not even resolve them.
    let script = format!(
        "for n in $(seq 20 219); do ip address add {FORGED}.$n/24 dev eth0; done
        echo 8 >/proc/sys/net/ipv4/conf/all/arp_ignore"
    );
    assert!(forger.command("sh").args(["-c", &script]).status().unwrap().success());
    let capture = Capture::start(&lan);
    let mut listening = listener(receiver, folder.path());
    let mut flooding = Neighbour::start(forger, "spread", &[]);
    // By then each of many addresses has been heard.
    assert_eq!(flooding.word(), "many");
    let warning = listening.event("warning");
    assert_eq!(warning["code"], "flooded", "{warning}");
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    let took = listening.time().saturating_duration_since(sending.time());
    println!("the offer was shown {} ms after the sender was ready", took.as_millis());
    assert!(took < Duration::from_secs(2), "{took:?}");
    // A listener that starts in the flood finds it, too.
    let mut fetching = spawn(receiver, folder.path(), ROOM, &["fetch", "--json"], b"");
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(sending.exit_code(), 0);
    flooding.end();
    let warnings = listening.events.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 1, "one line, however long it lasts");

    let traffic = capture.end();
    let honest = [&sender.ip, &receiver.ip];
    let forged = |address: &SocketAddr| !honest.contains(&&address.ip().to_string());
    let heard = traffic.datagrams().iter().filter(|(flow, _)| forged(&flow.0)).count();
    assert!(heard >= 400, "{heard} forged beacons were on the wire");
    let connects = traffic.connects().iter().filter(|(_, to)| forged(to)).count();
    assert_eq!(connects, 0, "the forged addresses do not resolve");
}

/// The start of the addresses that are forged.
const FORGED: &str = "10.77.0";

/// The role that announces senders which are not there, a hundred a second, from two hundred addresses.
fn spread(_: &[&str]) {
    let bind = |n| UdpSocket::bind(format!("{FORGED}.{n}:0")).expect("an address");
    let sockets: Vec<UdpSocket> = (20..220).map(bind).collect();
    sockets.iter().for_each(|socket| socket.set_broadcast(true).expect("an option"));
    say("ready");
    let end = support::asked_to_end();
    let mut sent = 0;
    while !end.load(std::sync::atomic::Ordering::Acquire) {
        let socket = &sockets[random().next_u32() as usize % sockets.len()];
        let port = 1_024 + u16::try_from(random().next_u32() % 64_512).expect("a port");
        let _ = socket.send_to(&beacon(BeaconKind::Announce, port).emit(), everybody());
        sent += 1;
        if sent == 400 {
            say("many");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn beacons_from_elsewhere_or_of_system_ports_are_ignored() {
    let lan = Lan::of(3);
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    // The forger has an address outside the LAN's prefix; the receiver's system would take its packets,
    // and has a way there: only deaddrop stands between.
    forger.ip_command("address add 192.0.2.5/24 dev eth0");
    receiver.ip_command("route add 192.0.2.0/24 dev eth0");
    let lenient =
        "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter";
    assert!(receiver.command("sh").args(["-c", lenient]).status().unwrap().success());

    let capture = Capture::start(&lan);
    let mut listening = listener(receiver, folder.path());
    let mut forging = Neighbour::start(forger, "forge", &[&forger.ip]);
    // It has been connected to by way of the one beacon that counts, sent last.
    assert_eq!(forging.word(), "connected");
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    sending.signal(rustix::process::Signal::TERM);
    assert_eq!(listening.event("gone")["token"], token);
    assert_eq!(sending.exit_code(), 143);
    forging.end();

    let traffic = capture.end();
    let foreign =
        traffic.datagrams().iter().filter(|(flow, _)| flow.0.ip().to_string() == "192.0.2.5").count();
    assert!(foreign >= 8, "the foreign beacons were on the wire");
    for (from, to) in traffic.connects() {
        assert!(to.port() >= 1_024, "{from} connected to {to}");
        assert_ne!(to.ip().to_string(), "192.0.2.5", "{from} connected to {to}");
    }
}

/// The role that sends beacons which do not count, and in the end one that does.
fn forge(words: &[&str]) {
    let server = TcpListener::bind("0.0.0.0:5000").expect("a port");
    let foreign = UdpSocket::bind("192.0.2.5:0").expect("an address");
    foreign.set_broadcast(true).expect("an option");
    let own = UdpSocket::bind(SocketAddr::new(words[0].parse().expect("an address"), 0)).expect("an address");
    own.set_broadcast(true).expect("an option");
    say("ready");
    for kind in [BeaconKind::Announce, BeaconKind::Answer] {
        for port in [5_000, 5_001, 48_556, 48_557] {
            foreign.send_to(&beacon(kind, port).emit(), everybody()).expect("a broadcast");
        }
        for port in [0, 1, 22, 80, 443, 1_023] {
            own.send_to(&beacon(kind, port).emit(), everybody()).expect("a broadcast");
        }
    }
    own.send_to(&beacon(BeaconKind::Announce, 5_000).emit(), everybody()).expect("a broadcast");
    let (stream, _) = server.accept().expect("a connection");
    say("connected");
    support::wait_for_end();
    drop(stream);
}

#[test]
fn a_beacon_with_a_members_instance_diverts_nobody() {
    let lan = Lan::of(3);
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    // One at another address, one at the sender's own, on another port.
    let mut diverting = [sender, forger].map(|host| Neighbour::start(host, "divert", &[]));
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, port) = send_message(sender, folder.path(), "real", &[]);
    let offer = listening.event("offer");
    let from = format!("{}:{port}", sender.ip);
    assert_eq!((offer["token"].as_str(), offer["from"].as_str()), (Some(&*token), Some(&*from)));
    for diverting in &mut diverting {
        assert_eq!(diverting.word(), "connected");
    }
    // Found anew while they go on.
    let fetch = ["fetch", "--json", "--wait", "20", "--token", &token];
    let mut fetching = spawn(receiver, folder.path(), ROOM, &fetch, b"");
    assert_eq!(fetching.event("received")["text"], "real");
    // The forged farewells make it list often, and so too late to hear what became of the drop.
    let gone = listening.event("gone");
    assert!(["fetched", "lost"].map(Some).contains(&gone["reason"].as_str()), "{gone}");
    assert_eq!(sending.exit_code(), 0);
    let offers = listening.events.iter().filter(|event| event["event"] == "offer").count();
    assert_eq!(offers, 1, "{:?}", listening.events);
    for diverting in diverting {
        diverting.end();
    }
}

/// The role that takes on the instance of the first sender it hears, and serves as it on a port of its own: it
/// passes on whatever the real one would greet with, as far as it can know, and then says nothing.
fn divert(_: &[&str]) {
    let socket = support::beacon_socket(48_555);
    let server = TcpListener::bind("0.0.0.0:5000").expect("a port");
    say("ready");
    let end = support::asked_to_end();
    let real = support::hear_sender(&socket);
    let forged = Beacon { port: 5_000, ..real };
    let changed = Beacon { revision: real.revision.wrapping_add(1), ..forged };
    std::thread::spawn(move || {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = server.accept() {
            streams.push(stream);
            if streams.len() == 1 {
                say("connected");
            }
        }
    });
    while !end.load(std::sync::atomic::Ordering::Acquire) {
        for beacon in [forged, changed, Beacon { kind: BeaconKind::Answer, ..forged }] {
            let _ = socket.send_to(&beacon.emit(), everybody());
        }
        // Farewells in its name, too.
        let _ = socket.send_to(&Beacon { kind: BeaconKind::Farewell, ..real }.emit(), everybody());
        std::thread::sleep(Duration::from_millis(50));
    }
}
