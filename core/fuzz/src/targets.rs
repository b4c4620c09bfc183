//! The fuzz targets, shared by the fuzzer and by `tests/fuzz_replay.rs`.
//!
//! A target panics if a property fails, and otherwise returns.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a target that panics has failed"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::crypto::record::{Opener, RecordKey, RecordKind, Sealer};
use deaddrop_core::drops::{DropSpec, Drops, Fetches};
use deaddrop_core::exchange::Server;
use deaddrop_core::guard::{ClientGuard, Guard};
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::secret::Secret;
use deaddrop_core::session::{Channel, ClientHandshake, ClientSession, FetchPlan, ServerHandshake};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Instance, Token};
use deaddrop_core::wire::{
    Answer, Attributes, BUNDLE_BUFFER, Beacon, BundleError, BundlePart, BundleReader, ClientHello, EntryKind,
    Greeting, Request, ServerHello, Suites,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("beacon", beacon),
    ("greeting", greeting),
    ("hello", hello),
    ("request", request),
    ("answer", answer),
    ("bundle", bundle),
    ("record", record),
    ("server", server),
    ("client", client),
    ("drops", drops),
    ("guard", guard),
];

const START: Instant = Instant::from_millis(1_000_000);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

fn prs() -> Prs {
    RoomSecret::new([1; 32]).prs()
}

/// Round trip: emitting what was parsed gives the same bytes.
pub fn beacon(data: &[u8]) {
    if let Ok(beacon) = Beacon::parse(data) {
        assert_eq!(beacon.emit()[..], *data);
    }
}

/// Round trip: emitting what was parsed gives the same bytes.
pub fn greeting(data: &[u8]) {
    if let Ok(greeting) = Greeting::parse(data) {
        assert_eq!(greeting.emit()[..], *data);
    }
}

/// Round trip: emitting what was parsed gives the same bytes.
pub fn hello(data: &[u8]) {
    if let Ok(hello) = ClientHello::parse(data, Suites::SUPPORTED) {
        assert_eq!(hello.emit()[..], *data);
    }
    if let Ok(hello) = ServerHello::parse(data) {
        assert_eq!(hello.emit()[..], *data);
    }
}

/// Round trip: what is emitted parses as the same value, and is never longer than the input.
pub fn request(data: &[u8]) {
    if let Ok(request) = Request::parse(data) {
        let mut out = [0; 492];
        let len = request.emit(&mut out).expect("what was read can be written");
        assert!(len <= data.len());
        assert_eq!(Request::parse(&out[..len]), Ok(request));
    }
}

/// Round trip: what is emitted parses as the same value, and is never longer than the input.
pub fn answer(data: &[u8]) {
    let attributes = Attributes::parse(data);
    if let Ok(answer) = Answer::parse(data) {
        let mut out = [0; 492];
        let len = answer.emit(&mut out).expect("what was read can be written");
        assert!(len <= data.len());
        if let Ok(Some(attributes)) = attributes {
            let len = attributes.append(&mut out, len).expect("what was read can be written");
            assert!(len <= data.len());
            assert_eq!(Attributes::parse(&out[..len]), Ok(Some(attributes)));
            assert_eq!(Answer::parse(&out[..len]).as_ref(), Ok(&answer));
        }
        let len = answer.emit(&mut out).expect("what was read can be written");
        assert_eq!(Answer::parse(&out[..len]), Ok(answer));
    }
}

/// A stream is read in the same way whatever pieces it comes in. Whatever is in it, an entry is in a folder that came
/// before, is there once, and its header can be written again; and the promises of the head are kept.
pub fn bundle(data: &[u8]) {
    let whole = read_bundle(data, data.len().max(1));
    assert_eq!(read_bundle(data, 1), whole);
    assert_eq!(read_bundle(data, 7), whole);
}

/// Reads a stream in pieces of `piece` bytes, and gives the paths and the bytes of content before its end.
fn read_bundle(data: &[u8], piece: usize) -> (Vec<String>, u64, Result<(), BundleError>) {
    let mut reader = BundleReader::new(Name::new("d").expect("a name"), data.len() as u64);
    let (mut paths, mut folders, mut content, mut promised) = (Vec::new(), Vec::new(), 0, None);
    for mut input in data.chunks(piece) {
        loop {
            match reader.next(&mut input) {
                Ok(Some(BundlePart::Head(head))) => promised = Some(head),
                Ok(Some(BundlePart::Entry(entry))) => {
                    let folder = entry.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
                    assert!(folder.is_none_or(|folder| folders.contains(&folder)));
                    assert!(!paths.contains(&entry.path.to_owned()));
                    if entry.kind == EntryKind::Folder {
                        folders.push(entry.path.to_owned());
                    }
                    paths.push(entry.path.to_owned());
                    entry.emit(&mut [0; BUNDLE_BUFFER]).expect("what was read can be written");
                }
                Ok(Some(BundlePart::Content(bytes))) => content += bytes.len() as u64,
                Ok(None) => break,
                Err(error) => return (paths, content, Err(error)),
            }
        }
        assert!(input.is_empty());
    }
    let end = reader.finish();
    if end.is_ok() {
        let promised = promised.expect("a head");
        assert_eq!((promised.entries as usize, promised.bytes), (paths.len(), content));
    }
    (paths, content, end)
}

