//! A board that serves, and those who would keep it from that.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{CONTROL_RECORD, TCP_PORT_FIRST};
use deaddrop_core::offer::Kind;
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, FetchPlan, HandshakeError};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Token};
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::mailbox::{Command, Event, FetchRequest};
use embassy_net::tcp::{State, TcpSocket};
use embassy_net::{ConfigV4, IpEndpoint, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_time::{Timer, with_timeout};
use lan::{Board, Lan};
use rand_core::SeedableRng;

fn now() -> Instant {
    Instant::from_millis(u64::try_from(lan::clock::now().as_millis()).unwrap())
}

/// A socket with buffers of its own.
fn socket(stack: Stack<'static>) -> TcpSocket<'static> {
    TcpSocket::new(stack, Box::leak(Box::new([0; 4_096])), Box::leak(Box::new([0; 4_096])))
}

async fn connect(socket: &mut TcpSocket<'static>, to: &Board) -> bool {
    let at = IpEndpoint::new(to.address.into(), TCP_PORT_FIRST);
    let connected = with_timeout(embassy_time::Duration::from_secs(2), socket.connect(at)).await;
    matches!(connected, Ok(Ok(())))
}

/// How a conversation that was cut short went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Refused,
    Error(ClientError),
    /// All data records have come, and nothing was said after that.
    Held,
}

/// Connects as the member that knows room number `room`, claims the drop, takes its data, and is never ready.
async fn claim(stack: Stack<'static>, to: &Board, room: u8, token: Token, seed: u8) -> End {
    let mut socket = socket(stack);
    if !connect(&mut socket, to).await {
        return End::Refused;
    }
    let prs = RoomSecret::new([room; 32]).prs();
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut guard = ClientGuard::<4>::new(now());
    let mut session = ClientSession::new(now(), IpAddr::V4(to.address), None, None);
    let mut message = [0; 2_048];
    loop {
        let mut out = [0; CONTROL_RECORD];
        while let Some(len) = session.poll_transmit(&mut out).unwrap() {
            let mut at = 0;
            while at < len {
                match socket.write(&out[at..len]).await {
                    Ok(n) => at += n,
                    Err(_) => return End::Error(session.handle_close(false)),
                }
            }
        }
        if session.needs_ready() {
            // Its connection stays open, and says nothing.
            Timer::after_secs(90).await;
            return End::Held;
        }
        let len = session.wants().unwrap();
        let mut at = 0;
        while at < len {
            match socket.read(&mut message[at..len]).await {
                Ok(0) => return End::Error(session.handle_close(true)),
                Ok(n) => at += n,
                Err(_) => return End::Error(session.handle_close(false)),
            }
        }
        match session.handle_message(now(), &prs, &mut guard, &mut rng, &mut message[..len]) {
            Ok(Some(ClientEvent::Ready)) => {
                let id = FetchId::from_bytes([seed; 16]);
                let plan = FetchPlan { token, id, record_max: 512, offset: 0, digest: None };
                session.fetch(now(), &plan).unwrap();
            }
            Ok(Some(ClientEvent::Refused(_))) => return End::Refused,
            Ok(_) => {}
            Err(error) => return End::Error(error),
        }
    }
}

/// A board with a drop, and a member that is to have it in the end.
fn serving() -> (Lan, Board, Token) {
    let mut lan = Lan::new();
    let board = lan.board(1, Settings::default());
    let token = board.offer(&mut lan, Kind::File, "key.pem", &[7; 5_000]);
    (lan, board, token)
}

/// A member that comes now can have the drop.
fn still_serves(lan: &mut Lan, token: Token) {
    let member = lan.board(1, Settings::default());
    lan.until(&member, |event| {
        matches!(event, Event::Appeared { offer, .. } if offer.token == token).then_some(())
    });
    member.fetch(token);
    let slot = lan.until(&member, |event| match event {
        Event::Received { slot, .. } => Some(*slot),
        Event::Failed { why, .. } => panic!("{why:?}"),
        _ => None,
    });
    assert_eq!(member.bytes(slot), [7; 5_000]);
}

#[test]
fn those_who_connect_and_say_nothing_hold_no_place() {
    let (mut lan, board, token) = serving();
    for _ in 0..4 {
        let (stack, _) = lan.stack();
        let board = board.clone();
        lan.spawn(async move {
            loop {
                let mut socket = socket(stack);
                let _ = connect(&mut socket, &board).await;
                Timer::after_secs(5).await;
                socket.abort();
                let _ = socket.flush().await;
            }
        });
    }
    lan.pass(Duration::from_secs(10));
    still_serves(&mut lan, token);
}

#[test]
fn those_who_spend_guesses_and_never_prove_themselves_keep_no_known_member_out() {
    let (mut lan, board, token) = serving();
    // A newcomer waits for a guess like them, as the threat model says of boards.
    let member = lan.board(1, Settings::default());
    lan.until(&member, |event| matches!(event, Event::Appeared { .. }).then_some(()));
    for seed in 0..4_u8 {
        let (stack, _) = lan.stack();
        let board = board.clone();
        lan.spawn(async move {
            let prs = RoomSecret::new([9; 32]).prs();
            let mut rng = ChaCha20Rng::from_seed([seed; 32]);
            loop {
                let mut socket = socket(stack);
                if connect(&mut socket, &board).await
                    && let Some(hello) = message2(&mut socket, &prs, &mut rng).await
                {
                    // And not a word more, for as long as the board waits.
                    let _ = socket.write(&hello).await;
                    let mut answer = [0; 64];
                    while matches!(socket.read(&mut answer).await, Ok(1..)) {}
                }
                socket.abort();
                let _ = socket.flush().await;
                Timer::after_millis(20).await;
            }
        });
    }
    lan.pass(Duration::from_secs(30));
    let mut tries = 0;
    while member.count(|event| matches!(event, Event::Received { .. })) == 0 {
        tries += 1;
        assert!(tries <= 6, "kept out");
        member.fetch(token);
        lan.pass(Duration::from_secs(10));
    }
}

/// Message 2 to the client that greets on this socket, unless it is busy.
async fn message2(
    socket: &mut TcpSocket<'static>,
    prs: &deaddrop_core::crypto::keys::Prs,
    rng: &mut ChaCha20Rng,
) -> Option<[u8; deaddrop_core::wire::CLIENT_HELLO_LEN]> {
    let mut greeting = [0; deaddrop_core::wire::GREETING_LEN];
    let mut at = 0;
    while at < greeting.len() {
        at += socket.read(&mut greeting[at..]).await.ok().filter(|len| *len > 0)?;
    }
    let start = deaddrop_core::session::ClientHandshake::start(&greeting, None, None, prs, rng);
    start.ok().map(|(_, hello)| hello)
}

#[test]
fn a_stray_syn_holds_no_place_for_long() {
    let (mut lan, board, token) = serving();
    lan.pass(Duration::from_secs(1));
    // More than there are places, from somebody who is gone at once.
    let (stack, _) = lan.stack();
    let gone = usize::from(board.address.octets()[3]);
    for _ in 0..5 {
        let board = board.clone();
        lan.spawn(async move {
            let mut socket = socket(stack);
            let _ = connect(&mut socket, &board).await;
        });
    }
    lan.switch.cut_after(600);
    lan.pass(Duration::from_millis(500));
    assert!(lan.switch.is_cut());
    lan.switch.plug(gone, false);
    lan.switch.mend();
    lan.pass(Duration::from_secs(3));
    still_serves(&mut lan, token);
}

#[test]
fn guesses_are_few_and_the_owner_hears_of_them() {
    let (mut lan, board, token) = serving();
    let (stack, address) = lan.stack();
    let guesses = Rc::new(Cell::new(0));
    let counted = guesses.clone();
    let target = board.clone();
    lan.spawn(async move {
        for seed in 0..200 {
            if claim(stack, &target, 9, token, seed).await == End::Error(ClientError::NotMember) {
                counted.set(counted.get() + 1);
            }
            Timer::after_millis(100).await;
        }
    });
    lan.pass(Duration::from_secs(20));
    // Four at once, and then one every two seconds.
    assert!((4..=15).contains(&guesses.get()), "{}", guesses.get());
    let warned = |event: &Event| match event {
        Event::Guessing { source, failures } => Some((*source, *failures)),
        _ => None,
    };
    assert_eq!(lan.until(&board, warned), (Some(IpAddr::V4(address)), 3));
    still_serves(&mut lan, token);
}

#[test]
fn a_receiver_that_falls_silent_loses_its_claim() {
    let (mut lan, board, token) = serving();
    let (stack, _) = lan.stack();
    let target = board.clone();
    lan.spawn(async move {
        assert_eq!(claim(stack, &target, 1, token, 1).await, End::Held);
    });
    lan.pass(Duration::from_secs(5));
    let member = lan.board(1, Settings::default());
    lan.pass(Duration::from_secs(2));
    member.fetch(token);
    let busy = lan.until(&member, |event| match event {
        Event::Failed { why, .. } => Some(*why),
        _ => None,
    });
    assert!(matches!(
        busy,
        deaddrop_firmware::mailbox::CommandError::Refused(deaddrop_core::wire::ErrorCode::Busy { .. })
    ));
    lan.pass(Duration::from_secs(15));
    still_serves(&mut lan, token);
    assert_eq!(board.count(|event| matches!(event, Event::Fetched { .. })), 1);
}

#[test]
fn connections_end_when_the_cable_is_out() {
    let (mut lan, board, token) = serving();
    let drops: Vec<Token> = (0..2).map(|_| board.offer(&mut lan, Kind::File, "held", &[1; 2_000])).collect();
    let held = Rc::new(Cell::new(0));
    for (seed, drop) in (1..).zip(drops) {
        let (stack, _) = lan.stack();
        let (target, held) = (board.clone(), held.clone());
        lan.spawn(async move {
            // One after the other: one at a time may be a stranger still.
            Timer::after_millis(200 * u64::from(seed)).await;
            assert_eq!(claim(stack, &target, 1, drop, seed).await, End::Held);
            held.set(held.get() + 1);
        });
    }
    lan.pass(Duration::from_secs(2));
    let (stack, _) = lan.stack();
    let refused = Rc::new(Cell::new(None));
    let (told, target) = (refused.clone(), board.clone());
    lan.spawn(async move {
        told.set(Some(claim(stack, &target, 1, token, 9).await));
    });
    // It is told so, for three connections that are refused in a row would look like a board that is gone.
    let busy = lan.when(|| refused.take());
    assert!(matches!(busy, End::Error(ClientError::Handshake(HandshakeError::Busy { .. }))), "{busy:?}");
    // For as long as a lease lasts, if nobody looked at the cable.
    for plugged in [false, true] {
        lan.switch.plug(board.number, plugged);
        lan.pass(Duration::from_millis(10));
    }
    let member = lan.board(1, Settings::default());
    member.send(Command::Fetch(FetchRequest { token: token.into(), from: Some((board.address, None)) }));
    let began = lan::clock::now();
    lan.until(&member, |event| matches!(event, Event::Received { .. }).then_some(()));
    assert!(lan::clock::now() - began < Duration::from_secs(3));
    assert_eq!(held.get(), 0, "they were still at it");
}

#[test]
fn another_address_is_heard_of_at_once() {
    let (mut lan, board, token) = serving();
    let member = lan.board(1, Settings::default());
    let appeared = |event: &Event| matches!(event, Event::Appeared { .. }).then_some(());
    lan.until(&member, appeared);
    let address = Ipv4Addr::new(10, 0, 0, 99);
    board.stack.set_config_v4(ConfigV4::Static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    }));
    lan.pass(Duration::from_millis(1));
    assert_eq!(board.count(|event| *event == Event::Address(Some(address))), 1);
    // The member hears of the new address by itself, and only there is anything to be had.
    lan.pass(Duration::from_secs(5));
    member.fetch(token);
    lan.until(&member, |event| matches!(event, Event::Received { .. }).then_some(()));
}

