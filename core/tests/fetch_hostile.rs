//! What a server can do to a fetch with legal messages, and a front end with calls out of turn.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod net;

use std::time::Duration;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::exchange::fetch::Pace;
use deaddrop_core::exchange::{Fetch, FetchError, Step, Wanted};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{HOST, PROGRESS_EVERY, RESUME_TIMEOUT, SLOW_WINDOW};
use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::session::{Channel, ClientError, ClientEvent, ClientSession};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, reply, seal};
use net::{ROOM, id, rng, seconds};

const SIZE: u64 = 1 << 20;
const TOKEN: Token = Token::from_bytes([9; 16]);

fn offer(size: u64) -> Offer {
    Offer {
        token: TOKEN,
        kind: Kind::File,
        name: Name::default(),
        size,
        ttl_left: seconds(60),
        fetches_left: 1,
    }
}

/// A fetch whose front end resumes whenever it may, from a server that the test plays.
struct Game {
    harness: Harness,
    fetch: Fetch,
    size: u64,
    connections: u32,
}

impl Game {
    fn new(size: u64) -> Self {
        let harness = Harness::new(1, &HOST);
        let fetch = Fetch::new(&HOST, id(1), Wanted::Offered(offer(size)), harness.now + seconds(5));
        Self { harness, fetch, size, connections: 0 }
    }

    /// Connects, and claims from where the fetch resumes. Returns the offset that it asks for.
    fn connect(&mut self) -> (ClientSession, Channel, u64) {
        assert_eq!(self.fetch.poll_step(None), Step::Connect);
        self.connections += 1;
        // Its handshakes were confirmed, or it would run out of them.
        *self.harness.guard = ClientGuard::new(self.harness.now);
        let now = self.harness.now;
        let digest = (self.fetch.resume_offset() > 0).then_some([0; 32]);
        self.fetch.handle_open(now, digest);
        let (mut session, mut server) = self.harness.visit(ROOM);
        self.fetch.handle_event(now, &mut session, ClientEvent::Ready, &mut rng());
        if self.fetch.poll_step(None) == Step::Approve {
            self.fetch.approve(now, &mut session).unwrap();
        }
        let mut said = Harness::asked(&mut session).remove(0);
        let opened = server.opener.open(&mut said).unwrap();
        let Ok(Request::Fetch(FetchRequest { offset, .. })) = Request::parse(&said[..opened.len]) else {
            panic!("no fetch")
        };
        (session, server, offset)
    }

    fn tell(&mut self, session: &mut ClientSession, message: &[u8]) {
        let now = self.harness.now;
        let event = self.harness.tell(session, message).unwrap().unwrap();
        if let Some(chunk) = self.fetch.handle_event(now, session, event, &mut rng()) {
            assert_eq!(chunk.offset, self.fetch.stored(), "no gap and no overlap");
            self.fetch.handle_stored(now, chunk.offset + chunk.len as u64);
        }
    }

    fn begin(&mut self, session: &mut ClientSession, server: &mut Channel, offset: u64, record: u32) {
        let begin = Begin { kind: Kind::File, name: Name::default(), size: self.size, offset, record };
        let message = reply(server, &Answer::Begin(begin), 512);
        self.tell(session, &message);
    }

    fn data(&mut self, session: &mut ClientSession, server: &mut Channel, record: u32) {
        let message = seal(server, RecordKind::Data, &vec![7; record as usize], record as usize + 20);
        self.tell(session, &message);
    }

    /// The connection breaks. Waits until the next is due; false once the fetch has ended.
    fn cut(&mut self) -> bool {
        self.fetch.handle_error(self.harness.now, ClientError::Reset, &mut rng());
        loop {
            match self.fetch.poll_step(None) {
                Step::Close(_) => self.fetch.handle_closed(self.harness.now),
                Step::Wait(until) => {
                    self.harness.now = until;
                    self.fetch.handle_timeout(until, None, &mut rng());
                }
                Step::Connect => return true,
                Step::Failed(error) => {
                    assert_eq!(error, FetchError::Session(ClientError::Reset));
                    return false;
                }
                step => panic!("{step:?}"),
            }
        }
    }

