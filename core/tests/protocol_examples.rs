//! Checks `docs/protocol.md` against the code (hex examples, limits), and the threat model's list of tests.
//!
//! The intermediate values of the document come from an independent implementation in Python, so this is also
//! a cross-check.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::crypto::record::{Opener, RecordKey, RecordKind, Sealer};
use deaddrop_core::limits;
use deaddrop_core::offer::{EndReason, Kind, Name, Offer};
use deaddrop_core::secret::Secret;
use deaddrop_core::session::{ClientHandshake, ServerHandshake};
use deaddrop_core::token::{FetchId, Instance, Token};
use deaddrop_core::wire::{
    Answer, Attributes, BUNDLE_BUFFER, Beacon, BeaconKind, Begin, BundleEntry, BundleHead, BundleReader,
    Ending, EntryKind, ErrorCode, FetchRequest, Greeting, Request, Status, Suites,
};
use hkdf::Hkdf;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha512};

const PROTOCOL: &str = include_str!("../docs/protocol.md");
const THREATS: &str = include_str!("../docs/threat-model.md");
const LIMITS: &str = include_str!("../src/limits.rs");

/// The examples of the document that are not checked yet.
struct Examples(BTreeMap<&'static str, Vec<u8>>);

impl Examples {
    fn read() -> Self {
        let mut examples = BTreeMap::new();
        for block in PROTOCOL.split("\n```hex ").skip(1) {
            let (name, rest) = block.split_once('\n').unwrap();
            let hex: String = rest.split("\n```").next().unwrap().split_whitespace().collect();
            let bytes = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap());
            assert!(examples.insert(name, bytes.collect()).is_none(), "{name} is there twice");
        }
        Self(examples)
    }

    fn take(&mut self, name: &str) -> Vec<u8> {
        self.0.remove(name).unwrap_or_else(|| panic!("the document has no example {name}"))
    }

    fn array<const N: usize>(&mut self, name: &str) -> [u8; N] {
        self.take(name).try_into().unwrap_or_else(|_| panic!("{name} has not {N} bytes"))
    }
}

/// A generator that returns given bytes.
struct Script(std::vec::IntoIter<u8>);

impl Script {
    fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into_iter())
    }
}

impl TryRng for Script {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(std::array::from_fn(|_| self.0.next().unwrap())))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(std::array::from_fn(|_| self.0.next().unwrap())))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill_with(|| self.0.next().unwrap());
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// 64 bytes that reduce to this scalar.
fn wide(scalar: [u8; 32]) -> [u8; 64] {
    std::array::from_fn(|i| scalar.get(i).copied().unwrap_or(0))
}

fn expand(salt: Option<&[u8]>, ikm: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha512>::new(salt, ikm).expand(info, &mut out).unwrap();
    out
}

fn lv_cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&[u8::try_from(part.len()).unwrap()], *part].concat()).collect()
}

#[test]
fn every_example_matches_the_code() {
    let mut examples = Examples::read();
    token(&mut examples);
    beacons(&mut examples);
    handshake(&mut examples);
    messages(&mut examples);
    bundle(&mut examples);
    digest(&mut examples);
    assert!(examples.0.is_empty(), "not checked: {:?}", examples.0.keys());
}

fn token(examples: &mut Examples) {
    let text = PROTOCOL.split("\n```text token\n").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(Token::from_bytes(examples.array("token")).to_string(), text);
}

fn beacons(examples: &mut Examples) {
    let announce = Beacon {
        kind: BeaconKind::Announce,
        port: 48_556,
        instance: Instance::from_bytes([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7]),
        revision: 0x0102_0304,
    };
    let instance = Instance::from_bytes([0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7]);
    let solicit = Beacon { kind: BeaconKind::Solicit, port: 0, instance, revision: 0 };
    for (name, beacon) in [("beacon-announce", announce), ("beacon-solicit", solicit)] {
        let bytes = examples.take(name);
        assert_eq!(bytes, beacon.emit(), "{name}");
        assert_eq!(Beacon::parse(&bytes), Ok(beacon));
    }
}

