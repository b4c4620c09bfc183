//! From where a fetch may resume: a prefix digest tells a receiver nothing about bytes that were never handed
//! out (protocol.md, section 7).
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::drops::{DropEvent, FetchCounts, Lapse};
use deaddrop_core::exchange::{ServerEvent, ServerSession};
use deaddrop_core::limits::{HOST, RECORD_MIN};
use deaddrop_core::session::{Channel, Close};
use deaddrop_core::token::{FetchId, Token};
use deaddrop_core::wire::{Answer, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, ask};
use net::{ROOM, client};

const CHANGED: Answer = Answer::Error(ErrorCode::Changed);
const GONE: Answer = Answer::Error(ErrorCode::Gone);
const MALFORMED: Answer = Answer::Error(ErrorCode::Malformed);
const UNKNOWN: Answer = Answer::Error(ErrorCode::Unknown);

/// A server with one drop, and the fetch ids that are drawn for it.
struct Scene {
    harness: Harness,
    token: Token,
    content: Vec<u8>,
    drawn: u64,
    /// Bytes of the source that were read.
    read: usize,
}

/// What the server said: its control messages, and the end of the data records.
#[derive(Debug, Default)]
struct Said {
    answers: Vec<Answer>,
    data_end: Option<u64>,
}

impl Scene {
    fn new(content: Vec<u8>) -> Self {
        let mut harness = Harness::new(1, &HOST);
        let token = harness.put(content.len() as u64);
        Self { harness, token, content, drawn: 0, read: 0 }
    }

    /// A drop of `size` bytes, each unlike its neighbours.
    fn of_size(size: usize) -> Self {
        Self::new((0..size).map(|n| u8::try_from((n * n + n / 256) % 251).unwrap()).collect())
    }

    /// As an attacker would, a new fetch id for each attempt.
    fn draw(&mut self) -> FetchId {
        self.drawn += 1;
        let mut bytes = [0xee; 16];
        bytes[..8].copy_from_slice(&self.drawn.to_be_bytes());
        FetchId::from_bytes(bytes)
    }

    fn connect(&mut self) -> (ServerSession, Channel) {
        self.harness.serve(client(1), ROOM)
    }

    fn hear(&mut self, peer: &mut (ServerSession, Channel), request: &Request) {
        let message = ask(&mut peer.1, request);
        self.harness.hear(&mut peer.0, &message);
    }

    /// A `fetch` that claims to hold `held`.
    fn request(&self, id: FetchId, record_max: u32, held: &[u8]) -> Request {
        let offset = held.len() as u64;
        let mut digest = PrefixDigest::new(offset);
        digest.update(held);
        let digest = (offset > 0).then(|| digest.finish());
        Request::Fetch(FetchRequest { token: self.token, id, record_max, offset, digest })
    }

    /// All that the server says without a further request.
    fn said(&mut self, (session, channel): &mut (ServerSession, Channel)) -> Said {
        let Harness { now, serving, .. } = &mut self.harness;
        let (mut said, mut at) = (Said::default(), 0);
        loop {
            let mut buffer = vec![0; session.record_len()];
            let len = if let Some(len) = session.poll_transmit(*now, serving, &mut buffer).unwrap() {
                len
            } else if let Some(read) = session.poll_read() {
                let start = usize::try_from(read.offset).unwrap();
                buffer[..read.len].copy_from_slice(&self.content[start..start + read.len]);
                self.read += read.len;
                session.handle_read(*now, serving, &mut buffer).unwrap()
            } else {
                return said;
            };
            if len == 0 {
                continue;
            }
            let opened = channel.opener.open(&mut buffer[..len]).unwrap();
            let payload = &buffer[..opened.len];
            match opened.kind {
                RecordKind::Control => {
                    let answer = Answer::parse(payload).unwrap();
                    if let Answer::Begin(begin) = &answer {
                        at = begin.offset;
                    }
                    said.answers.push(answer);
                }
                RecordKind::Data => {
                    at += payload.len() as u64;
                    said.data_end = Some(at);
                }
                RecordKind::Final => {}
            }
        }
    }

    /// One attempt on a connection of its own, which it leaves with `release`. Returns the first answer and the
    /// end of the data records.
    fn attempt(&mut self, id: FetchId, record_max: u32, held: &[u8]) -> (Answer, Option<u64>) {
        let mut peer = self.connect();
        let request = self.request(id, record_max, held);
        self.hear(&mut peer, &request);
        let mut said = self.said(&mut peer);
        if peer.0.closing().is_none() {
            let token = self.token;
            self.hear(&mut peer, &Request::Release { token, id });
        }
        peer.0.closed(self.harness.now, &mut self.harness.serving);
        (said.answers.remove(0), said.data_end)
    }

