//! Core runs under a counting allocator and never calls it.
//!
//! The image in `core/noalloc` proves that core *cannot* allocate, as built for boards. This test shows that
//! it *does not*, as built for hosts, on the paths of whole exchanges.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use core::fmt::{self, Display, Write};
use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::crypto::record::OpenError;
use deaddrop_core::discovery::{Advertiser, Arrival, Browser, Find, OfferEvent, ProbeError};
use deaddrop_core::drops::{DropSpec, Drops};
use deaddrop_core::exchange::ListEvent;
use deaddrop_core::exchange::{Server, ServerSession};
use deaddrop_core::guard::{Admission, ClientGuard, Guard, Guess};
use deaddrop_core::limits::{BOARD, HOST, LEASE, Profile, RECORD_MAX, RECORD_OVERHEAD};
use deaddrop_core::offer::{EndReason, Kind, Name, Offer};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, FetchPlan};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Instance, Token, TokenPrefix};
use deaddrop_core::wire::{
    Answer, BUNDLE_BUFFER, Beacon, BeaconKind, BundleEntry, BundleHead, BundlePart, BundleReader, Ending,
    EntryKind, ErrorCode, Greeting, Request,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

const BUFFER: usize = RECORD_MAX as usize + RECORD_OVERHEAD;

/// Runs a closure, which must not allocate, free or reallocate.
fn unallocated(work: impl FnOnce()) {
    let counted = allocation_counter::measure(work);
    assert_eq!((counted.count_total, counted.count_current), (0, 0), "core called the allocator");
}

/// Formats a value.
fn say(what: impl Display) {
    struct Nowhere;
    impl Write for Nowhere {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            black_box(text);
            Ok(())
        }
    }
    write!(Nowhere, "{what}").unwrap();
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn start() -> Instant {
    Instant::from_millis(1_000)
}

fn ip(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, n, 1))
}

fn spec(size: u64, fetches: u8) -> DropSpec {
    DropSpec {
        kind: Kind::File,
        name: Name::new("plans.txt").unwrap(),
        size,
        ttl: seconds(600),
        fetches: fetches.into(),
    }
}

/// Byte `at` of every drop.
fn content(at: u64) -> u8 {
    at.to_le_bytes().iter().fold(7, |sum, byte| sum ^ byte.rotate_left(3))
}

/// A server and its clients, with one message in flight at a time.
struct Meeting {
    now: Instant,
    rng: ChaCha8Rng,
    prs: Prs,
    serving: Server<4, 4, 16, 4>,
    guard: ClientGuard<16>,
    buffer: [u8; BUFFER],
}

/// The two ends of one connection.
struct Ends {
    server: ServerSession,
    client: ClientSession,
}

impl Meeting {
    fn new(profile: &'static Profile) -> Self {
        let mut rng = rng();
        let secret = RoomSecret::fill_with(|bytes| bytes.fill(3));
        let serving = Server::new(start(), secret.prs(), profile, &mut rng);
        let (prs, guard) = (secret.prs(), ClientGuard::new(start()));
        Self { now: start(), rng, prs, serving, guard, buffer: [0; BUFFER] }
    }

    /// A connection whose handshake is over.
    fn visit(&mut self) -> Ends {
        let server = self.serving.open(self.now, ip(1), &mut self.rng);
        let client = ClientSession::new(self.now, ip(2), Some(self.serving.instance()), None);
        let mut ends = Ends { server, client };
        assert_eq!(self.carry(&mut ends), Ok(ClientEvent::Ready));
        ends
    }

    /// Passes messages both ways until one gives the client an event.
    fn carry(&mut self, ends: &mut Ends) -> Result<ClientEvent, ClientError> {
        loop {
            if let Some(len) = ends.client.poll_transmit(&mut self.buffer).unwrap() {
                let message = &mut self.buffer[..len];
                ends.server.handle_message(self.now, &mut self.serving, &mut self.rng, message).unwrap();
                continue;
            }
            let said = ends.server.poll_transmit(self.now, &mut self.serving, &mut self.buffer).unwrap();
            let len = said.unwrap_or_else(|| {
                let read = ends.server.poll_read().expect("one of them has something to say");
                for (at, byte) in (read.offset..).zip(&mut self.buffer[..read.len]) {
                    *byte = content(at);
                }
                ends.server.handle_read(self.now, &mut self.serving, &mut self.buffer).unwrap()
            });
            if len == 0 {
                continue;
            }
            let message = &mut self.buffer[..len];
            let (prs, guard) = (&self.prs, &mut self.guard);
            if let Some(event) = ends.client.handle_message(self.now, prs, guard, &mut self.rng, message)? {
                return Ok(event);
            }
        }
    }