/// When the answer to message 2 came, counted from when it was sent.
fn answered_after(delay: Duration, valid: bool) -> Duration {
    let mut lan = Lan::new();
    let board = lan.board(1, Settings { reply_delay: delay, ..Settings::default() });
    lan.pass(Duration::from_secs(1));
    let (stack, _) = lan.stack();
    let took = Rc::new(Cell::new(None));
    let (told, target) = (took.clone(), board);
    lan.spawn(async move {
        let mut socket = socket(stack);
        assert!(connect(&mut socket, &target).await);
        let mut greeting = [0; deaddrop_core::wire::GREETING_LEN];
        let mut at = 0;
        while at < greeting.len() {
            at += socket.read(&mut greeting[at..]).await.unwrap();
        }
        let prs = RoomSecret::new([1; 32]).prs();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let start = deaddrop_core::session::ClientHandshake::start(&greeting, None, None, &prs, &mut rng);
        let mut hello = start.ok().unwrap().1;
        if !valid {
            hello[17..].fill(0xff);
        }
        let sent = lan::clock::now();
        assert_eq!(socket.write(&hello).await.unwrap(), hello.len());
        // The answer, or a reset if it was no point of the group.
        let answer = socket.read(&mut [0]).await;
        assert_eq!(answer.is_ok(), valid);
        assert!(valid || socket.state() == State::Closed);
        told.set(Some(lan::clock::now() - sent));
    });
    lan.when(|| took.get())
}