    fn fetch_counts(&self) -> FetchCounts {
        self.harness.serving.drops.fetch_counts(&self.token).unwrap()
    }

    /// How many wrong prefixes were reported since the last call, and how many the drop has in all.
    fn reports(&mut self) -> (usize, u32) {
        let Harness { now, serving, rng, .. } = &mut self.harness;
        let reports = core::iter::from_fn(|| serving.poll_event(*now, rng))
            .filter(|event| {
                matches!(event, ServerEvent::Drop(DropEvent::Lapsed { why: Lapse::WrongPrefix, .. }))
            })
            .count();
        (reports, serving.drops.wrong_prefixes(&self.token).unwrap())
    }
}

#[test]
fn a_member_that_guesses_byte_after_byte_learns_nothing_and_is_reported() {
    let mut scene = Scene::new(b"314159".to_vec());
    let mut learned = Vec::new();
    let mut reports = Vec::new();
    while learned.len() + 1 < scene.content.len() {
        let next = (b'0'..=b'9').find(|digit| {
            let guess = [&learned[..], &[*digit]].concat();
            let id = scene.draw();
            let (answer, _) = scene.attempt(id, 512, &guess);
            reports.push(scene.reports());
            matches!(answer, Answer::Begin(_))
        });
        let Some(next) = next else { break };
        learned.push(next);
    }
    assert!(learned.is_empty(), "it has read {} of 6 bytes without a final claim", learned.len());
    assert_eq!(scene.read, 0, "no byte of the source is read for a guess");
    assert_eq!(reports, (1..=10).map(|n| (1, n)).collect::<Vec<_>>(), "each guess is reported");
    assert_eq!(scene.fetch_counts().available, 1, "guesses do not use the drop up");
}

#[test]
fn right_and_wrong_guesses_in_the_midst_of_a_record_get_the_same_answer() {
    let mut scene = Scene::of_size(1_500);
    for len in (1..1_500).step_by(13).chain([511, 512, 513, 1_024, 1_499]) {
        let right = scene.content[..len].to_vec();
        let mut wrong = right.clone();
        wrong[len - 1] ^= 1;
        for guess in [right, wrong] {
            let id = scene.draw();
            assert_eq!(scene.attempt(id, 512, &guess), (MALFORMED, None), "{len}");
        }
    }
    assert_eq!(scene.read, 0);
}

#[test]
fn an_offset_at_or_past_the_end_is_malformed_and_claims_nothing() {
    for size in [10, 512, 1_024] {
        let mut scene = Scene::of_size(size);
        for held in [size, size + 1, size.next_multiple_of(512), size + 1_024] {
            let id = scene.draw();
            scene.attempt(id, 512, &[]);
            let id = scene.draw();
            assert_eq!(scene.attempt(id, 512, &vec![0; held]).0, MALFORMED, "{held} of {size}");
            assert_eq!(scene.fetch_counts().available, 1);
        }
    }
}

#[test]
fn a_fetch_resumes_only_at_multiples_of_a_record_that_were_handed_out() {
    let mut scene = Scene::of_size(5_000);
    let id = scene.draw();
    // R = 2,048: two data records.
    assert_eq!(scene.attempt(id, 2_048, &[]).1, Some(4_096));
    let mut given = 4_096;
    for held in (1..5_000).step_by(17).chain((1..10).map(|n| n * 512)) {
        let id = scene.draw();
        let held = scene.content[..held].to_vec();
        let legal = held.len().is_multiple_of(512) && held.len() as u64 <= given;
        let (answer, end) = scene.attempt(id, 2_048, &held);
        match answer {
            Answer::Begin(begin) => assert!(legal && begin.offset == held.len() as u64, "{}", held.len()),
            answer => assert!(!legal && answer == MALFORMED, "{} {answer:?}", held.len()),
        }
        // A stream from the midst of a larger record ends elsewhere.
        given = given.max(end.unwrap_or(0));
    }
}

#[test]
fn records_of_a_batch_count_as_handed_out() {
    let mut scene = Scene::of_size(5_000);
    let held = scene.content[..1_024].to_vec();
    let id = scene.draw();
    assert_eq!(scene.attempt(id, 512, &held).0, MALFORMED);
    let mut peer = scene.connect();
    let id = scene.draw();
    let request = scene.request(id, 512, &[]);
    scene.hear(&mut peer, &request);
    let Harness { now, serving, .. } = &mut scene.harness;
    let mut buffer = vec![0; peer.0.record_len()];
    peer.0.poll_transmit(*now, serving, &mut buffer).unwrap().unwrap();
    assert_eq!(peer.0.take_batch(*now, serving, 2).unwrap().0.records(), 2);
    let more = scene.content[..1_536].to_vec();
    assert_eq!(scene.attempt(id, 512, &more).0, MALFORMED);
    let id = scene.draw();
    assert!(matches!(scene.attempt(id, 512, &held).0, Answer::Begin(_)));
}

