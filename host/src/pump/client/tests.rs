use std::future::Future;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::drops::DropSpec;
use deaddrop_core::session::FetchPlan;
use deaddrop_core::token::{FetchId, Token};
use smol::{Async, future};

use super::*;
use crate::fetch::{Wanted, claim};
use crate::files::receive::{Destination, Incoming};
use crate::files::source::{Source, SourceFile};
use crate::look::shake_hands;
use crate::net::link::SmolLink;
use crate::pump::serve_connection;
use crate::serve::Server;

/// A sender of one file of this size, and a member of its room.
struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    member: Member,
    token: Token,
    listener: TcpListener,
    bytes: Vec<u8>,
}

fn scene(size: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drop.bin");
    let bytes: Vec<u8> = (0..size).map(|at| (at / 251).to_le_bytes()[0] ^ at.to_le_bytes()[0]).collect();
    std::fs::write(&path, &bytes).unwrap();
    let source = Source::File(SourceFile::open(&path).unwrap());
    let room = RoomSecret::new([1; 32]);
    let (server, member) = (Server::new(&room), Member::new(&room, None));
    let terms = DropSpec {
        kind: source.kind(),
        name: deaddrop_core::offer::Name::new("drop.bin").unwrap(),
        size: source.size(),
        ttl: Duration::from_secs(60),
        fetches: 1,
    };
    let token = server.put(terms, source).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Scene { folder, server, member, token, listener, bytes }
}

impl Scene {
    async fn serve(&self) {
        let listener = Async::new(self.listener.try_clone().unwrap()).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        serve_connection(
            &self.server,
            SmolLink::accepted(stream.into(), self.server.bell.clone()),
            from.ip(),
        )
        .await;
    }

    async fn claim_at(&self, address: SocketAddr) -> (ClientPump<'_, SmolLink>, Incoming) {
        let link = SmolLink::connect(address, None).await.unwrap();
        let id = FetchId::random(&mut system());
        let wanted = Wanted::Token(self.token.into());
        let claim = claim(link, &self.member, None, &wanted, id, None).await.ok().unwrap();
        let out = Destination::resolve(Some(&self.folder.path().join("out"))).unwrap();
        let incoming = Incoming::create(&out, &claim.offer.name, claim.offer.size).unwrap();
        (claim.pump, incoming)
    }

    fn parts(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name() != "drop.bin").count()
    }
}

#[test]
fn a_sender_that_is_never_waited_for_leaves_others_their_turn() {
    let scene = scene(64 * 1024);
    let fetching = async {
        let link = SmolLink::connect(scene.listener.local_addr().unwrap(), None).await.unwrap();
        let mut pump = shake_hands(link, &scene.member, None, None).await.unwrap();
        // In records so small that all of them fit the buffers of the connection.
        let id = FetchId::random(&mut system());
        let plan = FetchPlan { token: scene.token, id, record_max: 512, offset: 0, digest: None };
        pump.session.fetch(clock::now(), &plan).unwrap();
        assert!(matches!(pump.next().await.unwrap(), ClientEvent::Begin(_)));
        let records = 64 * 1024 / 512 - 1;
        let bytes = records * 532;
        while pump.link.stream().peek(&mut vec![0; bytes]).map_or(true, |there| there < bytes) {
            future::yield_now().await;
        }
        let taken = async {
            for _ in 0..records {
                assert_eq!(pump.next().await.unwrap(), ClientEvent::Data { len: 512 });
            }
        };
        let mut taken = pin!(taken);
        let (mut turns, mut context) = (0, Context::from_waker(Waker::noop()));
        while taken.as_mut().poll(&mut context) == Poll::Pending {
            turns += 1;
        }
        assert!(turns >= records / MESSAGES_PER_TURN as usize, "{turns}");
    };
    smol::block_on(future::or(
        async {
            scene.serve().await;
            future::pending::<()>().await;
        },
        fetching,
    ));
}

#[test]
fn a_large_drop_comes_in_by_batches_from_the_first_byte_to_the_last_before_the_final_record() {
    let scene = scene((8 << 20) + 77);
    let fetching = async {
        let (mut pump, mut incoming) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        let mut told = Vec::new();
        let end = pump
            .take_in(incoming.shelf().unwrap(), |more| {
                incoming.advance(more);
                told.push(incoming.stored());
                incoming.stored()
            })
            .await;
        assert_eq!(end.unwrap(), None);
        assert!(told.is_sorted() && told.last() == Some(&(8 << 20)), "{told:?}");
        pump.session.ready(clock::now()).unwrap();
        let last = pump.next().await.unwrap();
        assert_eq!(last, ClientEvent::Final { len: 77 });
        incoming.append(pump.bytes(77)).unwrap();
        incoming.finish().unwrap();
        assert!(std::fs::read(scene.folder.path().join("out")).unwrap() == scene.bytes);
    };
    smol::block_on(future::or(
        async {
            scene.serve().await;
            future::pending::<()>().await;
        },
        fetching,
    ));
}

#[test]
fn a_byte_altered_under_way_ends_it_and_what_came_before_is_no_file() {
    let scene = scene(8 << 20);
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = relay.local_addr().unwrap();
    let behind = scene.listener.local_addr().unwrap();
    let relaying = std::thread::spawn(move || {
        let (near, _) = relay.accept().unwrap();
        let far = TcpStream::connect(behind).unwrap();
        let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = std::thread::spawn(move || io::copy(&mut from, &mut to));
        let (mut from, mut to) = (far, near);
        let mut buffer = vec![0; 65_536];
        let mut passed = 0;
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if (passed..passed + len).contains(&(5 << 20)) {
                buffer[(5 << 20) - passed] ^= 1;
            }
            passed += len;
            if to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        drop((from, to));
        let _ = back.join();
    });
    let fetching = async {
        let (mut pump, mut incoming) = scene.claim_at(address).await;
        let end = pump
            .take_in(incoming.shelf().unwrap(), |more| {
                incoming.advance(more);
                incoming.stored()
            })
            .await;
        assert!(matches!(end, Err(PumpError::Session(ClientError::Protocol))), "{end:?}");
        assert!(incoming.stored() < 5 << 20, "nothing counts that comes after it");
        drop((pump, incoming));
        assert_eq!(scene.parts(), 0);
    };
    smol::block_on(future::or(
        async {
            scene.serve().await;
            future::pending::<()>().await;
        },
        fetching,
    ));
    // The server's end went with the scene's task, and with it the relay's.
    relaying.join().unwrap();
}