#[test]
fn a_handshake_is_answered_at_a_fixed_time_whatever_it_holds() {
    assert!(answered_after(Duration::ZERO, true) < Duration::from_millis(20));
    for valid in [true, false] {
        let took = answered_after(Duration::from_millis(300), valid);
        assert!((300..320).contains(&took.as_millis()), "{valid} {took:?}");
    }
}

/// Counts the rounds of the executor, a few hundred of them after each start.
#[derive(Default)]
struct Rounds {
    counted: Cell<u32>,
    left: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

impl Rounds {
    fn start(&self) {
        self.counted.set(0);
        self.left.set(500);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What counts them, as a task that is always ready.
    fn count(&self, context: &Context<'_>) {
        if let Some(left) = self.left.get().checked_sub(1) {
            self.left.set(left);
            self.counted.set(self.counted.get() + 1);
            context.waker().wake_by_ref();
        } else {
            *self.waker.borrow_mut() = Some(context.waker().clone());
        }
    }
}

#[test]
fn other_tasks_run_between_the_two_halves_of_an_answer() {
    let (mut lan, board, _) = serving();
    let rounds = Rc::new(Rounds::default());
    let counting = rounds.clone();
    lan.spawn(poll_fn(move |context| {
        counting.count(context);
        Poll::Pending
    }));
    let (stack, _) = lan.stack();
    let counts = Rc::new(RefCell::new(Vec::new()));
    let (counted, target) = (counts.clone(), board);
    lan.spawn(async move {
        let mut socket = socket(stack);
        assert!(connect(&mut socket, &target).await);
        let prs = RoomSecret::new([1; 32]).prs();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut guard = ClientGuard::<4>::new(now());
        let mut session = ClientSession::new(now(), IpAddr::V4(target.address), None, None);
        // The greeting; then the answers to message 2 and to a request, each with the rounds that it took.
        for _ in 0..3 {
            let mut message = [0; CONTROL_RECORD];
            if let Some(len) = session.poll_transmit(&mut message).unwrap() {
                rounds.start();
                assert_eq!(socket.write(&message[..len]).await, Ok(len));
            }
            let len = session.wants().unwrap();
            let mut at = 0;
            while at < len {
                at += socket.read(&mut message[at..len]).await.unwrap();
            }
            counted.borrow_mut().push(rounds.counted.get());
            session.handle_message(now(), &prs, &mut guard, &mut rng, &mut message[..len]).unwrap();
            let _ = session.list(now(), None);
        }
    });
    let counts = lan.when(|| (counts.borrow().len() == 3).then(|| counts.borrow().clone()));
    // Both ways are the same but for the pause. Two rounds, because an executor may poll the board first in one.
    assert_eq!(counts[1], counts[2] + 2, "{counts:?}");
}