    fn since(&self, begun: Instant) -> Duration {
        self.harness.now.since(begun)
    }
}

#[test]
fn a_server_that_begins_and_breaks_off_again_and_again_is_given_up() {
    let mut game = Game::new(SIZE);
    let begun = game.harness.now;
    loop {
        let (mut session, mut server, offset) = game.connect();
        game.begin(&mut session, &mut server, offset, 512);
        assert!(game.since(begun) < RESUME_TIMEOUT * 2, "for ever");
        if !game.cut() {
            break;
        }
    }
    assert!(game.since(begun) <= RESUME_TIMEOUT + seconds(6), "{:?}", game.since(begun));
    assert!(game.connections < 25, "{} connections: it backs off", game.connections);
}

#[test]
fn bytes_that_were_stored_before_are_no_progress() {
    let mut game = Game::new(SIZE);
    let begun = game.harness.now;
    loop {
        let (mut session, mut server, offset) = game.connect();
        game.begin(&mut session, &mut server, offset, 512);
        game.data(&mut session, &mut server, 512);
        // What the front end cannot read back it has to fetch again.
        let now = game.harness.now;
        game.fetch.handle_stored(now, 0);
        assert!(game.since(begun) < RESUME_TIMEOUT * 2, "for ever");
        if !game.cut() {
            break;
        }
    }
    assert!(game.connections < 25, "{} connections", game.connections);
}

#[test]
fn a_fetch_resumes_after_the_last_record_whatever_sizes_the_records_have() {
    let mut game = Game::new(SIZE);
    let mut stored = 0;
    for (record, records) in [(512_u32, 5_u32), (65_536, 0), (65_536, 2), (1_024, 1), (512, 3), (65_536, 1)] {
        let (mut session, mut server, offset) = game.connect();
        assert_eq!(offset, stored, "records of {record}");
        game.begin(&mut session, &mut server, offset, record);
        for _ in 0..records {
            game.data(&mut session, &mut server, record);
        }
        stored += u64::from(record * records);
        assert!(game.cut());
    }
    // To the end, in records that do not divide what was stored.
    let (mut session, mut server, offset) = game.connect();
    game.begin(&mut session, &mut server, offset, 65_536);
    while session.data_records() > 0 {
        game.data(&mut session, &mut server, 65_536);
    }
    let Step::Reserve { tail } = game.fetch.poll_step(Some(&session)) else { panic!() };
    game.fetch.ready(game.harness.now, &mut session).unwrap();
    let message = seal(&mut server, RecordKind::Final, &vec![7; tail as usize], 65_556);
    game.tell(&mut session, &message);
    assert_eq!((game.fetch.stored(), game.fetch.poll_step(Some(&session))), (SIZE, Step::Persist));
}

/// Has a server send `record` bytes every `every`, and this side rest for `rest` once; gives how the fetch fails,
/// and after how long. `None` if all data has come.
fn trickle(record: u32, every: Duration, rest: Duration) -> Option<(FetchError, Duration)> {
    let mut game = Game::new(SIZE / 4);
    let (mut session, mut server, offset) = game.connect();
    game.begin(&mut session, &mut server, offset, record);
    let (begun, mut due) = (game.harness.now, game.harness.now + every);
    let mut pace = Pace::default();
    game.fetch.judge_pace(begun, &mut pace, &mut session, &mut rng());
    game.harness.now = game.harness.now + rest;
    while !session.needs_ready() {
        let now = game.harness.now.max(due.min(game.fetch.poll_timeout().unwrap()));
        game.harness.now = now;
        if due <= now {
            due = due + every;
            game.data(&mut session, &mut server, record);
        }
        game.fetch.handle_timeout(now, Some(&mut session), &mut rng());
        game.fetch.judge_pace(now, &mut pace, &mut session, &mut rng());
        let said: Vec<Request> = Harness::asked(&mut session)
            .into_iter()
            .map(|mut said| {
                let opened = server.opener.open(&mut said).unwrap();
                Request::parse(&said[..opened.len]).unwrap()
            })
            .collect();
        match game.fetch.poll_step(Some(&session)) {
            Step::Drive | Step::Reserve { .. } => {}
            Step::Close(_) => {
                assert_eq!(said, [Request::Release { token: TOKEN, id: id(1) }]);
                game.fetch.handle_closed(now);
                let Step::Failed(error) = game.fetch.poll_step(None) else { panic!() };
                return Some((error, game.since(begun)));
            }
            step => panic!("{step:?}"),
        }
    }
    None
}

