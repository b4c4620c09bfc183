//! What a sniffer gets: a whole exchange is captured on the switch and searched for all that is secret.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use blake2::{Blake2b512, Blake2s256};
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use deaddrop_core::derive::room_secret;
use deaddrop_core::token::{Token, TokenPrefix};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_256};
use simple_dns::Packet;
use simple_dns::rdata::RData;
use support::{
    Beacon, Capture, Lan, Neighbour, ROOM, Traffic, fetch, noise, say, send_file, send_message, spawn,
};

/// A form of a secret, and its name in a failure of the test.
type Needle = (String, Vec<u8>);

const MESSAGE: &str = "the boat leaves from pier eleven at dawn";
const FILE_NAME: &str = "harbour plan for monday.bin";
/// Five digits or more, and no power of two anywhere near.
const SIZE: usize = 300_007;

/// The bytes of a hash that are searched for: a leak may be cut short, and so many are no coincidence.
const PART_OF_HASH: usize = 8;

#[test]
fn neighbour() {
    support::play(&[("capture", support::capture), ("leak", leak), ("hear", hear)]);
}

/// As bytes, in hexadecimal, and in base 64 and 32 wherever in a longer text it may stand.
fn encodings(name: &str, bytes: &[u8], needles: &mut Vec<Needle>) {
    needles.push((format!("{name}, raw"), bytes.to_vec()));
    needles.push((format!("{name}, hex"), HEXLOWER.encode(bytes).into_bytes()));
    needles.push((format!("{name}, HEX"), HEXUPPER.encode(bytes).into_bytes()));
    let base32 = BASE32_NOPAD.encode(bytes);
    // The last character is shared with the bytes behind.
    needles.push((format!("{name}, base32"), base32[..base32.len() - 1].into()));
    for (encoding, alphabet) in [(BASE64, "base64"), (BASE64URL, "base64url")] {
        for before in 0..3 {
            let text = encoding.encode(&[&[0; 3][..before], bytes].concat());
            // Characters that are shared with what stands before, and with what stands behind.
            let from = [0, 2, 3][before];
            let to = (before + bytes.len()) * 8 / 6;
            needles.push((format!("{name}, {alphabet} behind {before}"), text[from..to].into()));
        }
    }
}

/// Every form of a text.
fn forms(name: &str, text: &str) -> Vec<Needle> {
    let mut needles = Vec::new();
    encodings(name, text.as_bytes(), &mut needles);
    let wide = text.encode_utf16();
    needles.push((format!("{name}, UTF-16LE"), wide.clone().flat_map(u16::to_le_bytes).collect()));
    needles.push((format!("{name}, UTF-16BE"), wide.flat_map(u16::to_be_bytes).collect()));
    hashes(name, text.as_bytes(), &mut needles);
    needles
}

fn hashes(name: &str, bytes: &[u8], needles: &mut Vec<Needle>) {
    let hashes: [(&str, Vec<u8>); 9] = [
        ("MD5", Md5::digest(bytes).to_vec()),
        ("SHA-1", Sha1::digest(bytes).to_vec()),
        ("SHA-224", Sha224::digest(bytes).to_vec()),
        ("SHA-256", Sha256::digest(bytes).to_vec()),
        ("SHA-384", Sha384::digest(bytes).to_vec()),
        ("SHA-512", Sha512::digest(bytes).to_vec()),
        ("SHA-512/256", Sha512_256::digest(bytes).to_vec()),
        ("BLAKE2b", Blake2b512::digest(bytes).to_vec()),
        ("BLAKE2s", Blake2s256::digest(bytes).to_vec()),
    ];
    for (hash, digest) in hashes {
        encodings(&format!("{hash} of {name}"), &digest[..PART_OF_HASH], needles);
    }
}

