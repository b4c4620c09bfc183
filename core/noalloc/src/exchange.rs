//! One drop from a server session to a client session: handshake, list, fetch, commit.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::exchange::{Server, ServerSession};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{BOARD, RECORD_OVERHEAD};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{ClientEvent, ClientSession, FetchPlan};
use deaddrop_core::time::Instant;
use deaddrop_core::token::FetchId;

use crate::random::Fixed;

/// Room for the largest record of a board.
const BUFFER: usize = BOARD.record_max as usize + RECORD_OVERHEAD;
/// Bytes of the drop: several records and a part of one.
const SIZE: u64 = 3 * BOARD.record_max as u64 + 17;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// Both ends of one connection, and the buffer that stands for the wire between them.
struct Link {
    now: Instant,
    rng: Fixed,
    room: RoomSecret,
    serving: Server<4, 4, 16, 4>,
    server: ServerSession,
    client: ClientSession,
    guard: ClientGuard<16>,
    buffer: [u8; BUFFER],
}

/// Offers a drop, fetches it, and panics unless every byte arrives and the drop is burned.
pub(crate) fn run() {
    let now = Instant::from_millis(1_000);
    let mut rng = Fixed(1);
    let room = RoomSecret::fill_with(|bytes| bytes.fill(3));
    let mut serving = Server::new(now, room.prs(), &BOARD, &mut rng);
    let spec = DropSpec {
        kind: Kind::File,
        name: Name::new("plans.txt").unwrap(),
        size: SIZE,
        ttl: Duration::from_secs(600),
        fetches: Fetches::Counted(1),
    };
    let token = serving.drops.put(now, spec, &mut rng).unwrap();
    let server = serving.open(now, CLIENT, &mut rng);
    let client = ClientSession::new(now, SERVER, Some(serving.instance()), None);
    let guard = ClientGuard::new(now);
    let mut link = Link { now, rng, room, serving, server, client, guard, buffer: [0; BUFFER] };

    assert!(matches!(link.next(), ClientEvent::Ready));
    link.client.list(now, None).unwrap();
    let mut listed = 0;
    while let ClientEvent::Offer(offer) = link.next() {
        assert!(offer.token == token && offer.size == SIZE);
        listed += 1;
    }
    assert_eq!(listed, 1);

    let id = FetchId::random(&mut link.rng);
    let plan = FetchPlan { token, id, record_max: BOARD.record_max, offset: 0, digest: None };
    link.client.fetch(now, &plan).unwrap();
    assert!(matches!(link.next(), ClientEvent::Begin(begin) if begin.size == SIZE));
    let mut stored = 0;
    while stored < SIZE {
        if link.client.needs_ready() {
            link.client.ready(now).unwrap();
        } else {
            link.client.progress(stored).unwrap();
        }
        let (ClientEvent::Data { len } | ClientEvent::Final { len }) = link.next() else { panic!("no data") };
        assert!(link.buffer[..len].iter().zip(stored..).all(|(byte, offset)| *byte == content(offset)));
        stored += len as u64;
    }
    link.client.commit(now, token, id).unwrap();
    assert!(matches!(link.next(), ClientEvent::Burned));
    link.server.handle_close();
    link.server.closed(now, &mut link.serving);
    assert_eq!(link.serving.drops.live(), 0);
}

impl Link {
    /// Carries messages both ways until one means something to the client.
    fn next(&mut self) -> ClientEvent {
        loop {
            if let Some(len) = self.client.poll_transmit(&mut self.buffer).unwrap() {
                let message = &mut self.buffer[..len];
                self.server.handle_message(self.now, &mut self.serving, &mut self.rng, message).unwrap();
                continue;
            }
            let said = self.server.poll_transmit(self.now, &mut self.serving, &mut self.buffer).unwrap();
            let len = said.unwrap_or_else(|| {
                let read = self.server.poll_read().unwrap();
                for (byte, offset) in self.buffer[..read.len].iter_mut().zip(read.offset..) {
                    *byte = content(offset);
                }
                self.server.handle_read(self.now, &mut self.serving, &mut self.buffer).unwrap()
            });
            if len == 0 {
                continue;
            }
            let message = &mut self.buffer[..len];
            let (prs, guard) = (self.room.prs(), &mut self.guard);
            let event = self.client.handle_message(self.now, &prs, guard, &mut self.rng, message);
            if let Some(event) = event.unwrap() {
                return event;
            }
        }
    }
}

/// The byte of the drop at `offset`.
fn content(offset: u64) -> u8 {
    offset.to_le_bytes().iter().fold(7, |sum, byte| sum ^ byte.rotate_left(3))
}
