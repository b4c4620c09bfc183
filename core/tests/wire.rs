//! Property tests of the wire formats: every legal value round-trips, and no other bytes are accepted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use std::fmt::Debug;
use std::time::Duration;

use deaddrop_core::limits::{CONTROL_PAYLOAD, RECORD_MAX, RECORD_MIN, TCP_PORT_MIN, TTL_MAX};
use deaddrop_core::offer::{EndReason, Kind, Name, Offer};
use deaddrop_core::token::{FetchId, Instance, Token};
use deaddrop_core::wire::{
    Answer, Beacon, BeaconKind, Begin, ClientHello, Ending, ErrorCode, FetchRequest, Greeting, Request,
    ServerHello, Status, Suite, Suites,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A wire format: parse and emit.
trait Wire: Sized + PartialEq + Debug {
    fn read(bytes: &[u8]) -> Option<Self>;
    fn write(&self) -> Vec<u8>;
}

macro_rules! fixed {
    ($($message:ty),*) => {$(
        impl Wire for $message {
            fn read(bytes: &[u8]) -> Option<Self> {
                Self::parse(bytes).ok()
            }
            fn write(&self) -> Vec<u8> {
                self.emit().to_vec()
            }
        }
    )*};
}

macro_rules! control {
    ($($message:ty),*) => {$(
        impl Wire for $message {
            fn read(bytes: &[u8]) -> Option<Self> {
                Self::parse(bytes).ok()
            }
            fn write(&self) -> Vec<u8> {
                let mut out = [0; CONTROL_PAYLOAD];
                let n = self.emit(&mut out).expect("a legal value fits a control record");
                out[..n].to_vec()
            }
        }
    )*};
}

fixed!(Beacon, Greeting, ServerHello);

impl Wire for ClientHello {
    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes, Suites::SUPPORTED).ok()
    }
    fn write(&self) -> Vec<u8> {
        self.emit().to_vec()
    }
}

control!(Request, Answer);

/// The properties of every message: it round-trips, no prefix of it is a message, no byte may follow it, and
/// a flipped bit makes it another message or none.
fn sweep<T: Wire>(value: &T) {
    let bytes = value.write();
    assert_eq!(T::read(&bytes).as_ref(), Some(value));
    for n in 0..bytes.len() {
        assert_eq!(T::read(&bytes[..n]), None, "{value:?} cut to {n} bytes");
    }
    for next in [0x00, 0x01, 0xf6, 0xff] {
        assert_eq!(T::read(&[&bytes[..], &[next]].concat()), None, "{value:?} and {next:#x}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        if let Some(other) = T::read(&flipped) {
            assert_ne!(&other, value, "bit {bit} has no meaning");
            // A known key may turn into an unknown one, which is skipped and so is not emitted again.
            let again = other.write();
            if again != flipped {
                assert!(lost_a_field(&again, &flipped), "{value:?}, bit {bit}: {other:?} has two encodings");
            }
        }
    }
}

/// Whether `written` is the map `read` with fewer entries.
fn lost_a_field(written: &[u8], read: &[u8]) -> bool {
    let is_map = |head: u8| head >> 5 == 5;
    is_map(read[0]) && is_map(written[0]) && written[0] < read[0] && read[1..].starts_with(&written[1..])
}

/// If `bytes` parse, they are the only encoding of the value, or contain skipped unknown keys.
fn no_second_spelling<T: Wire>(bytes: &[u8]) {
    if let Some(value) = T::read(bytes) {
        let again = value.write();
        assert_eq!(T::read(&again), Some(value));
        assert!(again == bytes || lost_a_field(&again, bytes));
    }
}

fn token() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token::from_bytes)
}

fn fetch_id() -> impl Strategy<Value = FetchId> {
    any::<[u8; 16]>().prop_map(FetchId::from_bytes)
}

fn instance() -> impl Strategy<Value = Instance> {
    any::<[u8; 8]>().prop_map(Instance::from_bytes)
}

/// Numbers of every head length, uniformly.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(n, shift)| n >> shift)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Message), Just(Kind::File), Just(Kind::Directory)]
}

fn name() -> impl Strategy<Value = Name> {
    vec(any::<char>().prop_filter("legal in a name", |c| !['\0', '/'].contains(c)), 0..64)
        .prop_map(|chars| Name::new(&chars.into_iter().collect::<String>()).unwrap_or_default())
}

fn beacon() -> impl Strategy<Value = Beacon> {
    let kinds = vec![BeaconKind::Announce, BeaconKind::Solicit, BeaconKind::Answer, BeaconKind::Farewell];
    (prop::sample::select(kinds), TCP_PORT_MIN.., instance(), any::<u32>()).prop_map(
        |(kind, port, instance, revision)| {
            let port = if kind == BeaconKind::Solicit { 0 } else { port };
            Beacon { kind, port, instance, revision }
        },
    )
}

fn greeting() -> impl Strategy<Value = Greeting> {
    (prop::option::of(1_u64..=65_535), any::<u16>(), instance(), any::<[u8; 16]>()).prop_map(
        |(busy, bits, instance, nonce)| match busy.map(Duration::from_millis) {
            None => Greeting { status: Status::Ok, suites: Suites::from_bits(bits.max(1)), instance, nonce },
            Some(retry_after) => Greeting {
                status: Status::Busy { retry_after },
                suites: Suites::from_bits(bits),
                instance,
                nonce,
            },
        },
    )
}