/// A token as its text, and as its 16 bytes.
fn token_forms(name: &str, token: &str) -> Vec<Needle> {
    let mut needles = forms(name, token);
    needles.extend(forms(&format!("{name} in capitals"), &token.to_uppercase()));
    let whole = token.parse::<TokenPrefix>().ok().and_then(|prefix| prefix.whole()).expect("a whole token");
    encodings(&format!("the bytes of {name}"), whole.as_bytes(), &mut needles);
    hashes(&format!("the bytes of {name}"), whole.as_bytes(), &mut needles);
    needles
}

/// A size as text, and as numbers of five bytes and more: shorter ones turn up in any noise.
fn size_forms(size: usize) -> Vec<Needle> {
    let mut needles = Vec::new();
    needles.extend(forms("the size", &size.to_string()));
    let long = size as u64;
    needles.push(("the size, u64".into(), long.to_be_bytes().into()));
    needles.push(("the size, u64 little-endian".into(), long.to_le_bytes().into()));
    let cbor = [&[0x1a][..], &u32::try_from(size).expect("a short size").to_be_bytes()].concat();
    needles.push(("the size, CBOR".into(), cbor));
    needles
}

fn secrets(tokens: &[&str]) -> Vec<Needle> {
    let mut needles = forms("the passphrase", ROOM);
    let room = room_secret(ROOM).expect("a passphrase");
    encodings("the room secret", room.expose(), &mut needles);
    hashes("the room secret", room.expose(), &mut needles);
    needles.extend(forms("the message", MESSAGE));
    needles.extend(forms("the file's name", FILE_NAME));
    needles.extend(size_forms(SIZE));
    let content = noise(7, SIZE);
    needles.push(("the file's beginning".into(), content[..16].into()));
    needles.push(("the file's end".into(), content[SIZE - 16..].into()));
    hashes("the file", &content, &mut needles);
    hashes("the message", MESSAGE.as_bytes(), &mut needles);
    for (i, token) in tokens.iter().enumerate() {
        needles.extend(token_forms(&format!("token {i}"), token));
    }
    needles
}

/// A message and a file, offered, seen, fetched and confirmed.
fn exchange(lan: &Lan, more: &[&str]) -> (Traffic, [String; 2]) {
    let [sender, receiver, third] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let path = support::write(folder.path(), FILE_NAME, &noise(7, SIZE));
    let here = tempfile::tempdir().unwrap();

    let capture = Capture::start(lan);
    let mut listening = spawn(third, folder.path(), ROOM, &[&["run", "--json"], more].concat(), b"");
    listening.event("ready");
    let (mut sending, message, _) = send_message(sender, folder.path(), MESSAGE, more);
    assert_eq!(listening.event("offer")["token"], message);
    let mut fetching = fetch(receiver, here.path(), sender, &message, more);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(listening.event("gone")["reason"], "fetched");
    assert_eq!(sending.exit_code(), 0);

    let (mut sending, file, _) = send_file(sender, folder.path(), &path, more);
    assert_eq!(listening.event("offer")["name"], FILE_NAME);
    let mut fetching = fetch(receiver, here.path(), sender, &file, more);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    let traffic = capture.end();
    assert_eq!(std::fs::read(here.path().join(FILE_NAME)).unwrap(), noise(7, SIZE));
    (traffic, [message, file])
}

#[test]
fn nothing_secret_is_on_the_wire() {
    search(&exchange(&Lan::of(3), &[]), 10);
}

#[test]
fn nothing_secret_is_on_the_wire_of_ipv6() {
    let exchanged = exchange(&Lan::of(3).with_ipv6_alone(&["fe80::", "2001:db8:77::"]), &[]);
    // One packet where IPv4 has two broadcasts; and a repetition is the same packet, which is counted once.
    search(&exchanged, 5);
    let (traffic, _) = exchanged;
    let datagrams = traffic.datagrams();
    assert!(datagrams.iter().all(|((from, to), _)| from.is_ipv6() && to.is_ipv6()), "IPv6 alone");
    // Beacons go to the group of the protocol, and to nobody else but as answers.
    let group = "[ff12::4444:5250]:48555".parse::<SocketAddr>().unwrap();
    assert!(datagrams.iter().filter(|((_, to), _)| *to == group).count() >= 3);
    let others = datagrams.iter().filter(|((_, to), _)| to.ip().is_multicast() && *to != group);
    assert_eq!(others.count(), 0);
    assert_eq!(traffic.hop_limits(), BTreeSet::from([255]));
}

