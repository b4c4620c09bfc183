//! Discovery by multicast DNS, where it was asked for: on networks that pass nothing else, beside other programs that speak
//! it, and against those who forge it.

mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use deaddrop_core::limits::{CONNECTS_TO_DEFAULT_PORTS, CONNECTS_TO_OTHER_PORTS};
use getrandom::rand_core::Rng;
use simple_dns::rdata::{A, RData, SRV};
use simple_dns::{CLASS, Name, Packet, ResourceRecord};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use support::{Capture, Host, Lan, Neighbour, Process, ROOM, random, say, send_message, spawn};

/// The port and the group of multicast DNS.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5_353);

#[test]
fn neighbour() {
    support::play(&[
        ("capture", support::capture),
        ("share", share),
        ("prod", prod),
        ("flood", flood),
        ("mislead", mislead),
    ]);
}

/// A LAN on which no beacon passes.
fn without_beacons(lan: Lan) -> Lan {
    for host in &lan.hosts {
        host.filter("udp dport 48555").unwrap();
    }
    lan
}

/// A fetch that looks for this drop for so many seconds.
fn search(host: &Host, folder: &Path, token: &str, wait: &str, more: &[&str]) -> Process {
    let arguments = [&["fetch", "--json", "--wait", wait, "--token", token], more].concat();
    spawn(host, folder, ROOM, &arguments, b"")
}

fn listener(host: &Host, folder: &Path) -> Process {
    let mut process = spawn(host, folder, ROOM, &["run", "--json", "--mdns"], b"");
    process.event("ready");
    process
}

#[test]
fn where_no_beacon_passes_a_drop_is_found_by_mdns_if_both_sides_ask_for_it() {
    let lan = without_beacons(Lan::of(2));
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let (mut silent_sender, silent, _) = send_message(sender, folder.path(), "unheard", &[]);
    let mut one_side = search(receiver, folder.path(), &silent, "1", &["--mdns"]);
    let mut no_side = search(receiver, folder.path(), &silent, "1", &[]);
    assert_eq!((one_side.exit_code(), no_side.exit_code()), (7, 7));
    let from_sender = |traffic: &support::Traffic| {
        let datagrams = traffic.datagrams();
        let mdns = datagrams.iter().filter(|((from, to), _)| from.port() == 5_353 && to.port() == 5_353);
        mdns.filter(|((from, _), _)| from.ip().to_string() == sender.ip).count()
    };
    let traffic = capture.end();
    assert!(!traffic.datagrams().is_empty() && from_sender(&traffic) == 0, "a sender that was not asked to");
    let sockets = sender.command("cat").args(["/proc/net/udp", "/proc/net/udp6"]).output().unwrap();
    let sockets = String::from_utf8(sockets.stdout).unwrap();
    assert!(sockets.contains(":BDAB ") && !sockets.contains(":14E9 "), "no socket of port 5353: {sockets}");

    silent_sender.signal(rustix::process::Signal::TERM);
    assert_eq!(silent_sender.exit_code(), 143);

    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) =
        send_message(sender, folder.path(), "by name", &["--mdns", "--fetches", "2"]);
    assert_eq!(listening.event("offer")["from"], "10.77.0.1:48556");
    let mut other_side = search(receiver, folder.path(), &token, "1", &[]);
    assert_eq!(other_side.exit_code(), 7, "a fetch that was not asked to");
    for _ in 0..2 {
        let mut fetching = search(receiver, folder.path(), &token, "20", &["--mdns"]);
        assert_eq!(fetching.event("received")["text"], "by name");
        assert_eq!(fetching.exit_code(), 0);
    }
    assert_eq!(sending.exit_code(), 0);
    // The records are taken back, so that the end shows at once.
    let ended = Instant::now();
    assert_eq!(listening.event("gone")["reason"], "fetched");
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}", ended.elapsed());
}

#[test]
fn hosts_with_link_local_addresses_alone_are_found_too() {
    let lan = without_beacons(Lan::of(2).with_ipv6_alone(&["fe80::"]));
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "over six", &["--mdns"]);
    assert_eq!(listening.event("offer")["from"], "[fe80::1%eth0]:48556");
    let mut fetching = search(receiver, folder.path(), &token, "20", &["--mdns"]);
    assert_eq!(fetching.event("received")["text"], "over six");
    assert_eq!(sending.exit_code(), 0);
}