/// A passphrase with characters that have several forms.
fn beyond_ascii(examples: &mut Examples) {
    let prepared = String::from_utf8(examples.take("prepared-beyond-ascii")).unwrap();
    let room: [u8; 32] = examples.array("room-secret-beyond-ascii");
    let prs: [u8; 32] = examples.array("prs-beyond-ascii");
    assert!(PROTOCOL.contains(&format!("For `{prepared}`")));
    assert_eq!(RoomSecret::new(room).prs().expose(), &prs);
    #[cfg(feature = "derive")]
    for typed in [prepared, "Gru\u{308}ße aus\u{3000}Zu\u{308}rich".into()] {
        let derived = deaddrop_core::derive::room_secret(&typed).unwrap();
        assert_eq!(derived.expose(), &room);
    }
}

fn handshake(examples: &mut Examples) {
    let room: [u8; 32] = examples.array("room-secret");
    let prs: [u8; 32] = examples.array("prs");
    assert_eq!(RoomSecret::new(room).prs().expose(), &prs);
    #[cfg(feature = "derive")]
    {
        let derived = deaddrop_core::derive::room_secret("correct horse battery staple").unwrap();
        assert_eq!(derived.expose(), &room);
    }
    beyond_ascii(examples);

    let greeting: [u8; 34] = examples.array("greeting-ok");
    let parsed = Greeting::parse(&greeting).unwrap();
    assert_eq!((parsed.status, parsed.suites), (Status::Ok, Suites::SUPPORTED));
    let busy = examples.take("greeting-busy");
    let status = Status::Busy { retry_after: Duration::from_secs(2) };
    assert_eq!(busy, Greeting { status, ..parsed }.emit());

    // The code, with the document's nonces and scalars as randomness.
    let message2: [u8; 49] = examples.array("message-2");
    let message3: [u8; 32] = examples.array("message-3");
    let (ya, yb) = (examples.array("scalar-client"), examples.array("scalar-server"));
    let mut rng = Script::new(&[&parsed.nonce, &wide(yb)]);
    let greeted = ServerHandshake::new(parsed.instance, &mut rng);
    assert_eq!(greeted.greeting(), &greeting);
    let mut client_rng = Script::new(&[&message2[1..17], &wide(ya)]);
    let (client, said) =
        ClientHandshake::start(&greeting, None, None, &Prs::new(prs), &mut client_rng).unwrap();
    assert_eq!(said, message2);
    let (mut server, said) = greeted.answer(&message2, &Prs::new(prs), &mut rng).unwrap();
    assert_eq!(said, message3);
    let mut client = client.finish(&message3).unwrap();

    // The document's formulas, with its own values.
    let (share_a, share_b) = (&message2[17..], &message3);
    let ci: [u8; 32] = examples.array("ci");
    assert_eq!(ci[..], lv_cat(&[b"deaddrop/1", &greeting[..18], &message2[..1]]));
    let sid: [u8; 32] = examples.array("sid");
    assert_eq!(sid[..], [&greeting[18..], &message2[1..17]].concat());
    let string = examples.take("generator-string");
    assert_eq!(string, lv_cat(&[b"CPaceRistretto255", &prs, &[0; 76], &ci, &sid]));
    let generator = RistrettoPoint::from_uniform_bytes(&Sha512::digest(&string).into());
    assert_eq!(generator.compress().to_bytes(), examples.array("generator"));
    let [ya, yb] = [ya, yb].map(|scalar| Scalar::from_canonical_bytes(scalar).unwrap());
    assert_eq!((generator * ya).compress().as_bytes(), share_a);
    assert_eq!((generator * yb).compress().as_bytes(), share_b);
    let k: [u8; 32] = examples.array("k");
    assert_eq!((CompressedRistretto(message3).decompress().unwrap() * ya).compress().to_bytes(), k);
    let isk: [u8; 64] = examples.array("isk");
    let parts = [&b"CPaceRistretto255_ISK"[..], &sid, &k, share_a, b"client", share_b, b"server"];
    assert_eq!(isk[..], Sha512::digest(lv_cat(&parts))[..]);
    let salt: [u8; 64] = examples.array("transcript-salt");
    assert_eq!(salt[..], Sha512::digest([&greeting[..], &message2, &message3].concat())[..]);
    let (c2s, s2c) = (examples.array("key-c2s"), examples.array("key-s2c"));
    assert_eq!(c2s, expand(Some(&salt), &isk, b"deaddrop/1 c2s"));
    assert_eq!(s2c, expand(Some(&salt), &isk, b"deaddrop/1 s2c"));

    // Both agree: message 4 opens at the server, and message 5 opens with the document's key.
    let message4 = examples.take("message-4-list");
    let mut record = [0; 512];
    record[..3].copy_from_slice(&[0xa1, 0x00, 0x01]);
    client.sealer.seal(&mut record, RecordKind::Control, 3).unwrap();
    assert_eq!(record[..], message4);
    let opened = server.opener.open(&mut record).unwrap();
    assert_eq!((opened.kind, &record[..opened.len]), (RecordKind::Control, &[0xa1, 0x00, 0x01][..]));
    assert_eq!(record[492..496], examples.take("trailer-of-message-4"));
    let mut again = [0; 512];
    again[..3].copy_from_slice(&[0xa1, 0x00, 0x01]);
    Sealer::new(RecordKey::new(Secret::new(c2s))).seal(&mut again, RecordKind::Control, 3).unwrap();
    assert_eq!(again[..], message4);
    server.sealer.seal(&mut again, RecordKind::Control, 3).unwrap();
    assert!(Opener::new(RecordKey::new(Secret::new(s2c))).open(&mut again).is_ok());
}