    /// Fetches a drop from `offset` on, and commits.
    fn fetch(&mut self, ends: &mut Ends, token: Token, id: FetchId, offset: u64) {
        let digest = (offset > 0).then(|| {
            let mut digest = PrefixDigest::new(offset);
            for at in digest.range() {
                digest.update(&[content(at)]);
            }
            digest.finish()
        });
        let plan = FetchPlan { token, id, record_max: RECORD_MAX, offset, digest };
        ends.client.fetch(self.now, &plan).unwrap();
        let Ok(ClientEvent::Begin(begin)) = self.carry(ends) else { panic!("no begin") };
        assert_eq!(begin.offset, offset);
        let mut stored = offset;
        while stored < begin.size {
            if ends.client.needs_ready() {
                ends.client.ready(self.now).unwrap();
            } else {
                ends.client.progress(stored).unwrap();
            }
            let Ok(ClientEvent::Data { len } | ClientEvent::Final { len }) = self.carry(ends) else {
                panic!("no data")
            };
            assert!(self.buffer[..len].iter().zip(stored..).all(|(byte, at)| *byte == content(at)));
            stored += len as u64;
        }
        ends.client.commit(self.now, token, id).unwrap();
        assert_eq!(self.carry(ends), Ok(ClientEvent::Burned));
    }

    fn part(&mut self, mut ends: Ends) {
        say(ends.client.handle_close(true));
        ends.server.handle_close();
        ends.server.closed(self.now, &mut self.serving);
        while black_box(self.serving.drops.poll_event()).is_some() {}
        while black_box(self.serving.guard.poll_warning(self.now)).is_some() {}
        black_box((self.serving.drops.poll_timeout(), self.serving.guard.poll_timeout()));
    }
}

#[test]
fn what_allocates_is_counted() {
    let counted = allocation_counter::measure(|| drop(black_box(Box::new(1_u8))));
    assert_eq!(counted.count_total, 1);
    let here = Box::new(1_u8);
    assert_eq!(allocation_counter::measure(|| drop(black_box(here))).count_current, -1);
}

#[test]
fn a_handshake_a_list_and_fetches() {
    for profile in [&HOST, &BOARD] {
        unallocated(|| {
            let mut meeting = Meeting::new(profile);
            let size = 5 * u64::from(profile.record_max) + 17;
            let put = spec(size, 2);
            let token = meeting.serving.drops.put(meeting.now, put, &mut meeting.rng).unwrap();
            let empty = meeting.serving.drops.put(meeting.now, spec(0, 1), &mut meeting.rng).unwrap();

            let mut ends = meeting.visit();
            ends.client.list(meeting.now, None).unwrap();
            let mut listed = 0;
            while let Ok(ClientEvent::Offer(offer)) = meeting.carry(&mut ends) {
                assert!(offer.token == token || offer.token == empty);
                listed += 1;
            }
            assert_eq!(listed, 2);
            let id = FetchId::random(&mut meeting.rng);
            meeting.fetch(&mut ends, token, id, 0);
            meeting.part(ends);

            let mut ends = meeting.visit();
            let id = FetchId::random(&mut meeting.rng);
            meeting.fetch(&mut ends, token, id, u64::from(profile.record_max));
            assert_eq!(meeting.serving.drops.fetch_counts(&token).unwrap().burned, 2);
            meeting.part(ends);
        });
    }
}

#[test]
fn refusals_timeouts_and_forgeries() {
    unallocated(|| {
        let mut meeting = Meeting::new(&HOST);
        let token = meeting.serving.drops.put(meeting.now, spec(9, 1), &mut meeting.rng).unwrap();

        let mut ends = meeting.visit();
        let mut unknown = *token.as_bytes();
        unknown[0] ^= 1;
        let id = FetchId::random(&mut meeting.rng);
        let plan =
            FetchPlan { token: Token::from_bytes(unknown), id, record_max: 512, offset: 0, digest: None };
        ends.client.fetch(meeting.now, &plan).unwrap();
        assert_eq!(meeting.carry(&mut ends), Ok(ClientEvent::Refused(ErrorCode::Unknown)));
        say(ErrorCode::Unknown);
        meeting.part(ends);

        // A guess at the passphrase, then illegal messages.
        let right = core::mem::replace(&mut meeting.prs, Prs::new([9; 32]));
        let server = meeting.serving.open(meeting.now, ip(1), &mut meeting.rng);
        let mut ends = Ends { server, client: ClientSession::new(meeting.now, ip(2), None, None) };
        assert_eq!(meeting.carry(&mut ends), Ok(ClientEvent::Ready));
        meeting.buffer.fill(1);
        let forged = &mut meeting.buffer[..ends.server.wants().unwrap()];
        let heard = ends.server.handle_message(meeting.now, &mut meeting.serving, &mut meeting.rng, forged);
        assert!(heard.unwrap().is_none() && ends.server.closing().is_some());
        say(OpenError::Forged);
        meeting.part(ends);
        meeting.prs = right;

        let mut ends = meeting.visit();
        ends.client.list(meeting.now, None).unwrap();
        meeting.now = meeting.now + seconds(600);
        say(ends.client.handle_timeout(meeting.now).unwrap_err());
        ends.server.handle_timeout(meeting.now, &meeting.serving);
        assert!(ends.server.closing().is_some());
        meeting.part(ends);
    });
}

