use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{CONTROL_RECORD, RECORD_MAX};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{ClientEvent, ClientSession, FetchPlan};
use deaddrop_core::token::FetchId;
use deaddrop_core::wire::ErrorCode;
use zeroize::Zeroizing;

use super::*;
use crate::files::source::SourceMessage;

const ROOM: [u8; 32] = [1; 32];

/// A member that is connected from an address, without a network.
struct Member {
    server: ServerSession,
    client: ClientSession,
    guard: ClientGuard<4>,
}

impl Member {
    fn connect(server: &Server, last: u8) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let (session, _) = server.open(address.into(), &Arc::default());
        let client = ClientSession::new(clock::now(), address, None, None);
        Self { server: session, client, guard: ClientGuard::new(clock::now()) }
    }

    /// Passes messages until there is something to say to the member.
    fn next(&mut self, server: &Server) -> ClientEvent {
        let prs = RoomSecret::new(ROOM).prs();
        loop {
            let mut buffer = [0; CONTROL_RECORD];
            if let Some(len) = self.client.poll_transmit(&mut buffer).unwrap() {
                server.handle_message(&mut self.server, &mut buffer[..len]);
            }
            let Some(len) = server.poll_transmit(&mut self.server, &mut buffer).unwrap() else { continue };
            let (guard, message) = (&mut self.guard, &mut buffer[..len]);
            let event = self.client.handle_message(clock::now(), &prs, guard, &mut system(), message);
            if let Some(event) = event.unwrap() {
                return event;
            }
        }
    }

    /// Connects and asks for a drop under a new id.
    fn ask(server: &Server, last: u8, token: Token) -> (Self, ClientEvent) {
        let mut member = Self::connect(server, last);
        assert_eq!(member.next(server), ClientEvent::Ready);
        let id = FetchId::random(&mut system());
        let plan = FetchPlan { token, id, record_max: RECORD_MAX, offset: 0, digest: None };
        member.client.fetch(clock::now(), &plan).unwrap();
        let event = member.next(server);
        (member, event)
    }
}

#[test]
fn a_receiver_that_waits_goes_before_one_that_gave_its_claim_back() {
    let server = Server::new(&RoomSecret::new(ROOM));
    let source = SourceMessage::from_bytes(Zeroizing::new(b"hello".to_vec())).unwrap();
    let (kind, name, ttl) = (Kind::Message, Name::default(), Duration::from_secs(60));
    let spec = DropSpec { kind, name, size: 5, ttl, fetches: deaddrop_core::drops::Fetches::Counted(1) };
    let token = server.put(spec, Source::Message(source)).unwrap();
    let (mut first, event) = Member::ask(&server, 1, token);
    assert!(matches!(event, ClientEvent::Begin(_)));
    let busy = |event| matches!(event, ClientEvent::Refused(ErrorCode::Busy { .. }));
    assert!(busy(Member::ask(&server, 2, token).1));
    first.client.release().unwrap();
    let mut buffer = [0; CONTROL_RECORD];
    let len = first.client.poll_transmit(&mut buffer).unwrap().unwrap();
    server.handle_message(&mut first.server, &mut buffer[..len]);
    assert!(busy(Member::ask(&server, 1, token).1), "under another id, and it is free");
    assert!(matches!(Member::ask(&server, 2, token).1, ClientEvent::Begin(_)));
}