fn messages(examples: &mut Examples) {
    let (token, id) = (Token::from_bytes([0x54; 16]), FetchId::from_bytes([0x49; 16]));
    let fetch = FetchRequest { token, id, record_max: 65_536, offset: 0, digest: None };
    let rest = FetchRequest { offset: 1_000, digest: Some([0x44; 32]), ..fetch };
    for (name, request) in [
        ("list", Request::List { after: None }),
        ("list-after", Request::List { after: Some(token) }),
        ("fetch", Request::Fetch(fetch)),
        ("fetch-rest", Request::Fetch(rest)),
        ("progress", Request::Progress { token, id, stored: 24 }),
        ("ready", Request::Ready { token, id }),
        ("commit", Request::Commit { token, id }),
        ("release", Request::Release { token, id }),
    ] {
        let bytes = examples.take(name);
        let mut out = [0; limits::CONTROL_PAYLOAD];
        let len = request.emit(&mut out).unwrap();
        assert_eq!(out[..len], bytes, "{name}");
        assert_eq!(Request::parse(&bytes), Ok(request), "{name}");
    }

    let (kind, name, size) = (Kind::File, Name::new("a.txt").unwrap(), 1_000_000);
    let ttl_left = Duration::from_secs(60);
    let busy = ErrorCode::Busy { retry_after: Duration::from_millis(1_500) };
    for (what, answer) in [
        ("offer", Answer::Offer(Offer { token, kind, name: name.clone(), size, ttl_left, fetches_left: 1 })),
        ("begin", Answer::Begin(Begin { kind, name, size, offset: 0, record: 65_536 })),
        ("ending-fetched", Answer::Ending(Ending { token, reason: EndReason::Fetched })),
        ("filler", Answer::Filler),
        ("end", Answer::End { revision: 0xdead_beef, more: true }),
        ("burned", Answer::Burned),
        ("error-gone", Answer::Error(ErrorCode::Gone)),
        ("error-busy", Answer::Error(busy)),
    ] {
        let bytes = examples.take(what);
        let mut out = [0; limits::CONTROL_PAYLOAD];
        let len = answer.emit(&mut out).unwrap();
        assert_eq!(out[..len], bytes, "{what}");
        assert_eq!(Answer::parse(&bytes), Ok(answer), "{what}");
    }
    attributes(examples);
    assert_eq!(Answer::parse(&examples.take("burned-with-unknown-key")), Ok(Answer::Burned));
}

