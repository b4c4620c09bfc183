//! One message of each kind, with realistic fields.

use std::fmt;
use std::time::Duration;

use deaddrop_core::offer::{EndReason, Kind, Name, Offer};
use deaddrop_core::token::{FetchId, Instance, Token};
use deaddrop_core::wire::{
    Answer, Beacon, BeaconKind, Begin, Ending, ErrorCode, FetchRequest, Greeting, Request, Status, Suites,
};

/// A message, with the name of its row.
#[derive(Clone)]
pub struct Named<T>(pub &'static str, pub T);

impl<T> fmt::Display for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const TOKEN: Token = Token::from_bytes([0xa5; 16]);
const ID: FetchId = FetchId::from_bytes([0x5a; 16]);
const INSTANCE: Instance = Instance::from_bytes([7; 8]);

pub fn beacon() -> Beacon {
    Beacon { kind: BeaconKind::Announce, port: 48_556, instance: INSTANCE, revision: 0x0123_4567 }
}

pub fn greeting() -> Greeting {
    Greeting { status: Status::Ok, suites: Suites::SUPPORTED, instance: INSTANCE, nonce: [9; 16] }
}

pub fn requests() -> [Named<Request>; 6] {
    let (token, id) = (TOKEN, ID);
    let fetch = FetchRequest { token, id, record_max: 65_536, offset: 1 << 30, digest: Some([3; 32]) };
    [
        Named("list", Request::List { after: Some(token) }),
        Named("fetch", Request::Fetch(fetch)),
        Named("progress", Request::Progress { token, id, stored: 1 << 30 }),
        Named("ready", Request::Ready { token, id }),
        Named("commit", Request::Commit { token, id }),
        Named("release", Request::Release { token, id }),
    ]
}

pub fn answers() -> [Named<Answer>; 7] {
    let name = Name::new("the plans for the third floor.pdf").unwrap();
    let size = 1 << 30;
    let offer = Offer {
        token: TOKEN,
        kind: Kind::File,
        name: name.clone(),
        size,
        ttl_left: Duration::from_secs(299),
        fetches_left: 3,
    };
    let begin = Begin { kind: Kind::File, name, size, offset: 0, record: 65_536 };
    let ending = Ending { token: TOKEN, reason: EndReason::Fetched };
    [
        Named("offer", Answer::Offer(offer)),
        Named("ending", Answer::Ending(ending)),
        Named("filler", Answer::Filler),
        Named("end", Answer::End { revision: 0x0123_4567, more: false }),
        Named("begin", Answer::Begin(begin)),
        Named("burned", Answer::Burned),
        Named("error", Answer::Error(ErrorCode::Unknown)),
    ]
}

/// A message as a buffer and its length.
pub fn emitted(emit: impl FnOnce(&mut [u8]) -> usize) -> ([u8; 492], usize) {
    let mut out = [0; 492];
    let len = emit(&mut out);
    (out, len)
}
