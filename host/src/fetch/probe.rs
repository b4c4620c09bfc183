//! A probe of one sender: handshake, then its whole list.

use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::discovery::Probe;
use deaddrop_core::exchange::{List, ListEvent};
use deaddrop_core::limits::{CONNECT_TIMEOUT, HOST};
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;

use super::connection::ClientConnection;
use super::credentials::Credentials;
use super::error::ConnectionError;
use crate::clock;
use crate::transport::link::Route;

/// Lines of a list that are read: more than a browser remembers of all senders together.
const LINES: usize = 4_096;

/// What a sender has.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Its revision.
    pub(crate) revision: u32,
    /// The process that it is.
    pub(crate) instance: Option<Instance>,
    /// Its drops, and those that have ended lately.
    pub(crate) lines: Vec<ListEvent>,
}

/// Connects to a sender by one of these routes, asks for its whole list, and closes. Leaves out addresses for which our
/// own guess budget is spent (section 4.5). Says by which route the sender was reached.
pub(crate) async fn probe(
    routes: &[Route],
    credentials: &Arc<Credentials>,
) -> (Option<Route>, Result<Listing, ConnectionError>) {
    let connect_by = clock::now() + CONNECT_TIMEOUT;
    let mut reached = None;
    let listing = probe_within(HOST.probe, routes, connect_by, credentials, None, &mut reached).await;
    (reached, listing)
}

/// The same at a peer whose beacon was heard, within the deadline that core gives its connect.
pub(crate) async fn probe_peer(
    peer: &Probe,
    credentials: &Arc<Credentials>,
) -> Result<Listing, ConnectionError> {
    let routes = [Route::from(peer.peer)];
    probe_within(HOST.probe, &routes, peer.connect_by, credentials, Some(peer.instance), &mut None).await
}

async fn probe_within(
    span: Duration,
    routes: &[Route],
    mut connect_by: Instant,
    credentials: &Arc<Credentials>,
    expected: Option<Instance>,
    reached: &mut Option<Route>,
) -> Result<Listing, ConnectionError> {
    let may_try = |route: &Route| credentials.may_try(route.to.into());
    let mut routes: Vec<Route> = routes.iter().copied().filter(may_try).collect();
    if routes.is_empty() {
        return Err(ClientError::NoBudget.into());
    }
    let end = clock::now() + span;
    let mut listing = Listing::default();
    let mut list = List::new();
    loop {
        let mut connection =
            ClientConnection::open_by(&routes, connect_by, credentials, expected, None).await?;
        // A long list goes on where it began.
        *reached = Some(connection.route);
        routes = vec![connection.route];
        let read = read_list(&mut connection, &mut list, &mut listing, end).await;
        listing.instance = connection.instance;
        let how = if read.is_ok() { Close::Clean } else { Close::Reset };
        connection.close(how, false).await;
        if read? {
            return Ok(listing);
        }
        connect_by = end;
    }
}

/// Shakes hands and reads as many pages of the list as one connection allows; true at the end of the list.
async fn read_list(
    connection: &mut ClientConnection,
    list: &mut List,
    listing: &mut Listing,
    end: Instant,
) -> Result<bool, ConnectionError> {
    while clock::now() < end {
        let Some(event) = connection.turn(Some(end)).await? else { continue };
        let now = clock::now();
        if event == ClientEvent::Ready {
            list.start(now, &mut connection.session).map_err(ClientError::from)?;
            continue;
        }
        match list.handle_event(now, &mut connection.session, event)? {
            Some(ListEvent::End { revision }) => {
                listing.revision = revision;
                return Ok(true);
            }
            Some(ListEvent::More) => return Ok(false),
            Some(_) if listing.lines.len() == LINES => return Err(ClientError::Protocol.into()),
            Some(line) => listing.lines.push(line),
            None => {}
        }
    }
    Err(ClientError::Silent.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use deaddrop_core::crypto::keys::RoomSecret;
    use deaddrop_core::drops::{DropSpec, Fetches};
    use deaddrop_core::exchange::Server;
    use deaddrop_core::limits::RECORD_MAX;
    use deaddrop_core::offer::{Kind, Name};

    use super::*;
    use crate::random::system;

    /// A server with room for more drops than one connection shows.
    type LargeServer = Server<400, 1, 4, 8>;

    /// Serves one connection until either side closes it.
    fn serve(server: &mut LargeServer, stream: &mut TcpStream) {
        let from = stream.peer_addr().unwrap().ip();
        let mut session = server.open(clock::now(), from, &mut system());
        let mut buffer = vec![0; RECORD_MAX as usize];
        loop {
            while let Ok(Some(len)) = session.poll_transmit(clock::now(), server, &mut buffer) {
                stream.write_all(&buffer[..len]).unwrap();
            }
            let Some(len) = session.wants().filter(|_| session.closing().is_none()) else { break };
            if stream.read_exact(&mut buffer[..len]).is_err() {
                break;
            }
            session.handle_message(clock::now(), server, &mut system(), &mut buffer[..len]).unwrap();
        }
        session.closed(clock::now(), server);
    }

    #[test]
    fn a_list_longer_than_one_connection_is_read_over_several() {
        const DROPS: usize = 230;
        let room = RoomSecret::new([1; 32]);
        let credentials = Arc::new(Credentials::new(&room));
        let mut server = Box::new(LargeServer::new(clock::now(), room.prs(), &HOST, &mut system()));
        for _ in 0..DROPS {
            let ttl = Duration::from_secs(600);
            let spec = DropSpec {
                kind: Kind::File,
                name: Name::default(),
                size: 1,
                ttl,
                fetches: Fetches::Counted(1),
            };
            server.drops.put(clock::now(), spec, &mut system()).unwrap();
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            for _ in 0..3 {
                serve(&mut server, &mut listener.accept().unwrap().0);
            }
        });
        let listing = smol::block_on(probe(&[address.into()], &credentials)).1.unwrap();
        assert_eq!(listing.lines.len(), DROPS);
        serving.join().unwrap();
    }

    #[test]
    fn a_sender_that_takes_its_time_does_not_keep_a_probe() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Arc::new(Credentials::new(&RoomSecret::new([1; 32])));
        let begun = std::time::Instant::now();
        let connect_by = clock::now() + CONNECT_TIMEOUT;
        let (routes, span) = ([address.into()], Duration::from_millis(10));
        let probed = smol::block_on(probe_within(span, &routes, connect_by, &credentials, None, &mut None));
        assert!(matches!(probed, Err(ConnectionError::Session(ClientError::Silent))), "{probed:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "sooner than the session's own deadline");
    }
}
