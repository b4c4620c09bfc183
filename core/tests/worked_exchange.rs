//! One whole exchange with every random byte fixed, written out for whoever builds a peer of their own.
//!
//! `vectors/exchange.json` and `docs/worked-exchange.md` come from here; with `DEADDROP_BLESS=1` in the
//! environment this test writes them anew. The keys are worked out here once more, from the text of the
//! protocol and not with the crate's own code, and open every record.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::convert::Infallible;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::crypto::record::{Opener, RecordKey, RecordKind};
use deaddrop_core::drops::DropSpec;
use deaddrop_core::exchange::{Server, ServerSession};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::secret::Secret;
use deaddrop_core::session::{ClientEvent, ClientSession, Close, FetchPlan};
use deaddrop_core::time::Instant;
use deaddrop_core::token::FetchId;
use hkdf::Hkdf;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha512};

const PASSPHRASE: &str = "correct horse battery staple";
/// scrypt(passphrase, "deaddrop/1 room", N = 2^15, r = 8, p = 1), computed with Python's hashlib.
const ROOM_SECRET: &str = "15ec059ff84042f0a4aff9d58ac8d9b7732498d94d826073cb0d05e70b2c65f2";
const NOW: Instant = Instant::from_millis(1_000_000);

/// Randomness that is written down, and used to the last byte.
struct Script(Vec<u8>);