#[test]
fn the_table_of_drops() {
    unallocated(|| {
        let (mut now, mut rng) = (start(), rng());
        let mut drops = Drops::<4, 4>::new(&mut rng);
        let tokens: [Token; 4] = core::array::from_fn(|_| drops.put(now, spec(100, 2), &mut rng).unwrap());
        say(drops.put(now, spec(100, 1), &mut rng).unwrap_err());
        let [lapsing, committed, withdrawn, changed] = tokens;
        let id = FetchId::random(&mut rng);
        for (conn, token) in (0..).map(ConnId).zip(&tokens) {
            drops.claim(now, token, &id, conn).unwrap();
            drops.progress(now, token, &id, conn, 10).unwrap();
        }
        drops.all_sent(now, &committed, &id, ConnId(1)).unwrap();
        drops.finalise(now, &committed, &id, ConnId(1)).unwrap();
        drops.commit(now, &committed, &id, &mut rng).unwrap();
        assert!(drops.withdraw(now, &withdrawn, &mut rng));
        drops.changed(now, &changed, &mut rng);
        say(drops.holds(now, &changed, &id, ConnId(3)).unwrap_err());
        now = now + LEASE;
        drops.handle_timeout(now, &mut rng);
        assert_eq!(drops.fetch_counts(&lapsing).unwrap().available, 2, "the claim has lapsed");
        assert!(!drops.release(now, &lapsing, &id, ConnId(0)));

        let mut after = None;
        while let Some(listed) = drops.listed_after(now, after) {
            after = Some(listed.token());
        }
        while let Some(at) = drops.poll_timeout() {
            drops.handle_timeout(at, &mut rng);
        }
        let mut events = 0;
        while drops.poll_event().is_some() {
            events += 1;
        }
        assert!(events > 4 && drops.live() == 0, "{events} events");
    });
}

#[test]
fn the_guard_under_attack() {
    for profile in [&HOST, &BOARD] {
        unallocated(|| {
            let (mut now, mut rng) = (start(), rng());
            let mut guard = Guard::<16, 4>::new(profile, now);
            let (mut warnings, mut refused) = (0, 0);
            for n in 0..2_000_u32 {
                let conn = ConnId(n);
                let source = ip(u8::try_from(n % 40).unwrap());
                now = now + Duration::from_millis(10);
                match guard.admit(now, conn, source) {
                    Admission::Busy { .. } => refused += 1,
                    Admission::Evict(other) => guard.closed(now, other),
                    Admission::Open => {}
                }
                match (guard.message2(now, conn), n % 5) {
                    (Guess::Granted, 0) => guard.confirmed(now, conn),
                    (Guess::Granted, 1..) => guard.failed(now, conn),
                    (Guess::Refused, _) => refused += 1,
                    _ => {}
                }
                while let Some(granted) = guard.poll_granted(now, &mut rng) {
                    guard.failed(now, granted);
                }
                while guard.poll_warning(now).is_some() {
                    warnings += 1;
                }
                black_box(guard.poll_timeout());
            }
            assert!(warnings > 0 && refused > 0, "{warnings} warnings, {refused} refused");
        });
    }
}