fn fetch() -> impl Strategy<Value = FetchRequest> {
    (token(), fetch_id(), RECORD_MIN.., prop_oneof![Just(0), number()], any::<[u8; 32]>()).prop_map(
        |(token, id, record_max, offset, digest)| FetchRequest {
            token,
            id,
            record_max,
            offset,
            digest: (offset > 0).then_some(digest),
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        prop::option::of(token()).prop_map(|after| Request::List { after }),
        fetch().prop_map(Request::Fetch),
        (token(), fetch_id(), number()).prop_map(|(token, id, stored)| Request::Progress {
            token,
            id,
            stored
        }),
        (token(), fetch_id()).prop_map(|(token, id)| Request::Ready { token, id }),
        (token(), fetch_id()).prop_map(|(token, id)| Request::Commit { token, id }),
        (token(), fetch_id()).prop_map(|(token, id)| Request::Release { token, id }),
    ]
}

fn offer() -> impl Strategy<Value = Offer> {
    let ttl_max = u64::try_from(TTL_MAX.as_millis()).unwrap();
    (token(), kind(), name(), number(), number(), 1_u8..=64).prop_map(
        move |(token, kind, name, size, ttl, fetches_left)| {
            let ttl_left = Duration::from_millis(ttl % (ttl_max + 1));
            Offer { token, kind, name, size, ttl_left, fetches_left }
        },
    )
}

fn begin() -> impl Strategy<Value = Begin> {
    let powers = RECORD_MIN.trailing_zeros()..=RECORD_MAX.trailing_zeros();
    (kind(), name(), number(), number(), powers).prop_map(|(kind, name, size, offset, power)| Begin {
        kind,
        name,
        size,
        offset: offset.checked_rem(size).unwrap_or(0),
        record: 1 << power,
    })
}

fn error() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        Just(ErrorCode::Gone),
        Just(ErrorCode::Expired),
        (1..=u32::MAX).prop_map(|ms| ErrorCode::Busy { retry_after: Duration::from_millis(ms.into()) }),
        Just(ErrorCode::Unknown),
        Just(ErrorCode::Changed),
        Just(ErrorCode::Malformed),
        Just(ErrorCode::Unsupported),
        prop_oneof![Just(0), 8_u64..].prop_map(ErrorCode::Other),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let reason = prop_oneof![Just(EndReason::Fetched), Just(EndReason::Expired), Just(EndReason::Withdrawn)];
    prop_oneof![
        offer().prop_map(Answer::Offer),
        (token(), reason).prop_map(|(token, reason)| Answer::Ending(Ending { token, reason })),
        Just(Answer::Filler),
        (any::<u32>(), any::<bool>()).prop_map(|(revision, more)| Answer::End { revision, more }),
        begin().prop_map(Answer::Begin),
        Just(Answer::Burned),
        error().prop_map(Answer::Error),
    ]
}

/// Bytes that resemble a control message enough to pass the head of the map.
fn nearly_control() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (0_u8..24).prop_map(|n| vec![n]),
        any::<u8>().prop_map(|n| vec![n]),
        prop::sample::select(vec![0x18_u8, 0x19, 0x38, 0x58, 0x81, 0xa1, 0xc1, 0xf4, 0xf8, 0xf9, 0xff])
            .prop_map(|n| vec![n]),
        any::<[u8; 16]>().prop_map(|token| [&[0x50][..], &token].concat()),
    ];
    (0xa0_u8..0xa8, prop_oneof![1_u8..7, 16_u8..23], vec(piece, 0..12))
        .prop_map(|(map, kind, pieces)| [&[map, 0, kind][..], &pieces.concat()].concat())
}

proptest! {
    // Deterministic: the same cases in every run.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x4444_5250),
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn beacons(value in beacon()) {
        sweep(&value);
    }

    #[test]
    fn greetings(value in greeting()) {
        sweep(&value);
    }

    #[test]
    fn hellos(nonce: [u8; 16], share: [u8; 32]) {
        sweep(&ClientHello { suite: Suite::Ristretto255Sha512ChaCha20Poly1305, nonce, share });
        sweep(&ServerHello { share });
    }

    #[test]
    fn requests(value in request()) {
        sweep(&value);
    }

    #[test]
    fn answers(value in answer()) {
        sweep(&value);
    }

    #[test]
    fn arbitrary_bytes_are_parsed_without_harm(bytes in vec(any::<u8>(), 0..600)) {
        no_second_spelling::<Beacon>(&bytes);
        no_second_spelling::<Greeting>(&bytes);
        no_second_spelling::<ClientHello>(&bytes);
        no_second_spelling::<ServerHello>(&bytes);
        no_second_spelling::<Request>(&bytes);
        no_second_spelling::<Answer>(&bytes);
    }

    #[test]
    fn near_messages_are_parsed_without_harm(bytes in nearly_control()) {
        no_second_spelling::<Request>(&bytes);
        no_second_spelling::<Answer>(&bytes);
    }

    #[test]
    fn keys_of_a_later_version_change_nothing(value in answer(), extra in vec(number(), 1..6)) {
        let mut bytes = value.write();
        bytes[0] += u8::try_from(extra.len()).unwrap();
        for (key, n) in (100_u8..).zip(&extra) {
            bytes.extend([0x18, key]);
            // An eight-byte string holds any number.
            bytes.push(0x48);
            bytes.extend(n.to_be_bytes());
        }
        prop_assert_eq!(Answer::read(&bytes), (extra.len() <= 4).then_some(value));
    }
}
