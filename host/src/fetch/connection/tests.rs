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
use crate::fetch::claim::{Wanted, claim_at};
use crate::files::save::{Destination, Incoming};
use crate::files::source::{Source, SourceFile};
use crate::serve::connection::serve_connection;
use crate::serve::server::Server;

/// A sender of one file of this size, and a member of its room.
struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    credentials: Arc<Credentials>,
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
    let (server, credentials) = (Server::new(&room), Arc::new(Credentials::new(&room)));
    let spec = DropSpec {
        kind: source.kind(),
        name: deaddrop_core::offer::Name::new("drop.bin").unwrap(),
        size: source.size(),
        ttl: Duration::from_secs(60),
        fetches: 1,
    };
    let token = server.put(spec, source).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Scene { folder, server, credentials, token, listener, bytes }
}

impl Scene {
    async fn serve(&self) {
        let listener = Async::new(self.listener.try_clone().unwrap()).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        let link = Link::accepted(stream.into_inner().unwrap(), self.server.changed.clone()).unwrap();
        serve_connection(&self.server, link, from.ip()).await;
    }

    async fn claim_at(&self, address: SocketAddr) -> (ClientConnection, Incoming) {
        let id = FetchId::random(&mut system());
        let wanted = Wanted::Token(self.token.into());
        let stop = Stopper::default();
        let claim = claim_at(address, &self.credentials, None, &wanted, id, &stop).await.ok().unwrap();
        let out = Destination::path(self.folder.path().join("out")).unwrap();
        let incoming = Incoming::create(&out, &claim.offer.name, claim.offer.size).unwrap();
        (claim.connection, incoming)
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
        let address = scene.listener.local_addr().unwrap();
        let connection = ClientConnection::open(address, &scene.credentials, None, None).await.unwrap();
        let mut connection = connection.shake_hands().await.unwrap();
        // In records so small that all of them fit the buffers of the connection.
        let id = FetchId::random(&mut system());
        let plan = FetchPlan { token: scene.token, id, record_max: 512, offset: 0, digest: None };
        connection.session.fetch(clock::now(), &plan).unwrap();
        assert!(matches!(connection.next().await.unwrap(), ClientEvent::Begin(_)));
        let records = 64 * 1024 / 512 - 1;
        let bytes = records * 532;
        while connection.link.stream().peek(&mut vec![0; bytes]).map_or(true, |there| there < bytes) {
            future::yield_now().await;
        }
        let taken = async {
            for _ in 0..records {
                assert_eq!(connection.next().await.unwrap(), ClientEvent::Data { len: 512 });
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
        let (mut connection, mut incoming) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        let mut told = Vec::new();
        let end = connection
            .receive_bulk(incoming.writer().unwrap(), |more| {
                incoming.advance(more);
                told.push(incoming.stored());
                incoming.stored()
            })
            .await;
        assert_eq!(end.unwrap(), None);
        assert!(told.is_sorted() && told.last() == Some(&(8 << 20)), "{told:?}");
        connection.session.ready(clock::now()).unwrap();
        let last = connection.next().await.unwrap();
        assert_eq!(last, ClientEvent::Final { len: 77 });
        incoming.append(connection.bytes(77)).unwrap();
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
        let (mut connection, mut incoming) = scene.claim_at(address).await;
        let end = connection
            .receive_bulk(incoming.writer().unwrap(), |more| {
                incoming.advance(more);
                incoming.stored()
            })
            .await;
        assert!(matches!(end, Err(ConnectionError::Session(ClientError::Protocol))), "{end:?}");
        assert!(incoming.stored() < 5 << 20, "nothing counts that comes after it");
        drop((connection, incoming));
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