/// A socket as other programs have it that speak multicast DNS.
fn mdns_socket() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, GROUP.port()).into()).expect("the port");
    let own = own_address();
    SockRef::from(&socket).join_multicast_v4(GROUP.ip(), &own).expect("the group");
    SockRef::from(&socket).set_multicast_if_v4(&own).expect("the interface");
    socket.into()
}

/// This host's address on the LAN.
fn own_address() -> Ipv4Addr {
    let found = if_addrs::get_if_addrs().expect("addresses").into_iter().find_map(|one| match one.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    });
    found.expect("an address")
}

/// The role of another program on the same host: it says what it hears of senders, and by unicast.
fn share(_: &[&str]) {
    let socket = mdns_socket();
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let end = support::asked_to_end();
    say("ready");
    let mut said = BTreeSet::new();
    while !end.load(std::sync::atomic::Ordering::Acquire) {
        let mut bytes = [0; 2_000];
        let Ok((len, _)) = socket.recv_from(&mut bytes) else { continue };
        let word = match &bytes[..len] {
            b"for one alone" => "unicast",
            message if Packet::parse(message).is_ok_and(|packet| !packet.answers.is_empty()) => "records",
            _ => continue,
        };
        if said.insert(word) {
            say(word);
        }
    }
}

/// The role that sends something to one host's port of multicast DNS.
fn prod(words: &[&str]) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let to: SocketAddr = words[0].parse().expect("an address and a port");
    socket.send_to(b"for one alone", to).expect("send");
    say("ready");
    support::wait_for_end();
}

#[test]
fn the_port_is_shared_with_other_programs_and_nothing_is_taken_from_them() {
    let lan = without_beacons(Lan::of(2));
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    // One has the port before deaddrop, on its host and on the other.
    let before = Neighbour::start(sender, "share", &[]);
    let mut there = Neighbour::start(receiver, "share", &[]);
    let mut listening = listener(receiver, folder.path());
    assert_eq!(listening.events.iter().filter(|event| event["event"] == "warning").count(), 0);
    let (mut sending, token, _) = send_message(sender, folder.path(), "beside others", &["--mdns"]);
    assert_eq!(listening.event("offer")["token"], token);
    assert_eq!(there.word(), "records");
    // What is sent to one host goes to the program that came last, among those that take it.
    let prodding = Neighbour::start(sender, "prod", &[&format!("{}:5353", receiver.ip)]);
    assert_eq!(there.word(), "unicast");
    let after = Neighbour::start(receiver, "share", &[]);
    let mut fetching = search(receiver, folder.path(), &token, "20", &["--mdns"]);
    assert_eq!(fetching.event("received")["text"], "beside others");
    assert_eq!(sending.exit_code(), 0);
    for neighbour in [before, there, after, prodding] {
        neighbour.end();
    }
}

/// A message with records of senders, each at an address and a port.
fn forged(senders: &[([u8; 8], Ipv4Addr, u16)]) -> Vec<u8> {
    let names: Vec<[String; 2]> = senders
        .iter()
        .map(|(instance, ..)| {
            let label = format!("{:016x}", u64::from_be_bytes(*instance));
            [format!("{label}._deaddrop._tcp.local"), format!("{label}.local")]
        })
        .collect();
    let mut packet = Packet::new_reply(0);
    for ((_, ip, port), [own, host]) in senders.iter().zip(&names) {
        let (own, host) = (Name::new(own).expect("a name"), Name::new(host).expect("a name"));
        let srv = SRV { priority: 0, weight: 0, port: *port, target: host.clone() };
        packet.answers.push(ResourceRecord::new(own, CLASS::IN, 40, RData::SRV(srv)));
        packet.answers.push(ResourceRecord::new(host, CLASS::IN, 40, RData::A(A { address: ip.to_bits() })));
    }
    packet.build_bytes_vec_compressed().expect("a message")
}

fn some_instance() -> [u8; 8] {
    let mut instance = [0; 8];
    random().fill_bytes(&mut instance);
    instance
}

/// Messages of the flood, with eight senders each.
const FLOOD: u32 = 1_500;