#[test]
fn a_wrong_digest_ends_the_fetch_id_and_is_reported() {
    let mut scene = Scene::of_size(1_500);
    let held = scene.content[..512].to_vec();
    let id = scene.draw();
    assert_eq!(scene.attempt(id, 512, &[]).1, Some(1_024));
    assert_eq!(scene.reports(), (0, 0));
    let wrong = vec![0; 512];
    assert_eq!(scene.attempt(id, 512, &wrong).0, CHANGED);
    assert_eq!(scene.reports(), (1, 1));
    for held in [&held[..], &[], &wrong] {
        assert_eq!(scene.attempt(id, 512, held).0, GONE, "this fetch id has ended");
    }
    assert_eq!(scene.reports(), (0, 1));
    let other = scene.draw();
    assert_eq!(scene.attempt(other, 512, &wrong).0, CHANGED);
    assert_eq!(scene.reports(), (1, 2), "counted for the drop, not for the fetch id");
    let honest = scene.draw();
    assert!(matches!(scene.attempt(honest, 512, &held).0, Answer::Begin(_)));
    assert_eq!(scene.fetch_counts().available, 1);
}

#[test]
fn a_wrong_digest_costs_a_final_claim_nothing() {
    let mut scene = Scene::of_size(1_500);
    let (id, token) = (scene.draw(), scene.token);
    let mut peer = scene.connect();
    let request = scene.request(id, 512, &[]);
    scene.hear(&mut peer, &request);
    scene.said(&mut peer);
    scene.hear(&mut peer, &Request::Ready { token, id });
    scene.said(&mut peer);
    assert_eq!(scene.fetch_counts().r#final, 1);
    assert_eq!(scene.attempt(id, 512, &[0; 512]).0, CHANGED);
    assert_eq!(scene.attempt(id, 512, &[0; 511]).0, MALFORMED);
    assert_eq!(scene.fetch_counts().r#final, 1);
    assert_eq!(scene.reports(), (0, 0), "it was given the whole drop, so it can learn nothing");
    let mut peer = scene.connect();
    scene.hear(&mut peer, &Request::Commit { token, id });
    assert_eq!(scene.said(&mut peer).answers, [Answer::Burned]);
}

#[test]
fn a_connection_whose_claim_was_taken_over_is_not_told_whether_its_digest_is_right() {
    for right in [true, false] {
        let mut scene = Scene::of_size(1_500);
        let id = scene.draw();
        scene.attempt(id, 512, &[]);
        let held = if right { scene.content[..512].to_vec() } else { vec![0; 512] };
        let mut old = scene.connect();
        let request = scene.request(id, 512, &held);
        scene.hear(&mut old, &request);
        let mut new = scene.connect();
        let request = scene.request(id, 512, &[]);
        scene.hear(&mut new, &request);
        assert_eq!(scene.said(&mut old).answers, [UNKNOWN], "{right}");
        assert_eq!(old.0.closing(), Some(Close::Clean));
        assert_eq!(scene.fetch_counts().claimed, 1, "the newer connection keeps the claim");
        assert_eq!(scene.reports(), (0, 0));
    }
}

#[test]
fn no_offset_and_no_record_size_gives_more_before_ready_than_one_connection() {
    let least = u64::from(RECORD_MIN);
    for size in [1_u64, 511, 512, 513, 1_000, 1_024, 1_025, 4_609, 66_000] {
        let most = (size - 1) / least * least;
        let mut scene = Scene::of_size(usize::try_from(size).unwrap());
        let id = scene.draw();
        let (_, end) = scene.attempt(id, 512, &[]);
        assert_eq!(end.unwrap_or(0), most, "the smallest records give the most, {size}");
        for record_max in [512, 1_024, 4_096, 65_536] {
            for held in (0..=size).filter(|held| size < 5_000 || held % 509 == 0 || held % 512 == 0) {
                let held = scene.content[..usize::try_from(held).unwrap()].to_vec();
                let id = scene.draw();
                let (_, end) = scene.attempt(id, record_max, &held);
                assert!(end.unwrap_or(0) <= most, "{size} {record_max} {}", held.len());
            }
        }
    }
}
