//! What the tests of this folder share: a sender of one file, and a member of its room.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::exchange::Wanted;
use deaddrop_core::token::{FetchId, Token};
use smol::{Async, Executor, future};

use super::credentials::Credentials;
use super::transfer::Transfer;
use crate::files::bundle::source::{BundleOptions, BundleSource};
use crate::files::save::Destination;
use crate::files::source::{Source, SourceFile};
use crate::files::target::Target;
use crate::serve::connection::serve_connection;
use crate::serve::server::Server;
use crate::stop::Stopper;
use crate::transport::link::Link;
use crate::{clock, random::system};

/// A sender of one file of this size, and a member of its room.
pub(super) struct Scene {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) credentials: Arc<Credentials>,
    pub(super) token: Token,
    pub(super) listener: TcpListener,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn scene(size: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drop.bin");
    let bytes: Vec<u8> = (0..size).map(|at| (at / 251).to_le_bytes()[0] ^ at.to_le_bytes()[0]).collect();
    std::fs::write(&path, &bytes).unwrap();
    scene_in(folder)
}

/// A sender of the file `drop.bin` in this folder.
pub(super) fn scene_in(folder: tempfile::TempDir) -> Scene {
    let path = folder.path().join("drop.bin");
    let bytes = std::fs::read(&path).unwrap();
    let source = Source::File(SourceFile::open(&path).unwrap());
    scene_of(folder, source, "drop.bin", bytes)
}

/// A sender of a folder with a large file and many small ones.
pub(super) fn folder_scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drop.bin");
    std::fs::create_dir_all(path.join("sub")).unwrap();
    let bytes: Vec<u8> = (0..6 << 20).map(|at: usize| (at / 251).to_le_bytes()[0]).collect();
    std::fs::write(path.join("large"), &bytes).unwrap();
    for n in 0..3_000_usize {
        std::fs::write(path.join(format!("sub/{n}")), &bytes[n..2 * n]).unwrap();
    }
    let options = BundleOptions::default();
    let (source, name) = BundleSource::walk(std::slice::from_ref(&path), options).unwrap();
    scene_of(folder, Source::Bundle(Box::new(source)), name.as_str(), bytes)
}

fn scene_of(folder: tempfile::TempDir, source: Source, name: &str, bytes: Vec<u8>) -> Scene {
    let room = RoomSecret::new([1; 32]);
    let (server, credentials) = (Server::new(&room), Arc::new(Credentials::new(&room)));
    let spec = DropSpec {
        kind: source.kind(),
        name: deaddrop_core::offer::Name::new(name).unwrap(),
        size: source.size(),
        ttl: Duration::from_secs(60),
        fetches: Fetches::Counted(1),
    };
    let token = server.put(spec, source).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Scene { folder, server, credentials, token, listener, bytes }
}

impl Scene {
    /// Serves every connection that comes, for ever.
    pub(super) async fn serve(&self) {
        let listener = Async::new(self.listener.try_clone().unwrap()).unwrap();
        let connections = Executor::new();
        let accepting = async {
            loop {
                let (stream, from) = listener.accept().await.unwrap();
                let link = Link::accepted(stream.into_inner().unwrap()).unwrap();
                let (session, _) = self.server.open(from.ip().into(), link.notify());
                connections.spawn(serve_connection(&self.server, session, link)).detach();
            }
        };
        connections.run(accepting).await;
    }

    /// Runs `fetching` beside the sender.
    pub(super) fn run<T>(&self, fetching: impl Future<Output = T>) -> T {
        smol::block_on(future::or(
            async {
                self.serve().await;
                future::pending().await
            },
            fetching,
        ))
    }

    /// A transfer by way of `address` that tries once.
    pub(super) fn transfer(&self, address: SocketAddr) -> Transfer {
        let (id, wanted) = (FetchId::random(&mut system()), Wanted::Token(self.token.into()));
        let now = clock::now();
        Transfer::new(vec![address.into()], None, wanted, id, now, &self.credentials, &Stopper::default())
    }

    /// A claimed transfer by way of `address`, and the file that it is to fill.
    pub(super) async fn claim_at(&self, address: SocketAddr) -> (Transfer, Target) {
        let mut transfer = self.transfer(address);
        transfer.claim().await.unwrap();
        let offer = transfer.offer().unwrap().clone();
        let out = Destination::path(self.folder.path().join("out")).unwrap();
        let incoming = Target::create(&out, &transfer.claimed(&offer)).unwrap();
        (transfer, incoming)
    }

    /// Files in the folder beside the source.
    pub(super) fn parts(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name() != "drop.bin").count()
    }

    /// The received file.
    pub(super) fn received(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("out")).unwrap()
    }
}
