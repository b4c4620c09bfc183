//! Accepts connections and serves them.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use deaddrop_core::guard::Source;
use deaddrop_core::time::Instant;
use log::debug;
use smol::future;

use super::connection::serve_connection;
use super::connections::Connections;
use super::server::Server;
use crate::address::{Address, Endpoint};
use crate::clock;
use crate::lock::lock;
use crate::transport::link::Link;
use crate::transport::socket::{Socket, sleep_until};

/// How long to accept nothing when the system has no more descriptors to give.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections accepted in a row before those that stand have their turn.
const ACCEPTED_PER_TURN: usize = 16;

/// The addresses of ours to take connections at; `None` for all.
pub(crate) type Only = Arc<Mutex<Option<Vec<Address>>>>;

/// Accepts connections until it is dropped, and with it every connection. `source` says what the guard counts a connection
/// from that address with.
pub(crate) async fn accept(
    listeners: Vec<TcpListener>,
    server: Arc<Server>,
    only: Only,
    mut source: impl FnMut(SocketAddr) -> Source,
) -> io::Result<()> {
    let listeners = listeners.into_iter().map(Socket::new).collect::<io::Result<Vec<_>>>()?;
    let mut connections = Connections::default();
    let mut next = Next::AtOnce;
    loop {
        if !matches!(next, Next::At(moment) if clock::now() < moment) {
            let accepted = listeners.iter().map(|listener| {
                accept_waiting(listener.get_ref(), &server, &only, &mut source, &mut connections)
            });
            next = accepted.fold(Next::OnceReady, Next::sooner);
        }
        connections.poll_woken();
        let acceptable = async {
            match next {
                Next::AtOnce => {}
                Next::OnceReady => return any_ready(&listeners).await,
                Next::At(moment) => sleep_until(moment).await,
            }
            Ok(())
        };
        let woken = async {
            connections.any_woken().await;
            Ok(())
        };
        future::or(acceptable, woken).await?;
        // A connection that streams is always woken: the sender's beacons have their turn here.
        future::yield_now().await;
    }
}

/// When to accept again.
enum Next {
    /// After the turn of the connections that stand.
    AtOnce,
    /// When the listener is ready.
    OnceReady,
    At(Instant),
}

impl Next {
    /// The one of two that is due first.
    fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::AtOnce, _) | (_, Self::AtOnce) => Self::AtOnce,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
            (Self::At(moment), Self::OnceReady) | (Self::OnceReady, Self::At(moment)) => Self::At(moment),
            (Self::OnceReady, Self::OnceReady) => Self::OnceReady,
        }
    }
}

/// Waits until a connection may wait on one of the listeners.
async fn any_ready(listeners: &[Socket<TcpListener>]) -> io::Result<()> {
    let mut waits: Vec<Pin<Box<_>>> =
        listeners.iter().map(|listener| Box::pin(listener.ready(true, false))).collect();
    poll_fn(|context| {
        let ready = waits.iter_mut().map(|wait| wait.as_mut().poll(context)).find(Poll::is_ready);
        ready.unwrap_or(Poll::Pending)
    })
    .await
}

/// Accepts some of the connections that wait. Each evicts at most one, which is closed before the next is accepted,
/// so that connections without a place hold no descriptors.
fn accept_waiting(
    listener: &TcpListener,
    server: &Arc<Server>,
    only: &Only,
    source: &mut impl FnMut(SocketAddr) -> Source,
    connections: &mut Connections,
) -> Next {
    for _ in 0..ACCEPTED_PER_TURN {
        match listener.accept() {
            Ok((stream, from)) => {
                if !is_allowed(&stream, only) {
                    debug!(
                        "serve: {} is not served: it came in by an interface that is not chosen",
                        Endpoint(from)
                    );
                    continue;
                }
                // A connection that broke before it was set up needs no serving.
                let link = match Link::accepted(stream) {
                    Ok(link) => link,
                    Err(error) => {
                        debug!("serve: {} is not served: {error}", Endpoint(from));
                        continue;
                    }
                };
                debug!("serve: {} is accepted", Endpoint(from));
                let (session, woken) = server.open(source(from), link.notify());
                woken.into_iter().for_each(|conn| connections.poll(conn));
                let (conn, server) = (session.conn(), server.clone());
                connections.start(conn, async move { serve_connection(&server, session, link).await });
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Next::OnceReady,
                ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                // Out of descriptors, most likely: some come back when connections end.
                _ => {
                    debug!("serve: nothing is accepted for {} ms: {error}", PAUSE.as_millis());
                    return Next::At(clock::now() + PAUSE);
                }
            },
        }
    }
    Next::AtOnce
}

/// Whether the connection came in at an address that connections are taken at.
fn is_allowed(stream: &TcpStream, only: &Only) -> bool {
    let only = lock(only);
    let by = stream.local_addr().map(Address::from);
    // The list has the loopback address that beacons come from, and the machine others.
    let same = |one: &Address, other: &Address| one == other || (one.is_loopback() && other.is_loopback());
    only.as_ref().is_none_or(|only| by.is_ok_and(|by| only.iter().any(|one| same(one, &by))))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::Ipv4Addr;

    use deaddrop_core::crypto::keys::RoomSecret;
    use deaddrop_core::limits::HOST;
    use smol::future::poll_once;

    use super::*;
    use crate::serve::listen::listen_on;
    use crate::transport::poll;

    /// Rounds of [`ACCEPTED_PER_TURN`] connections: many more than there are places.
    const ROUNDS: usize = 40;

    /// Accepts connections that say nothing, more than there are places.
    async fn accept_the_silent() {
        let server = Arc::new(Server::new(&RoomSecret::new([1; 32])));
        let (listeners, port) = listen_on(Some(0)).unwrap();
        let (only, mut connections) = (Only::default(), Connections::default());
        let mut changed = server.changed.listen();
        let mut clients = Vec::new();
        for _ in 0..ROUNDS {
            clients.extend(
                (0..ACCEPTED_PER_TURN).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()),
            );
            accept_waiting(
                &listeners[0],
                &server,
                &only,
                &mut |from: SocketAddr| from.ip().into(),
                &mut connections,
            );
            assert!(connections.len() <= HOST.unauthenticated, "{} hold a descriptor", connections.len());
        }
        assert_eq!(connections.len(), HOST.unauthenticated);
        assert!(poll_once(&mut changed).await.is_none(), "an eviction concerns one connection alone");
        // All were greeted, and the oldest are reset by now.
        let evicted = clients.len() - HOST.unauthenticated;
        for (at, mut client) in clients.into_iter().enumerate() {
            client.set_nonblocking(true).unwrap();
            let ended = loop {
                match client.read(&mut [0; 64]) {
                    Ok(1..) => {}
                    Ok(0) => panic!("closed clean"),
                    Err(error) => break error.kind(),
                }
            };
            let expected = if at < evicted { ErrorKind::ConnectionReset } else { ErrorKind::WouldBlock };
            assert_eq!(ended, expected, "connection {at}");
        }
    }

    #[test]
    fn a_connection_whose_place_went_to_another_is_closed_before_the_next_is_accepted() {
        smol::block_on(accept_the_silent());
        poll::block_on(accept_the_silent()).unwrap();
    }
}