/// Raw bytes do not open and are wiped; the same bytes, sealed as a payload, open.
pub fn record(data: &[u8]) {
    let key = || RecordKey::new(Secret::new([3; 32]));
    let mut raw = data.to_vec();
    assert!(Opener::new(key()).open(&mut raw).is_err());
    assert!(raw.iter().all(|byte| *byte == 0));
    let mut sealed = data.to_vec();
    sealed.resize((data.len() + 20).max(512), 0);
    if Sealer::new(key()).seal(&mut sealed, RecordKind::Data, data.len()).is_ok() {
        let opened = Opener::new(key()).open(&mut sealed).expect("what was sealed opens");
        assert_eq!(&sealed[..opened.len], data);
    }
}

/// Splits the input into steps: a byte for the kind, a byte for the length, then that many bytes.
struct Steps<'a>(&'a [u8]);

impl<'a> Iterator for Steps<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        let (payload, rest) = rest.split_at(usize::from(head[1]).min(rest.len()));
        self.0 = rest;
        Some((head[0], payload))
    }
}

fn seal(channel: &mut Channel, what: u8, payload: &[u8], wire: usize) -> Vec<u8> {
    let kind = [RecordKind::Control, RecordKind::Data, RecordKind::Final][usize::from(what % 3)];
    let mut record = vec![0; wire];
    // The upper half of `what`: a full record.
    let len = if what & 0x80 == 0 { payload.len() } else { wire - 20 };
    let some = payload.len().min(wire - 20);
    record[..some].copy_from_slice(&payload[..some]);
    channel.sealer.seal(&mut record, kind, len.min(wire - 20)).expect("a record of a legal size");
    record
}

fn waits(what: u8) -> Option<Duration> {
    (what & 0x40 != 0).then(|| Duration::from_millis([1, 1_000, 5_000, 15_000][usize::from(what % 4)]))
}

/// A hostile member sends arbitrary records, under the right key, to a server with three drops.
pub fn server(data: &[u8]) {
    let (mut now, mut rng) = (START, rng());
    let mut serving = Box::new(Server::<3, 2, 4, 4>::new(now, prs(), &HOST, &mut rng));
    for size in [0, 10, 1_500] {
        let (kind, name) = (Kind::File, Name::default());
        let spec = DropSpec { kind, name, size, ttl: Duration::from_secs(60), fetches: Fetches::Counted(2) };
        serving.drops.put(now, spec, &mut rng).expect("there is a place");
    }
    let mut session = serving.open(now, PEER, &mut rng);
    let mut buffer = vec![0; 65_556];
    let len = session.poll_transmit(now, &mut serving, &mut buffer).unwrap().unwrap();
    let greeting = buffer[..len].try_into().unwrap();
    let (handshake, mut hello) = ClientHandshake::start(greeting, None, None, &prs(), &mut rng).unwrap();
    session.handle_message(now, &mut serving, &mut rng, &mut hello).unwrap();
    let len = session.poll_transmit(now, &mut serving, &mut buffer).unwrap().unwrap();
    let mut channel = handshake.finish(buffer[..len].try_into().unwrap()).unwrap();
    for (what, payload) in Steps(data) {
        if let Some(by) = waits(what) {
            now = now + by;
            if session.poll_timeout(&serving).is_some_and(|at| at <= now) {
                session.handle_timeout(now, &serving);
                assert!(session.closing().is_some(), "a deadline without an effect");
            }
        } else if session.wants() == Some(512) {
            let mut message = seal(&mut channel, what, payload, 512);
            session.handle_message(now, &mut serving, &mut rng, &mut message).unwrap();
        }
        let mut said = 0;
        loop {
            if session.poll_transmit(now, &mut serving, &mut buffer).unwrap().is_none() {
                if session.poll_read().is_none() {
                    break;
                }
                session.handle_read(now, &mut serving, &mut buffer).unwrap();
            }
            said += 1;
            assert!(said < 40, "an endless answer");
        }
        if session.closing().is_some() {
            break;
        }
        assert!(session.wants().is_some() && session.poll_timeout(&serving).is_some(), "stuck");
    }
    session.closed(now, &mut serving);
}