/// The role that sends noise, and announces thousands of senders that are not there, at its own address.
fn flood(_: &[&str]) {
    let (socket, own) = (mdns_socket(), own_address());
    say("ready");
    for sent in 0..FLOOD {
        let port = || 1_024 + u16::try_from(random().next_u32() % 64_512).expect("a port");
        let senders: Vec<_> = (0..8).map(|_| (some_instance(), own, port())).collect();
        let mut message = forged(&senders);
        if sent % 4 == 0 {
            // Cut short, or with a byte changed.
            let at = random().next_u32() as usize % message.len();
            message[at] = message[at].wrapping_add(1);
            message.truncate(message.len() - at % 7);
        }
        let _ = socket.send_to(&message, GROUP);
        if sent == FLOOD / 2 {
            say("half");
        }
    }
    say("all");
    support::wait_for_end();
}

#[test]
fn a_flood_of_forged_records_hides_nobody_and_makes_no_scanner() {
    let lan = without_beacons(Lan::of(3));
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let mut listening = listener(receiver, folder.path());
    let mut flooding = Neighbour::start(forger, "flood", &[]);
    assert_eq!(flooding.word(), "half");
    let (mut sending, token, _) = send_message(sender, folder.path(), "real", &["--mdns"]);
    assert_eq!(listening.event("offer")["token"], token);
    let took = listening.time().saturating_duration_since(sending.time());
    println!("the offer was shown {} ms after the sender was ready", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(flooding.word(), "all");
    let mut fetching = search(receiver, folder.path(), &token, "20", &["--mdns"]);
    assert_eq!(fetching.event("received")["text"], "real");
    assert_eq!(sending.exit_code(), 0);
    drop(listening);
    flooding.end();
    let traffic = capture.end();
    let sent = traffic.datagrams().iter().filter(|(flow, _)| flow.0.ip().to_string() == forger.ip).count();
    assert!(sent >= 1_000, "{sent} forged messages were on the wire");
    let looks = traffic.connects().iter().filter(|(_, to)| to.ip().to_string() == forger.ip).count();
    println!("{looks} connections to the forger");
    assert!(looks > 0, "a record makes a listener look");
    // Two processes listened, each for less than two minutes.
    let most = usize::from(CONNECTS_TO_DEFAULT_PORTS + CONNECTS_TO_OTHER_PORTS);
    assert!(looks <= 2 * 2 * most, "{looks} connections");
}

/// The role that sends records which do not count, and in the end one that does.
fn mislead(_: &[&str]) {
    let (socket, own) = (mdns_socket(), own_address());
    let server = TcpListener::bind("0.0.0.0:5000").expect("a port");
    // From another port, as nothing that counts comes.
    let elsewhere = UdpSocket::bind(SocketAddrV4::new(own, 0)).expect("a socket");
    SockRef::from(&elsewhere).set_multicast_if_v4(&own).expect("the interface");
    say("ready");
    for ip in [[192, 0, 2, 5], [127, 0, 0, 1], [224, 0, 0, 9], [255, 255, 255, 255], [10, 77, 0, 255]] {
        socket.send_to(&forged(&[(some_instance(), ip.into(), 5_001)]), GROUP).expect("send");
    }
    socket.send_to(&forged(&[(some_instance(), own, 22)]), GROUP).expect("send");
    elsewhere.send_to(&forged(&[(some_instance(), own, 5_002)]), GROUP).expect("send");
    socket.send_to(&forged(&[(some_instance(), own, 5_000)]), GROUP).expect("send");
    let _ = server.accept().expect("a connection");
    say("connected");
    support::wait_for_end();
}

#[test]
fn records_of_elsewhere_or_of_system_ports_are_ignored() {
    let lan = Lan::of(2);
    let [receiver, forger] = &lan.hosts[..] else { unreachable!("two hosts") };
    // The receiver's system has a way there: only deaddrop stands between.
    receiver.ip_command("route add 192.0.2.0/24 dev eth0");
    forger.ip_command("address add 192.0.2.5/24 dev eth0");
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let _listening = listener(receiver, folder.path());
    let mut misleading = Neighbour::start(forger, "mislead", &[]);
    assert_eq!(misleading.word(), "connected");
    misleading.end();
    let traffic = capture.end();
    let sent = traffic.datagrams().iter().filter(|((_, to), _)| *to == SocketAddr::from(GROUP)).count();
    assert!(sent >= 8, "{sent} messages");
    for (_, to) in traffic.connects() {
        assert_eq!(to.to_string(), format!("{}:5000", forger.ip));
    }
}