impl Script {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        assert!(self.0.len() >= N, "more randomness is drawn than is written down");
        self.0.drain(..N).collect::<Vec<_>>().try_into().unwrap()
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill_with(|| self.take::<1>()[0]);
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// `n` bytes that count up from `first`.
fn count(first: u8, n: u8) -> Vec<u8> {
    (0..n).map(|i| first.wrapping_add(i)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The exchange, line by line: a heading, what it is, its bytes.
#[derive(Default)]
struct Book(Vec<(&'static str, String, Vec<u8>)>);

impl Book {
    fn note(&mut self, section: &'static str, label: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.push((section, label.into(), bytes.as_ref().to_vec()));
    }

    fn get(&self, label: &str) -> &[u8] {
        &self.0.iter().find(|(_, l, _)| l == label).unwrap().2
    }

    fn json(&self) -> String {
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|(section, label, bytes)| {
                serde_json::json!({ "section": section, "label": label, "hex": hex(bytes) })
            })
            .collect();
        serde_json::to_string_pretty(&rows).unwrap() + "\n"
    }

    fn markdown(&self) -> String {
        let mut out = String::from(INTRODUCTION);
        let mut last = "";
        for (section, label, bytes) in &self.0 {
            if *section != last {
                write!(out, "\n## {section}\n").unwrap();
                last = section;
            }
            write!(out, "\n{label}, {} bytes:\n\n```text\n", bytes.len()).unwrap();
            for line in bytes.chunks(32) {
                writeln!(out, "{}", hex(line)).unwrap();
            }
            out.push_str("```\n");
        }
        out
    }
}

const INTRODUCTION: &str = "# A worked exchange

Every byte of one exchange: a client lists, fetches a file of 600 bytes in records of R = 512, and commits. All that is
random is fixed, so another implementation that draws the same bytes says the same bytes. The same lines stand in
`core/tests/vectors/exchange.json`. Written by `core/tests/worked_exchange.rs`; do not edit.

A random scalar is 64 bytes, read as a little-endian number and reduced modulo the order of ristretto255. The server's
clock does not move, so that the offer has all of its TTL of one hour left. The bytes of the file are 0, 1, .. 250, 0, 1, ..
A record is shown first as payload (padding and trailer left out), then as it is on the wire.
";

const INPUT: &str = "What is fixed";
const KEYS: &str = "From the passphrase to the keys";
const WIRE: &str = "On the wire";

/// Takes records apart again, with keys that were worked out here, and writes them down.
struct Reader {
    book: Book,
    up: Opener,
    down: Opener,
}

impl Reader {
    fn record(&mut self, from: &str, what: &str, kind: RecordKind, record: &[u8]) {
        let opener = if from == "client" { &mut self.up } else { &mut self.down };
        let mut plain = record.to_vec();
        let opened = opener.open(&mut plain).expect("the keys worked out here open it");
        assert_eq!(opened.kind, kind);
        self.book.note(WIRE, format!("{from}: {what}, payload of kind {}", kind as u8), &plain[..opened.len]);
        self.book.note(WIRE, format!("{from}: {what}, record"), record);
    }

    /// The client says what it has to say, and the server hears it.
    fn ask(&mut self, client: &mut ClientSession, host: &mut Host, what: &str, rng: &mut Script) {
        let record = ask(client);
        self.record("client", what, RecordKind::Control, &record);
        host.hear(&record, rng);
    }
}

fn lv(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        assert!(part.len() < 128, "one byte of LEB128");
        out.push(u8::try_from(part.len()).unwrap());
        out.extend_from_slice(part);
    }
    out
}

/// CPace and the key schedule, from the text.
fn work_out_keys(
    book: &mut Book,
    prs: &[u8],
    greeting: &[u8],
    message2: &[u8],
    message3: &[u8],
) -> [[u8; 32]; 2] {
    let sid = [&greeting[18..], &message2[1..17]].concat();
    let ci = lv(&[b"deaddrop/1", &greeting[..18], &message2[..1]]);
    let dsi = b"CPaceRistretto255";
    let zeros = vec![0; 128 - 1 - (1 + prs.len()) - (1 + dsi.len())];
    let string = lv(&[dsi, prs, &zeros, &ci, &sid]);
    let generator = RistrettoPoint::from_uniform_bytes(&Sha512::digest(&string).into());
    let scalar = |label: &str| Scalar::from_bytes_mod_order_wide(book.get(label).try_into().unwrap());
    let (ya, yb) = (scalar("client's scalar"), scalar("server's scalar"));
    assert_eq!((generator * ya).compress().as_bytes(), &message2[17..]);
    assert_eq!((generator * yb).compress().as_bytes(), message3);
    let k = (CompressedRistretto(message3.try_into().unwrap()).decompress().unwrap() * ya).compress();
    let words = lv(&[&message2[17..], b"client", message3, b"server"]);
    let isk = Sha512::digest([lv(&[b"CPaceRistretto255_ISK", &sid, k.as_bytes()]), words].concat());
    let transcript = Sha512::digest([greeting, message2, message3].concat());
    let hkdf = Hkdf::<Sha512>::new(Some(&transcript), &isk);
    let mut keys = [[0; 32]; 2];
    hkdf.expand(b"deaddrop/1 c2s", &mut keys[0]).unwrap();
    hkdf.expand(b"deaddrop/1 s2c", &mut keys[1]).unwrap();
    book.note(KEYS, "CI", ci);
    book.note(KEYS, "sid", sid);
    book.note(KEYS, "generator, encoded", generator.compress().as_bytes());
    book.note(KEYS, "K, encoded", k.as_bytes());
    book.note(KEYS, "ISK", isk);
    book.note(KEYS, "transcript hash", transcript);
    book.note(KEYS, "key from client to server", keys[0]);
    book.note(KEYS, "key from server to client", keys[1]);
    keys
}

/// A session of the server and the table it serves from.
struct Host {
    serving: Box<Server<4, 1, 8, 8>>,
    session: ServerSession,
    file: Vec<u8>,
}

impl Host {
    fn hear(&mut self, message: &[u8], rng: &mut Script) {
        let mut message = message.to_vec();
        self.session.handle_message(NOW, &mut self.serving, rng, &mut message).unwrap();
    }

    /// The next message, if there is one.
    fn say(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; self.session.record_len()];
        let mut len = self.session.poll_transmit(NOW, &mut self.serving, &mut buffer).unwrap();
        if let (None, Some(read)) = (len, self.session.poll_read()) {
            let start = usize::try_from(read.offset).unwrap();
            buffer[..read.len].copy_from_slice(&self.file[start..start + read.len]);
            len = Some(self.session.handle_read(NOW, &mut self.serving, &mut buffer).unwrap());
        }
        buffer.truncate(len.expect("the server has something to say"));
        buffer
    }
}

fn ask(client: &mut ClientSession) -> Vec<u8> {
    let mut out = [0; 512];
    let len = client.poll_transmit(&mut out).unwrap().expect("the client has something to say");
    out[..len].to_vec()
}

/// Runs the exchange and writes it down.
fn exchange() -> Book {
    let mut book = Book::default();
    let no_rng = &mut Script(Vec::new());
    book.note(INPUT, "passphrase", PASSPHRASE);
    for (label, bytes) in [
        ("server's first revision", count(0x01, 4)),
        ("instance", count(0xa0, 8)),
        ("token", count(0x10, 16)),
        ("revision with the drop", count(0x05, 4)),
        ("server's nonce", count(0x20, 16)),
        ("client's nonce", count(0x30, 16)),
        ("client's scalar", count(0x40, 64)),
        ("server's scalar", count(0x80, 64)),
        ("fetch id", count(0xe0, 16)),
    ] {
        book.note(INPUT, label, bytes);
    }
    let room = RoomSecret::new(unhex(ROOM_SECRET).try_into().unwrap());
    book.note(KEYS, "room secret", room.expose());
    let mut prs = [0; 32];
    Hkdf::<Sha512>::new(None, room.expose()).expand(b"deaddrop/1 prs", &mut prs).unwrap();
    assert_eq!(room.prs().expose(), &prs);
    book.note(KEYS, "PRS", prs);

    let mut script = Script(
        ["server's first revision", "instance", "token", "revision with the drop", "server's nonce"]
            .map(|label| book.get(label).to_vec())
            .concat(),
    );
    let mut serving = Box::new(Server::new(NOW, Prs::new(prs), &HOST, &mut script));
    let file: Vec<u8> = (0..600_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let (kind, name) = (Kind::File, Name::new("plans.txt").unwrap());
    let spec = DropSpec { kind, name, size: 600, ttl: Duration::from_secs(3_600), fetches: 1 };
    let token = serving.drops.put(NOW, spec, &mut script).unwrap();
    let address = "192.0.2.1".parse().unwrap();
    let session = serving.open(NOW, address, &mut script);
    assert!(script.0.is_empty());
    let mut host = Host { serving, session, file };

    let mut client = ClientSession::new(NOW, address, Some(host.serving.instance()), None);
    let mut guard = Box::new(ClientGuard::<4>::new(NOW));
    let mut tell = |client: &mut ClientSession, message: &[u8], rng: &mut Script| {
        client.handle_message(NOW, &Prs::new(prs), &mut guard, rng, &mut message.to_vec()).unwrap()
    };
    let greeting = host.say();
    let mut script = Script([book.get("client's nonce"), book.get("client's scalar")].concat());
    tell(&mut client, &greeting, &mut script);
    assert!(script.0.is_empty());
    let message2 = ask(&mut client);
    let mut script = Script(book.get("server's scalar").to_vec());
    host.hear(&message2, &mut script);
    assert!(script.0.is_empty());
    let message3 = host.say();
    assert_eq!(tell(&mut client, &message3, no_rng), ClientEvent::Ready);
    let keys = work_out_keys(&mut book, &prs, &greeting, &message2, &message3);
    book.note(WIRE, "server: message 1, greeting", greeting);
    book.note(WIRE, "client: message 2", message2);
    book.note(WIRE, "server: message 3", message3);

    let [up, down] = keys.map(|key| Opener::new(RecordKey::new(Secret::new(key))));
    let mut reader = Reader { book, up, down };
    client.list(NOW, None).unwrap();
    reader.ask(&mut client, &mut host, "list", no_rng);
    for n in 1..=8 {
        let record = host.say();
        let what = format!("record {n} of the list");
        reader.record("server", &what, RecordKind::Control, &record);
        tell(&mut client, &record, no_rng);
    }
    let id = FetchId::from_bytes(count(0xe0, 16).try_into().unwrap());
    client.fetch(NOW, &FetchPlan { token, id, record_max: 512, offset: 0, digest: None }).unwrap();
    reader.ask(&mut client, &mut host, "fetch", no_rng);
    for (what, kind) in [("begin", RecordKind::Control), ("data", RecordKind::Data)] {
        let record = host.say();
        reader.record("server", what, kind, &record);
        tell(&mut client, &record, no_rng);
    }
    client.ready(NOW).unwrap();
    reader.ask(&mut client, &mut host, "ready", no_rng);
    let record = host.say();
    reader.record("server", "final", RecordKind::Final, &record);
    assert_eq!(tell(&mut client, &record, no_rng), ClientEvent::Final { len: 88 });
    client.commit(NOW, token, id).unwrap();
    // With its last fetch the set of drops changes: the next revision.
    reader.ask(&mut client, &mut host, "commit", &mut Script(count(0x09, 4)));
    let record = host.say();
    reader.record("server", "burned", RecordKind::Control, &record);
    assert_eq!(tell(&mut client, &record, no_rng), ClientEvent::Burned);
    assert_eq!(host.session.closing(), None::<Close>);
    reader.book
}

#[test]
fn the_document_matches_the_exchange() {
    let book = exchange();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in
        [("tests/vectors/exchange.json", book.json()), ("docs/worked-exchange.md", book.markdown())]
    {
        let path = here.join(path);
        if std::env::var_os("DEADDROP_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{} is not current: run with DEADDROP_BLESS=1", path.display());
    }
}

#[cfg(feature = "derive")]
#[test]
fn the_room_secret_is_that_of_the_passphrase() {
    let room = deaddrop_core::derive::room_secret(PASSPHRASE).unwrap();
    assert_eq!(hex(room.expose()), ROOM_SECRET);
}