/// A hostile server of the room sends arbitrary records, under the right key, to a client.
pub fn client(data: &[u8]) {
    let (mut now, mut rng) = (START, rng());
    let mut guard = Box::new(ClientGuard::<4>::new(now));
    let mut session = ClientSession::new(now, PEER, None, None);
    let greeted = ServerHandshake::new(Instance::from_bytes([1; 8]), &mut rng);
    let mut greeting = *greeted.greeting();
    session.handle_message(now, &prs(), &mut guard, &mut rng, &mut greeting).unwrap();
    let mut out = [0; 512];
    let len = session.poll_transmit(&mut out).unwrap().unwrap();
    let (mut channel, mut share) = greeted.answer(out[..len].try_into().unwrap(), &prs(), &mut rng).unwrap();
    session.handle_message(now, &prs(), &mut guard, &mut rng, &mut share).unwrap();
    let (token, id) = (Token::from_bytes([7; 16]), FetchId::from_bytes([8; 16]));
    for (at, (what, payload)) in Steps(data).enumerate() {
        if session.needs_ready() {
            session.ready(now).unwrap();
        }
        if session.wants().is_none() {
            let plan = FetchPlan { token, id, record_max: 512, offset: 0, digest: None };
            match (usize::from(data[0] >> 2) + at) % 3 {
                0 => session.list(now, None).unwrap(),
                1 => session.commit(now, token, id).unwrap(),
                // After the final record comes `commit`.
                _ if session.fetch(now, &plan).is_err() => session.commit(now, token, id).unwrap(),
                _ => {}
            }
        }
        while session.poll_transmit(&mut out).unwrap().is_some() {}
        let Some(wire) = session.wants() else { break };
        assert!(session.poll_timeout().is_some(), "a client without a deadline");
        if let Some(by) = waits(what) {
            now = now + by;
            if session.handle_timeout(now).is_err() {
                break;
            }
            continue;
        }
        let mut message = seal(&mut channel, what, payload, wire);
        if session.handle_message(now, &prs(), &mut guard, &mut rng, &mut message).is_err() {
            assert_eq!(session.wants(), None, "an error is the end");
            break;
        }
    }
}

/// Commands to the table of drops: two bytes and an argument each.
pub fn drops(data: &[u8]) {
    let (mut now, mut rng) = (START, rng());
    let mut table = Box::new(Drops::<3, 3>::new(&mut rng));
    let mut tokens = vec![Token::from_bytes([0; 16])];
    for step in data.chunks_exact(4) {
        let [what, which, who, n] = step.try_into().unwrap();
        let (token, id) = (tokens[usize::from(which) % tokens.len()], FetchId::from_bytes([who % 4; 16]));
        let conn = ConnId(u32::from(who / 4 % 2));
        match what % 10 {
            0 => {
                let (kind, name, ttl) = (Kind::File, Name::default(), Duration::from_secs(n.into()));
                let fetches = if who % 5 == 4 { Fetches::All } else { Fetches::Counted(who % 5) };
                let spec = DropSpec { kind, name, size: 100_000, ttl, fetches };
                tokens.extend(table.put(now, spec, &mut rng));
            }
            1 => drop(table.claim(now, &token, &id, conn)),
            2 => drop(table.progress(now, &token, &id, conn, u64::from(n) << 9)),
            3 => drop(table.all_sent(now, &token, &id, conn)),
            4 => drop(table.finalise(now, &token, &id, conn)),
            5 => drop(table.commit(now, &token, &id, &mut rng)),
            6 => drop(table.release(now, &token, &id, conn)),
            7 => drop(table.withdraw(now, &token, &mut rng)),
            8 => now = now + Duration::from_millis(u64::from(n) << (which % 10)),
            _ => while table.poll_event().is_some() {},
        }
        table.handle_timeout(now, &mut rng);
        assert!(table.poll_timeout().is_none_or(|at| at > now), "a deadline without an effect");
        for token in &tokens {
            if let Some(tally) = table.fetch_counts(token) {
                let sum = tally.available + tally.claimed + tally.r#final + tally.burned;
                assert!((1..=3).contains(&sum));
            }
        }
    }
    table.handle_timeout(now + Duration::from_secs(2_000), &mut rng);
    assert_eq!(table.live(), 0, "every drop ends");
}

/// Connections, guesses and their ends at the guard, in any order.
pub fn guard(data: &[u8]) {
    let (mut now, mut rng) = (START, rng());
    let mut guard = Box::new(Guard::<4, 8>::new(&HOST, now));
    for step in data.chunks_exact(2) {
        let [what, n] = step.try_into().unwrap();
        let conn = ConnId(u32::from(n % 16));
        match what % 6 {
            0 => drop(guard.admit(now, conn, IpAddr::V4(Ipv4Addr::new(10, 0, 0, n / 16)))),
            1 => drop(guard.message2(now, conn)),
            2 => guard.confirmed(now, conn),
            3 => guard.failed(now, conn),
            4 => guard.closed(now, conn),
            _ => now = now + Duration::from_millis(u64::from(n) << (what / 6 % 8)),
        }
        let granted = std::iter::from_fn(|| guard.poll_granted(now, &mut rng)).take(9).count();
        assert!(granted <= 8, "more are granted than there are connections");
        while guard.poll_warning(now).is_some() {}
        assert!(guard.poll_timeout().is_none_or(|at| at >= now));
    }
}