fn attributes(examples: &mut Examples) {
    let bytes = examples.take("begin-with-attributes");
    let begin = Answer::parse(&bytes).unwrap();
    let attributes = Attributes { executable: true, modified: Some(1_700_000_000), space: Some(4_096) };
    let mut out = [0; limits::CONTROL_PAYLOAD];
    let len = begin.emit(&mut out).and_then(|len| attributes.append(&mut out, len)).unwrap();
    assert_eq!(out[..len], bytes);
    assert_eq!(Attributes::parse(&bytes), Ok(Some(attributes)));
}

fn bundle(examples: &mut Examples) {
    let mut out = [0; BUNDLE_BUFFER];
    let head = BundleHead { entries: 4, bytes: 5, separate: false };
    let len = head.emit(&mut out).unwrap();
    let mut stream = examples.take("bundle-head");
    assert_eq!(out[..len], stream);
    let file = EntryKind::File { size: 5, executable: false };
    let (at, later) = (Some(1_700_000_000), Some(1_700_000_001));
    for (name, path, kind, modified, content) in [
        ("bundle-folder", "d", EntryKind::Folder, at, &b""[..]),
        ("bundle-file", "d/a.txt", file, later, b"hello"),
        ("bundle-folder-without-a-time", "d/b", EntryKind::Folder, None, b""),
        ("bundle-link", "d/l", EntryKind::Link { target: "b" }, None, b""),
    ] {
        let bytes = examples.take(name);
        let len = BundleEntry { path, kind, modified }.emit(&mut out).unwrap();
        assert_eq!(bytes, [&out[..len], content].concat(), "{name}");
        stream.extend(bytes);
    }
    let mut reader = BundleReader::new(Name::new("d").unwrap(), stream.len() as u64);
    let mut input = &stream[..];
    while reader.next(&mut input).unwrap().is_some() {}
    assert_eq!(reader.finish(), Ok(()));
}

fn digest(examples: &mut Examples) {
    let held: Vec<u8> = (0..1_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let mut digest = PrefixDigest::new(1_000);
    digest.update(&held);
    assert_eq!(digest.finish()[..], examples.take("prefix-digest"));
}

/// The names and values of the document's table of limits.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let section = PROTOCOL.split("\n## 9. Limits\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name, rest.split(" | ").next().unwrap().trim_end_matches(" |"))).collect()
}

/// A literal of `limits.rs` in the document's notation.
fn in_words(value: &str) -> String {
    let number = |text: &str| -> u64 { text.split('*').map(|n| digits(n).parse::<u64>().unwrap()).product() };
    let inside = |text: &str| text.split('(').nth(1).unwrap().split(')').next().unwrap().to_owned();
    let value = value.trim();
    if value.starts_with('[') {
        let all: Vec<_> =
            value.split("from_millis(").skip(1).map(|v| digits(v.split(')').next().unwrap())).collect();
        format!("{} ms", all.join(", "))
    } else if value.starts_with("Duration::from_secs") {
        format!("{} s", number(&inside(value)))
    } else if value.starts_with("Duration::from_millis") {
        format!("{} ms", number(&inside(value)))
    } else {
        number(value).to_string()
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[test]
fn every_limit_is_in_the_document_with_its_value() {
    let documented = documented();
    let mut names = BTreeSet::new();
    // Computed limits are written as their values.
    let computed = [
        ("RECORD_OVERHEAD", limits::RECORD_OVERHEAD),
        ("CONTROL_PAYLOAD", limits::CONTROL_PAYLOAD),
        ("LIST_ENTRIES", limits::LIST_ENTRIES),
    ];
    for item in LIMITS.split("\npub const ").skip(1) {
        let (name, rest) = item.split_once(':').unwrap();
        let value = rest.split_once('=').unwrap().1.split_once(';').unwrap().0;
        if value.contains("Profile {") {
            continue;
        }
        let value = match computed.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value.to_string(),
            None => in_words(value),
        };
        assert_eq!(documented.get(name).copied(), Some(value.as_str()), "{name}");
        names.insert(name);
    }
    let fields = [limits::HOST, limits::BOARD].map(|profile| format!("{profile:?}"));
    let [host, board] = fields.each_ref().map(|shown| {
        let inner = shown.trim_start_matches("Profile { ").trim_end_matches(" }");
        inner.split(", ").map(|field| field.split_once(": ").unwrap()).collect::<Vec<_>>()
    });
    for ((name, host), (_, board)) in host.iter().zip(&board) {
        assert_eq!(
            documented.get(name).copied(),
            Some(format!("{}, boards {}", spaced(host), spaced(board)).as_str())
        );
        names.insert(name);
    }
    assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), names);
}

