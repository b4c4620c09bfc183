//! Receivers that claim a drop and let the claim lapse, again and again, do not keep it from one that waits.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod net;

use std::net::IpAddr;

use deaddrop_core::drops::{DropEvent, DropSpec};
use deaddrop_core::exchange::server::Turns;
use deaddrop_core::exchange::{ServerEvent, ServerSession};
use deaddrop_core::guard::Source;
use deaddrop_core::limits::{HOST, LEASE, REQUESTS_MAX, TURN_KEPT};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::Channel;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Token};
use deaddrop_core::wire::{Answer, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, answer, ask};
use net::{ROOM, client, seconds};

/// A sender that has receivers take turns.
struct Scene {
    harness: Harness,
    turns: Turns<16>,
    /// Those that have claimed, by connection.
    connections: Vec<IpAddr>,
    /// What each claim was lapsed of.
    lapses: usize,
}

/// A member at an address, which asks for a drop under a new id each time.
struct Member {
    address: IpAddr,
    connection: Option<(ServerSession, Channel)>,
    requests: u8,
}

impl Member {
    fn new(n: u8) -> Self {
        Self { address: client(n), connection: None, requests: 0 }
    }
}

impl Scene {
    fn new(fetches: u8) -> (Self, Token) {
        let mut harness = Harness::new(1, &HOST);
        let name = Name::new("plans.txt").unwrap();
        let spec = DropSpec {
            kind: Kind::File,
            name,
            size: 3_000,
            ttl: seconds(3_600),
            fetches: deaddrop_core::drops::Fetches::Counted(fetches),
        };
        let token = harness.serving.drops.put(harness.now, spec, &mut harness.rng).unwrap();
        (Self { harness, turns: Turns::new(), connections: Vec::new(), lapses: 0 }, token)
    }

    fn settle(&mut self) {
        let Self { harness, turns, connections, lapses } = self;
        harness.serving.handle_timeout(harness.now, &mut harness.rng);
        while let Some(event) = harness.serving.poll_event(harness.now, &mut harness.rng) {
            if let ServerEvent::Drop(DropEvent::Lapsed { token, conn, .. }) = event {
                turns.lapsed(harness.now, &token, connections[conn.0 as usize].into());
                *lapses += 1;
            }
        }
    }

    /// Asks for the drop under a new id. True if the claim is granted; of its connection nothing more is heard then.
    fn ask(&mut self, member: &mut Member, token: Token) -> bool {
        self.settle();
        if member.requests == REQUESTS_MAX {
            member.connection = None;
        }
        let (mut session, mut channel) = member.connection.take().unwrap_or_else(|| {
            member.requests = 0;
            self.connections.push(member.address);
            self.harness.serve(member.address, ROOM)
        });
        member.requests += 1;
        let id = FetchId::random(&mut self.harness.rng);
        let fetch = FetchRequest { token, id, record_max: 65_536, offset: 0, digest: None };
        let mut message = ask(&mut channel, &Request::Fetch(fetch));
        let (turns, source) = (&mut self.turns, Source::from(member.address));
        let Harness { now, serving, rng, .. } = &mut self.harness;
        let turn = |drops: &_, fetch: &_| turns.ask(*now, drops, fetch, source);
        session.handle_message_in_turn(*now, serving, rng, &mut message, turn).unwrap();
        let mut buffer = [0; 512];
        let len = session.poll_transmit(*now, serving, &mut buffer).unwrap().unwrap();
        match answer(&mut channel, &buffer[..len]) {
            Answer::Begin(_) => true,
            Answer::Error(ErrorCode::Busy { .. }) => {
                member.connection = Some((session, channel));
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// Runs for this long: each of `hostile` asks four times a second, and at each moment before all others; `honest`
    /// asks once a second. Returns when it has the claim.
    fn run(
        &mut self,
        hostile: &mut [Member],
        mut honest: Option<&mut Member>,
        token: Token,
        most: u64,
    ) -> Option<Instant> {
        for step in 0..most * 4 {
            for member in &mut *hostile {
                self.ask(member, token);
            }
            if let (0, Some(honest)) = (step % 4, &mut honest)
                && self.ask(honest, token)
            {
                return Some(self.harness.now);
            }
            self.harness.wait(250);
        }
        None
    }
}

#[test]
fn a_receiver_that_waits_goes_before_those_whose_claims_have_lapsed() {
    let (mut scene, token) = Scene::new(1);
    let mut hostile: Vec<Member> = (1..=5).map(Member::new).collect();
    // Each of them has claimed it before.
    scene.run(&mut hostile, None, token, 80);
    assert!(scene.lapses >= 5, "{}", scene.lapses);
    let start = scene.harness.now;
    let claimed = scene.run(&mut hostile, Some(&mut Member::new(9)), token, 600);
    let waited = claimed.unwrap().since(start);
    assert!(
        waited <= LEASE + seconds(1),
        "{waited:?}: the claim that was held then, and the time until it asks again"
    );
}

#[test]
fn a_receiver_that_waits_goes_before_those_that_come_later() {
    let (mut scene, token) = Scene::new(1);
    let mut hostile: Vec<Member> = (1..=5).map(Member::new).collect();
    let start = scene.harness.now;
    // The five were there first, and for each claim that lapses a new address comes that never had one.
    let mut honest = Member::new(9);
    for n in 10.. {
        if let Some(claimed) = scene.run(&mut hostile, Some(&mut honest), token, 15) {
            let waited = claimed.since(start);
            assert!(waited <= LEASE * 5 + seconds(2), "{waited:?}: one claim of each that asked before");
            return;
        }
        hostile.insert(0, Member::new(n));
        assert!(n < 50, "it has waited for {:?}", scene.harness.now.since(start));
    }
}

#[test]
fn who_has_stopped_asking_keeps_nobody_waiting_and_more_fetches_serve_more() {
    let (mut scene, token) = Scene::new(2);
    let [mut a, mut b, mut c, mut d] = [1, 2, 3, 4].map(Member::new);
    assert!(scene.ask(&mut a, token) && scene.ask(&mut b, token), "nobody waits");
    assert!(!scene.ask(&mut c, token), "both are claimed");
    scene.harness.wait(14_000);
    assert!(!scene.ask(&mut c, token));
    scene.harness.wait(1_000);
    assert!(scene.ask(&mut d, token), "two are free, and one receiver goes before it");
    assert!(!scene.ask(&mut a, token), "the other is that of one whose claim has not lapsed");
    scene.harness.wait(3_999);
    assert!(!scene.ask(&mut a, token));
    scene.harness.wait(1);
    assert_eq!(TURN_KEPT, seconds(5));
    assert!(scene.ask(&mut a, token), "which has not asked for 5 s");
}

/// With more receivers than the table has places, one that asks takes the place of one that has stopped.
#[test]
fn a_full_table_gives_a_place_to_who_waits() {
    let (mut scene, token) = Scene::new(1);
    let mut many: Vec<Member> = (1..=20).map(Member::new).collect();
    for member in &mut many {
        scene.ask(member, token);
    }
    scene.harness.wait(14_500);
    let mut late = Member::new(30);
    assert!(!scene.ask(&mut late, token), "the first has it");
    scene.harness.wait(500);
    assert!(!scene.ask(&mut many[1], token), "which has a place too, and asks again later than the other");
    assert!(scene.ask(&mut late, token));
}
