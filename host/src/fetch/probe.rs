//! A probe of one sender: handshake, then its whole list.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::exchange::{List, ListEvent};
use deaddrop_core::limits::HOST;
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;

use super::connection::ClientConnection;
use super::credentials::Credentials;
use super::error::ConnectionError;
use crate::clock;
use crate::stop::Stopper;

/// What a sender has.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Its revision.
    pub(crate) revision: u32,
    /// Its drops, and those that have ended lately.
    pub(crate) lines: Vec<ListEvent>,
}

/// Connects to a sender, asks for its whole list, and closes. Does not connect when our own guess budget for the
/// address is spent (section 4.5).
pub(crate) async fn probe(
    sender: SocketAddr,
    credentials: &Arc<Credentials>,
    expected: Option<Instance>,
    stop: Option<&Stopper>,
) -> Result<Listing, ConnectionError> {
    probe_within(HOST.probe, sender, credentials, expected, stop).await
}

async fn probe_within(
    span: Duration,
    sender: SocketAddr,
    credentials: &Arc<Credentials>,
    expected: Option<Instance>,
    stop: Option<&Stopper>,
) -> Result<Listing, ConnectionError> {
    if !credentials.may_try(sender.ip()) {
        return Err(ClientError::NoBudget.into());
    }
    let end = clock::now() + span;
    let mut connection = ClientConnection::open(sender, credentials, expected, stop).await?;
    let listed = list(&mut connection, end).await;
    let how = if listed.is_ok() { Close::Clean } else { Close::Reset };
    connection.close(how, false).await;
    listed
}

/// Shakes hands and reads all pages of the list.
async fn list(connection: &mut ClientConnection, end: Instant) -> Result<Listing, ConnectionError> {
    let mut listing = Listing::default();
    let mut list = List::new();
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
                return Ok(listing);
            }
            Some(line) => listing.lines.push(line),
            None => {}
        }
    }
    Err(ClientError::Silent.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use deaddrop_core::crypto::keys::RoomSecret;

    use super::*;

    #[test]
    fn a_sender_that_takes_its_time_does_not_keep_a_probe() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Arc::new(Credentials::new(&RoomSecret::new([1; 32])));
        let begun = std::time::Instant::now();
        let probed =
            smol::block_on(probe_within(Duration::from_millis(10), address, &credentials, None, None));
        assert!(matches!(probed, Err(ConnectionError::Session(ClientError::Silent))), "{probed:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "sooner than the session's own deadline");
    }
}