#[test]
fn multicast_dns_says_what_a_beacon_says_and_no_more() {
    let lan = Lan::of(3).with_ipv6(&["fe80::"]);
    for host in &lan.hosts {
        host.filter("udp dport 48555").unwrap();
    }
    let exchanged = exchange(&lan, &["--mdns"]);
    search(&exchanged, 10);
    let (traffic, _) = exchanged;
    let datagrams = traffic.datagrams();
    let beacons = || datagrams.iter().filter_map(|(_, payload)| Beacon::parse(payload).ok());
    let known: BTreeSet<String> =
        beacons().map(|beacon| HEXLOWER.encode(beacon.instance.as_bytes())).collect();
    let messages: Vec<_> = datagrams.iter().filter(|((_, to), _)| to.port() == 5_353).collect();
    let mut senders = BTreeSet::new();
    for ((from, to), payload) in &messages {
        assert!(from.port() == 5_353 && to.ip().is_multicast(), "{from} to {to}");
        let packet = Packet::parse(payload).expect("a message");
        assert_eq!(packet.id(), 0);
        // Nothing is between the lines: what was understood makes the same bytes again.
        assert_eq!(packet.build_bytes_vec_compressed().unwrap(), *payload);
        assert!(packet.additional_records.is_empty() && packet.name_servers.is_empty());
        let mut names: Vec<String> = packet.questions.iter().map(|it| it.qname.to_string()).collect();
        for record in &packet.answers {
            names.push(record.name.to_string());
            assert!([0, 40].contains(&record.ttl), "{record:?}");
            match &record.rdata {
                RData::PTR(pointer) => names.push(pointer.0.to_string()),
                RData::SRV(srv) => {
                    let [p0, p1] = srv.priority.to_be_bytes();
                    let [w0, w1] = srv.weight.to_be_bytes();
                    let said = (srv.port, u32::from_be_bytes([p0, p1, w0, w1]));
                    assert!(beacons().any(|beacon| (beacon.port, beacon.revision) == said), "{srv:?}");
                    names.push(srv.target.to_string());
                }
                RData::TXT(text) => assert_eq!(text.iter_raw().count(), 0),
                RData::A(a) => assert_eq!(Ipv4Addr::from_bits(a.address).to_string(), lan.hosts[0].ip),
                RData::AAAA(a) => assert_eq!(Ipv6Addr::from_bits(a.address).to_string(), "fe80::1"),
                other => panic!("{other:?}"),
            }
        }
        for name in names {
            let label = name.trim_end_matches("._deaddrop._tcp.local").trim_end_matches(".local");
            if label != "_deaddrop._tcp" {
                assert!(known.contains(label), "{name} has a label that no beacon has");
                senders.insert(label.to_owned());
            }
        }
    }
    assert!(messages.len() >= 6, "{} messages", messages.len());
    assert_eq!(senders.len(), 2, "each run has a label of its own: {senders:?}");
}