#[test]
fn a_server_that_sends_less_than_the_least_rate_is_given_up() {
    let slow = FetchError::Session(ClientError::Slow);
    // 512 bytes every 14 s, which renewed every deadline for ever; and just too little.
    for (record, every) in [(512, seconds(14)), (1_024, Duration::from_millis(1_050))] {
        let (error, took) = trickle(record, every, seconds(0)).expect("it goes on to the end");
        assert_eq!(error, slow);
        assert!(took >= SLOW_WINDOW && took <= SLOW_WINDOW + PROGRESS_EVERY, "{took:?}");
    }
    assert_eq!(trickle(1_024, seconds(1), seconds(0)), None, "the least rate itself is enough");
    assert_eq!(trickle(1_024, seconds(1), seconds(600)), None, "this side slept, not the server");
}

/// The states that a fetch goes through, in order.
const STATES: usize = 9;

/// A fetch in the state of this number, with its session.
fn in_state(state: usize) -> (Game, Option<ClientSession>) {
    let mut game = Game::new(600);
    if state == 0 {
        return (game, None);
    }
    if state == 1 {
        game.fetch.handle_open(game.harness.now, None);
        return (game, Some(ClientSession::new(Instant::default(), net::SERVER, None, None)));
    }
    if state == 2 {
        game.fetch.handle_open(game.harness.now, None);
        let (mut session, _) = game.harness.visit(ROOM);
        game.fetch.handle_event(game.harness.now, &mut session, ClientEvent::Ready, &mut rng());
        assert_eq!(game.fetch.poll_step(Some(&session)), Step::Approve);
        return (game, Some(session));
    }
    let (mut session, mut server, _) = game.connect();
    if state == 3 {
        return (game, Some(session));
    }
    game.begin(&mut session, &mut server, 0, 512);
    if state == 4 {
        return (game, Some(session));
    }
    game.data(&mut session, &mut server, 512);
    if state == 5 {
        // The connection is lost, with the claim.
        game.fetch.handle_error(game.harness.now, ClientError::Reset, &mut rng());
        game.fetch.handle_closed(game.harness.now);
        assert!(matches!(game.fetch.poll_step(None), Step::Wait(_)));
        return (game, None);
    }
    game.fetch.ready(game.harness.now, &mut session).unwrap();
    Harness::asked(&mut session);
    if state == 6 {
        return (game, Some(session));
    }
    let message = seal(&mut server, RecordKind::Final, &[7; 88], 532);
    game.tell(&mut session, &message);
    assert_eq!(game.fetch.poll_step(Some(&session)), Step::Persist);
    if state == 7 {
        return (game, Some(session));
    }
    game.fetch.persisted(game.harness.now, Some(&mut session)).unwrap();
    (game, Some(session))
}

/// Runs a fetch to its end as a front end without a network would.
fn end(game: &mut Game) -> (Step, Duration) {
    let begun = game.harness.now;
    for _ in 0..100 {
        let now = game.harness.now;
        match game.fetch.poll_step(None) {
            Step::Close(_) => game.fetch.handle_closed(now),
            Step::Connect => game.fetch.handle_unreachable(now, &mut rng()),
            step @ (Step::Done { .. } | Step::Failed(_)) => return (step, now.since(begun)),
            Step::Persist => game.fetch.persisted(now, None).unwrap(),
            _ => {
                game.harness.now = game.fetch.poll_timeout().expect("it waits for ever").max(now);
                game.fetch.handle_timeout(game.harness.now, None, &mut rng());
            }
        }
    }
    panic!("no end: {:?}", game.fetch);
}