/// Rows of other sections that give a limit in words: section heading, a part of the row, and the limit.
#[test]
fn limits_that_other_sections_repeat_are_the_same() {
    let seconds = |limit: Duration| format!("{} s", limit.as_secs());
    let (greeting, handshake) = (seconds(limits::GREETING_TIMEOUT), seconds(limits::HANDSHAKE_TIMEOUT));
    let (answer, lease) = (seconds(limits::ANSWER_TIMEOUT), seconds(limits::LEASE));
    let (ready, idle) = (seconds(limits::READY_TIMEOUT), seconds(limits::HOST.idle));
    let message2 = seconds(limits::MESSAGE2_TIMEOUT);
    let connect = seconds(limits::CONNECT_TIMEOUT);
    let (resume, commit) = (seconds(limits::RESUME_TIMEOUT), seconds(limits::COMMIT_TIMEOUT));
    let expected = [
        ("### 4.3", format!("close, reset, or {greeting} of silence")),
        ("### 4.3", format!("silence until {handshake} after the connect")),
        ("### 4.4", format!("| the connection opens | {connect} |")),
        ("### 4.4", format!("| message 2, after the connection was accepted | {message2},")),
        (
            "### 4.4",
            format!("| message 4, after the connection was accepted, parking included | {handshake},"),
        ),
        ("### 4.4", format!("for message 1 / for message 3 | {greeting} / {handshake} after")),
        ("### 4.4", format!("without a claim, silent | {idle} (boards {}),", seconds(limits::BOARD.idle))),
        ("### 4.4", format!("between final and commit, silent | {lease},")),
        (
            "### 4.4",
            format!("| {} (boards {}) |", limits::HOST.unauthenticated, limits::BOARD.unauthenticated),
        ),
        ("### 4.4", format!("aside | {}; at the next", limits::REQUESTS_MAX)),
        ("## 7.", format!("A client waits at most {answer} for each answer")),
        ("## 7.", format!("sent every {} from `begin` on", seconds(limits::PROGRESS_EVERY))),
        ("### 7.1", format!("until nothing has come for {resume}")),
        ("### 7.1", format!("for {commit} in all and {} on each", seconds(limits::COMMIT_ANSWER_TIMEOUT))),
        ("### 7.1", format!("it waits {} ms, doubled", limits::RETRY_MIN.as_millis())),
        ("### 7.1", format!("up to {} once it has the claim", seconds(limits::RETRY_MAX))),
        ("### 7.1", format!("up to {} ms of jitter", limits::RETRY_JITTER.as_millis())),
        ("### 7.1", format!("believed up to {}.", seconds(limits::BUSY_WAIT_MAX))),
        ("## 8.", format!("{lease} without `begin` or `progress`")),
        ("## 8.", format!("{ready} after the last data record without `ready`")),
    ];
    for (section, text) in expected {
        let start = PROTOCOL.find(&format!("\n{section}")).expect(section);
        let rest = &PROTOCOL[start + 1..];
        let end = rest[3..].find("\n#").map_or(rest.len(), |end| end + 3);
        // Ignores where lines are wrapped.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&rest[..end]).contains(&words(&text)), "{section} does not say: {text}");
    }
}

/// `5s` and `250ms` as the document writes them.
fn spaced(value: &str) -> String {
    if value == "None" {
        return "no limit".into();
    }
    let value = value.trim_start_matches("Some(").trim_end_matches(')');
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &value[..value.len() - unit.len()];
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for word in THREATS.split('`').skip(1).step_by(2) {
        let Some((file, test)) = word.split_once("::") else { continue };
        let source = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let at = source.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{word} is not there"));
        let before = source[..at].trim_end().rsplit("\n\n").next().unwrap();
        assert!(before.contains("#[test]"), "{word} is no test");
        named += 1;
    }
    assert!(named > 50, "{named}");
}