#[test]
fn announcing_and_browsing() {
    unallocated(|| {
        let (mut now, mut rng) = (start(), rng());
        let mut advertiser = Advertiser::<4>::new(Instance::random(&mut rng));
        let mut browser = Browser::<16, 24, 64>::new(now, Instance::random(&mut rng));
        advertiser.set(now, Some((48_556, 1)), &mut rng);
        let (mut probes, mut appeared, mut gone, mut crowded) = (0, 0, 0, 0);
        for round in 0..500_u32 {
            now = browser.poll_timeout().map_or(now, |at| at.max(now)) + Duration::from_millis(100);
            let place = u8::try_from(round % 20).unwrap();
            let from = SocketAddr::new(ip(place), 48_555);
            if let Some(solicit) = browser.poll_transmit(now) {
                let via = Arrival { from, attached: true, loopback: false };
                advertiser.handle_beacon(now, &via, &solicit);
            }
            if let Some(mut beacon) = advertiser.poll_transmit(now, &mut rng) {
                beacon = Beacon::parse(&beacon.emit()).unwrap();
                // As many servers as the table has entries, each with changes now and then.
                beacon.instance = Instance::from_bytes([place; 8]);
                beacon.revision = round / 50;
                let via = Arrival { from, attached: true, loopback: false };
                browser.handle_beacon(now, &via, &beacon, &mut rng);
            }
            while let Some(probe) = browser.poll_probe(now, &mut rng) {
                probes += 1;
                let DropSpec { kind, name, size, ttl, .. } = spec(probes, 1);
                let token = Token::random(&mut rng);
                let offer = Offer { token, kind, name, size, ttl_left: ttl, fetches_left: 1 };
                browser.handle_line(now, &probe, &ListEvent::Offer(offer));
                if browser.find(&TokenPrefix::from(token)) == Find::None {
                    crowded += usize::from(browser.is_crowded());
                }
                let ending = Ending { token: Token::random(&mut rng), reason: EndReason::Fetched };
                browser.handle_line(now, &probe, &ListEvent::Ending(ending));
                browser.handle_probe(
                    now,
                    &probe,
                    match probes % 7 {
                        0 => Err(ProbeError::Session(ClientError::Busy)),
                        1 => Err(ProbeError::Session(ClientError::NoBudget)),
                        2 => Err(ProbeError::Session(ClientError::NotMember)),
                        3 => Err(ProbeError::Unreachable),
                        4 => Err(ProbeError::Interrupted),
                        _ => Ok(round),
                    },
                );
                black_box(browser.elsewhere(probe.instance, probe.peer));
            }
            browser.handle_timeout(now);
            while let Some(event) = browser.poll_event() {
                match event {
                    OfferEvent::Appeared { .. } => appeared += 1,
                    OfferEvent::Gone { .. } => gone += 1,
                }
            }
            advertiser.reannounce(now);
            if round % 100 == 99 {
                browser.resolicit(now);
            }
            black_box((advertiser.poll_timeout(), browser.peers().count(), browser.ports_of(ip(1)).count()));
        }
        advertiser.set(now, None, &mut rng);
        let farewell = advertiser.poll_transmit(now, &mut rng).map(|beacon| beacon.kind);
        assert_eq!(farewell, Some(BeaconKind::Farewell));
        assert!(
            probes > 20 && appeared > 0 && gone > 0 && crowded > 0,
            "{probes} {appeared} {gone} {crowded}"
        );
    });
}

#[test]
fn bytes_that_are_no_message() {
    unallocated(|| {
        let mut rng = rng();
        let DropSpec { kind, name, size, ttl, .. } = spec(1_000, 1);
        let token = Token::random(&mut rng);
        let offer = Answer::Offer(Offer { token, kind, name, size, ttl_left: ttl, fetches_left: 1 });
        let (mut answer, mut request) = ([0; 492], [0; 492]);
        let answer_len = offer.emit(&mut answer).unwrap();
        let list = Request::Progress { token, id: FetchId::random(&mut rng), stored: 77 };
        let request_len = list.emit(&mut request).unwrap();
        assert_eq!(Answer::parse(&answer[..answer_len]).as_ref(), Ok(&offer));
        for at in 0..answer_len {
            for value in 0..=255 {
                let (mut answer, mut request) = (answer, request);
                answer[at] = value;
                request[at % request_len] = value;
                if let Err(error) = Answer::parse(&answer[..answer_len]) {
                    say(error);
                }
                if let Err(error) = Request::parse(&request[..request_len]) {
                    say(error);
                }
                if let Err(error) = Beacon::parse(&answer[..32]) {
                    say(error);
                }
                if let Err(error) = Greeting::parse(&answer[..34]) {
                    say(error);
                }
            }
        }
    });
}

#[test]
fn bundles() {
    unallocated(|| {
        let (mut stream, mut len) = ([0; 3 * BUNDLE_BUFFER], 0);
        let head = BundleHead { entries: 2, bytes: 5, separate: false };
        len += head.emit(&mut stream[len..]).unwrap();
        let folder = BundleEntry { path: "d", kind: EntryKind::Folder, modified: Some(7) };
        len += folder.emit(&mut stream[len..]).unwrap();
        let kind = EntryKind::File { size: 5, executable: true };
        len += BundleEntry { path: "d/a", kind, modified: None }.emit(&mut stream[len..]).unwrap();
        stream[len..len + 5].copy_from_slice(b"hello");
        len += 5;
        let mut reader = BundleReader::new(Name::new("d").unwrap(), len as u64);
        let mut input = &stream[..len];
        while let Some(part) = reader.next(&mut input).unwrap() {
            if let BundlePart::Entry(entry) = part {
                black_box(entry.path);
            }
        }
        reader.finish().unwrap();
        let mut wrong = BundleReader::new(Name::default(), 9);
        say(wrong.next(&mut &[0xff; 9][..]).unwrap_err());
    });
}