#[test]
fn a_fetch_that_is_canceled_ends_from_every_state_and_releases_no_whole_drop() {
    for state in 0..STATES {
        let (mut game, mut session) = in_state(state);
        let whole = game.fetch.is_whole();
        game.fetch.cancel(session.as_mut());
        if whole && let Some(session) = &mut session {
            let said = Harness::asked(session).len();
            assert_eq!(said, usize::from(state == 8), "state {state}: commit or nothing");
        }
        let (step, took) = if state == 8 {
            // A drop that is durable is confirmed all the same.
            game.fetch.handle_error(game.harness.now, ClientError::Reset, &mut rng());
            end(&mut game)
        } else {
            end(&mut game)
        };
        let expected =
            if state == 8 { Step::Done { confirmed: false } } else { Step::Failed(FetchError::Canceled) };
        assert_eq!(step, expected, "state {state}");
        assert!(took <= seconds(if state == 8 { 5 } else { 0 }), "state {state}: {took:?}");
        // It has ended for good.
        game.fetch.cancel(session.as_mut());
        game.fetch.interrupt(game.harness.now, session.as_mut());
        assert_eq!(game.fetch.poll_step(None), expected, "state {state}");
        assert_eq!(game.fetch.poll_timeout(), None);
    }
}

#[test]
fn an_interrupt_ends_a_fetch_from_every_state() {
    for state in 0..STATES {
        let (mut game, mut session) = in_state(state);
        game.fetch.interrupt(game.harness.now, session.as_mut());
        if state >= 7 {
            // The whole drop is here: it is kept.
            if state == 7 {
                game.fetch.persisted(game.harness.now, session.as_mut()).unwrap();
            }
            game.fetch.interrupt(game.harness.now, session.as_mut());
            let (step, took) = end(&mut game);
            assert_eq!(step, Step::Done { confirmed: false }, "state {state}");
            assert!(took < seconds(1), "state {state}: {took:?}");
        } else {
            let (step, took) = end(&mut game);
            assert_eq!((step, took), (Step::Failed(FetchError::Canceled), seconds(0)), "state {state}");
        }
    }
}

#[test]
fn late_events_do_not_revive_a_fetch_that_has_ended_or_is_closing() {
    let late = || {
        [
            ClientEvent::Refused(ErrorCode::Unknown),
            ClientEvent::Refused(ErrorCode::Busy { retry_after: seconds(1) }),
            ClientEvent::Data { len: 1 },
            ClientEvent::Burned,
            ClientEvent::Ready,
        ]
    };
    for state in 1..8 {
        if state == 5 {
            continue;
        }
        for (event, closed) in late().into_iter().flat_map(|event| [(event.clone(), false), (event, true)]) {
            let (mut game, mut session) = in_state(state);
            game.fetch.cancel(session.as_mut());
            if closed {
                game.fetch.handle_closed(game.harness.now);
            }
            let before = game.fetch.poll_step(None);
            let session = session.as_mut().unwrap();
            let now = game.harness.now;
            assert_eq!(game.fetch.handle_event(now, session, event.clone(), &mut rng()), None);
            assert_eq!(game.fetch.poll_step(None), before, "state {state}, {event:?}");
        }
    }
}

#[test]
fn calls_out_of_turn_are_misuse_and_change_nothing() {
    for state in 0..STATES {
        let (mut game, mut session) = in_state(state);
        let now = game.harness.now;
        let before = game.fetch.poll_step(session.as_ref());
        if let Some(session) = &mut session {
            if before != Step::Approve {
                assert!(game.fetch.approve(now, session).is_err(), "state {state}");
            }
            if !matches!(before, Step::Reserve { .. }) {
                assert!(game.fetch.ready(now, session).is_err(), "state {state}");
            }
        }
        if before != Step::Persist {
            assert!(game.fetch.persisted(now, session.as_mut()).is_err(), "state {state}");
        }
        if before != Step::Connect {
            game.fetch.handle_open(now, None);
            game.fetch.handle_unreachable(now, &mut rng());
        }
        if !matches!(before, Step::Close(_)) {
            game.fetch.handle_closed(now);
        }
        assert_eq!(game.fetch.poll_step(session.as_ref()), before, "state {state}");
    }
}
