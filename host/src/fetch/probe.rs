//! A probe of one sender: handshake, then its whole list.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::limits::REQUESTS_MAX;
use deaddrop_core::offer::Offer;
use deaddrop_core::session::{ClientError, ClientEvent};
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Ending, ErrorCode};

use super::connection::ClientConnection;
use super::credentials::Credentials;
use super::error::ConnectionError;
use crate::clock;
use crate::stop::Stopper;

/// How long a probe may take in all: long enough to wait for a guess token. Few probes run at a time, and a sender that
/// says a word every few seconds must not occupy one for half an hour.
const PROBE_WITHIN: Duration = Duration::from_secs(30);

/// What a sender has.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Its revision.
    pub(crate) revision: u32,
    /// Its drops.
    pub(crate) offers: Vec<Offer>,
    /// Drops that have ended lately.
    pub(crate) endings: Vec<Ending>,
}

/// Connects to a sender, asks for its whole list, and closes. Does not connect when our own guess budget for the
/// address is spent (section 4.5).
pub(crate) async fn probe(
    sender: SocketAddr,
    credentials: &Arc<Credentials>,
    expected: Option<Instance>,
    stop: Option<&Stopper>,
) -> Result<Listing, ConnectionError> {
    probe_within(PROBE_WITHIN, sender, credentials, expected, stop).await
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
    let connection = ClientConnection::open(sender, credentials, expected, stop).await?;
    let mut connection = connection.end_by(clock::now() + span).shake_hands().await?;
    let listing = list(&mut connection).await?;
    connection.close();
    Ok(listing)
}

/// Asks for all pages of the list.
pub(crate) async fn list(connection: &mut ClientConnection) -> Result<Listing, ConnectionError> {
    let mut listing = Listing::default();
    let mut after: Option<Token> = None;
    for page in 0..REQUESTS_MAX {
        connection.session.list(clock::now(), after).map_err(|_| ClientError::Protocol)?;
        loop {
            match connection.next().await? {
                ClientEvent::Offer(offer) => {
                    after = after.max(Some(offer.token));
                    listing.offers.push(offer);
                }
                ClientEvent::Ending(ending) => {
                    after = after.max(Some(ending.token));
                    listing.endings.push(ending);
                }
                ClientEvent::ListEnd { revision, more } => {
                    // The revision of the first page: a change since then shows at the next probe.
                    if page == 0 {
                        listing.revision = revision;
                    }
                    // One request is left for what the caller does with the list.
                    if more && page + 2 < REQUESTS_MAX {
                        break;
                    }
                    return Ok(listing);
                }
                ClientEvent::Refused(ErrorCode::Busy { .. }) => return Err(ClientError::Busy.into()),
                ClientEvent::Filler => {}
                _ => return Err(ClientError::Protocol.into()),
            }
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Instant;

    use deaddrop_core::crypto::keys::RoomSecret;

    use super::*;

    #[test]
    fn a_sender_that_takes_its_time_does_not_keep_a_probe() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Arc::new(Credentials::new(&RoomSecret::new([1; 32])));
        let begun = Instant::now();
        let probed =
            smol::block_on(probe_within(Duration::from_millis(10), address, &credentials, None, None));
        assert!(matches!(probed, Err(ConnectionError::Session(ClientError::Silent))), "{probed:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "sooner than the session's own deadline");
    }
}
