//! Drives one session without a network: the test is the peer and holds the keys of the other end.

use std::net::IpAddr;

use deaddrop_core::crypto::record::{Opened, RecordKind};
use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::exchange::{Server, ServerSession, SessionEvent};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{CONTROL_RECORD, Profile};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{
    Channel, ClientError, ClientEvent, ClientHandshake, ClientSession, ServerHandshake,
};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Answer, Request};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::{HostServer, ROOM, SERVER, prs, seconds};

pub struct Harness {
    pub now: Instant,
    pub rng: ChaCha8Rng,
    pub serving: Box<HostServer>,
    pub guard: Box<ClientGuard<16>>,
}

/// Seals a record as sent on the wire.
pub fn seal(channel: &mut Channel, kind: RecordKind, payload: &[u8], wire: usize) -> Vec<u8> {
    let mut record = vec![0; wire];
    record[..payload.len()].copy_from_slice(payload);
    channel.sealer.seal(&mut record, kind, payload.len()).unwrap();
    record
}

pub fn ask(channel: &mut Channel, request: &Request) -> Vec<u8> {
    let mut payload = [0; 492];
    let len = request.emit(&mut payload).unwrap();
    seal(channel, RecordKind::Control, &payload[..len], CONTROL_RECORD)
}

pub fn reply(channel: &mut Channel, answer: &Answer, wire: usize) -> Vec<u8> {
    let mut payload = [0; 492];
    let len = answer.emit(&mut payload).unwrap();
    seal(channel, RecordKind::Control, &payload[..len], wire)
}

/// Decodes a server's control record.
pub fn answer(channel: &mut Channel, record: &[u8]) -> Answer {
    let mut record = record.to_vec();
    let Opened { kind, len } = channel.opener.open(&mut record).unwrap();
    assert_eq!(kind, RecordKind::Control);
    Answer::parse(&record[..len]).unwrap()
}

impl Harness {
    pub fn new(seed: u64, profile: &'static Profile) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Instant::from_millis(50_000);
        let serving = Box::new(Server::new(now, prs(ROOM), profile, &mut rng));
        Self { now, rng, serving, guard: Box::new(ClientGuard::new(now)) }
    }

    pub fn put(&mut self, size: u64) -> Token {
        let name = Name::new("plans.txt").unwrap();
        let spec =
            DropSpec { kind: Kind::File, name, size, ttl: seconds(3_600), fetches: Fetches::Counted(1) };
        self.serving.drops.put(self.now, spec, &mut self.rng).unwrap()
    }

    pub fn wait(&mut self, ms: u64) {
        self.now = self.now + std::time::Duration::from_millis(ms);
    }

    /// All messages of a server's session; drops read as zeros.
    pub fn said(&mut self, session: &mut ServerSession) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        loop {
            let mut buffer = vec![0; session.record_len()];
            if let Some(len) = session.poll_transmit(self.now, &mut self.serving, &mut buffer).unwrap() {
                said.push(buffer[..len].to_vec());
            } else if session.poll_read().is_some() {
                let len = session.handle_read(self.now, &mut self.serving, &mut buffer).unwrap();
                if len > 0 {
                    said.push(buffer[..len].to_vec());
                }
            } else {
                return said;
            }
            assert!(said.len() < 10_000, "an endless answer");
        }
    }

    /// Whether a server's session has no message to send, without reading from the drop.
    pub fn said_nothing(&mut self, session: &mut ServerSession) -> bool {
        let mut buffer = vec![0; session.record_len()];
        session.poll_transmit(self.now, &mut self.serving, &mut buffer).unwrap().is_none()
    }

    /// Passes one message to the server's session.
    pub fn hear(&mut self, session: &mut ServerSession, message: &[u8]) -> Option<SessionEvent> {
        let mut message = message.to_vec();
        session.handle_message(self.now, &mut self.serving, &mut self.rng, &mut message).unwrap()
    }

    /// A server's session that has heard message 2 of a peer of this room and has not answered it.
    pub fn answering(&mut self, from: IpAddr, room: u8) -> (ServerSession, ClientHandshake) {
        let mut session = self.serving.open(self.now, from, &mut self.rng);
        let greeting = self.said(&mut session).remove(0);
        let (handshake, hello) =
            ClientHandshake::start(greeting[..].try_into().unwrap(), None, None, &prs(room), &mut self.rng)
                .unwrap();
        self.hear(&mut session, &hello);
        (session, handshake)
    }

    /// A server's session with a peer of this room that has message 3 and has proved nothing.
    pub fn serve(&mut self, from: IpAddr, room: u8) -> (ServerSession, Channel) {
        let (mut session, handshake) = self.answering(from, room);
        let share = self.said(&mut session).remove(0);
        (session, handshake.finish(share[..].try_into().unwrap()).unwrap())
    }

    /// A message 2 whose share is a point of the group.
    pub fn hello(&mut self) -> [u8; 49] {
        let greeted = ServerHandshake::new(Instance::random(&mut self.rng), &mut self.rng);
        ClientHandshake::start(greeted.greeting(), None, None, &prs(ROOM), &mut self.rng).unwrap().1
    }

    /// Passes one message to the client's session.
    pub fn tell(
        &mut self,
        session: &mut ClientSession,
        message: &[u8],
    ) -> Result<Option<ClientEvent>, ClientError> {
        let mut message = message.to_vec();
        session.handle_message(self.now, &prs(ROOM), &mut self.guard, &mut self.rng, &mut message)
    }

    /// All messages of a client's session.
    pub fn asked(session: &mut ClientSession) -> Vec<Vec<u8>> {
        let mut out = [0; CONTROL_RECORD];
        std::iter::from_fn(|| session.poll_transmit(&mut out).unwrap().map(|len| out[..len].to_vec()))
            .collect()
    }

    /// A client's session that is ready for requests to a server of this room.
    pub fn visit(&mut self, room: u8) -> (ClientSession, Channel) {
        let mut session = ClientSession::new(self.now, SERVER, None, None);
        let greeted = ServerHandshake::new(Instance::random(&mut self.rng), &mut self.rng);
        self.tell(&mut session, greeted.greeting()).unwrap();
        let hello = Self::asked(&mut session).remove(0);
        let (channel, share) =
            greeted.answer(hello[..].try_into().unwrap(), &prs(room), &mut self.rng).unwrap();
        assert_eq!(self.tell(&mut session, &share), Ok(Some(ClientEvent::Ready)));
        (session, channel)
    }
}