/// Searches an exchange for all that is secret.
fn search((traffic, [message, file]): &(Traffic, [String; 2]), least_beacons: usize) {
    // It is the exchange that was captured: beacons, greetings, and the file's bytes in whole records.
    let beacons = traffic.datagrams().iter().filter(|(_, payload)| payload.starts_with(b"DDRP\x01")).count();
    assert!(beacons >= least_beacons, "{beacons} beacons");
    let streams = traffic.streams();
    let from_sender = || streams.iter().filter(|(flow, _)| (48_556..=48_571).contains(&flow.0.port()));
    let greetings = from_sender().filter(|(_, bytes)| bytes.starts_with(b"DDRP\x01")).count();
    assert!(greetings >= 4, "two looks and two fetches at least, but {greetings} greetings");
    let largest = from_sender().map(|(_, bytes)| bytes.len()).max().unwrap_or_default();
    assert!(largest > SIZE, "{largest} bytes in the largest stream");
    // In whole records, which do not tell its length.
    let records = (largest - 34 - 32) / (65_536 + 20);
    assert_eq!(records, SIZE.div_ceil(65_536), "{largest} bytes");

    let needles = secrets(&[message, file]);
    assert!(needles.len() > 500, "{}", needles.len());
    assert_eq!(traffic.search(&needles), Vec::<&str>::new());

    // The four bytes of the size are too few to be searched for in what is sealed. All that is not sealed is
    // the beacons, the greeting and the two shares.
    let size = u32::try_from(SIZE).unwrap();
    let clear = traffic.datagrams().into_iter().map(|(_, payload)| payload.to_vec());
    let opening = streams.values().map(|bytes| bytes[..bytes.len().min(34 + 49)].to_vec());
    for bytes in clear.chain(opening) {
        for form in [size.to_be_bytes(), size.to_le_bytes()] {
            assert!(!bytes.windows(4).any(|window| window == form), "the size in clear: {bytes:02x?}");
        }
    }
}

#[test]
fn a_leak_is_found() {
    let lan = Lan::of(2);
    let [leaky, other] = &lan.hosts[..] else { unreachable!("two hosts") };
    let token = Token::from_bytes(*b"sixteen fixed by").to_string();
    let needles = secrets(&[&token]);
    let planted = |name: &str| needles.iter().find(|(n, _)| n == name).expect("a needle").1.clone();

    let capture = Capture::start(&lan);
    let mut hearing = Neighbour::start(other, "hear", &[]);
    let leaks = ["SHA-256 of the passphrase, base64 behind 0", "the bytes of token 0, raw", "the size, CBOR"];
    let said: Vec<String> = leaks.iter().map(|name| HEXLOWER.encode(&planted(name))).collect();
    let words: Vec<&str> = [other.ip.as_str()].into_iter().chain(said.iter().map(String::as_str)).collect();
    let leaking = Neighbour::start(leaky, "leak", &words);
    assert_eq!(hearing.word(), "heard");
    leaking.end();
    hearing.end();
    let mut found = capture.end().search(&needles);

    // The two alphabets of base 64 differ in two characters only.
    found.retain(|name| !name.contains("base64url"));
    let mut planted = [&leaks[..], &["the file's name, raw"]].concat();
    found.sort_unstable();
    planted.sort_unstable();
    assert_eq!(found, planted);
}

/// The role of one who leaks: each thing in a datagram of its own, and a file's name over a connection, in two
/// segments.
fn leak(words: &[&str]) {
    let to = |port: u16| SocketAddr::new(words[0].parse().expect("an address"), port);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    for payload in &words[1..] {
        // Nobody hears it there, and the system may say so; it is on the wire all the same.
        let payload = HEXLOWER.decode(payload.as_bytes()).expect("hexadecimal");
        let _ = socket.send_to(&payload, to(9));
    }
    let mut stream = TcpStream::connect(to(4_000)).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let (first, second) = FILE_NAME.split_at(FILE_NAME.len() / 2);
    stream.write_all(first.as_bytes()).expect("the first half");
    stream.write_all(second.as_bytes()).expect("the second half");
    drop(stream);
    say("ready");
    support::wait_for_end();
}

/// The role of one who hears a connection out.
fn hear(_: &[&str]) {
    let listener = TcpListener::bind("0.0.0.0:4000").expect("a port");
    say("ready");
    let (mut stream, _) = listener.accept().expect("a connection");
    std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
    say("heard");
    support::wait_for_end();
}
