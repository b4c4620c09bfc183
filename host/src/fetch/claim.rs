//! From a connection to a claimed drop, or to the reason why not.

use std::sync::Arc;

use deaddrop_core::limits::RECORD_MAX;
use deaddrop_core::offer::{EndReason, Offer};
use deaddrop_core::session::{ClientEvent, FetchPlan};
use deaddrop_core::token::{FetchId, Instance, TokenPrefix};

use super::connection::ClientConnection;
use super::credentials::Credentials;
use super::error::FetchError;
use super::probe::{Listing, list};
use crate::clock;
use crate::stop::Stopper;

/// Which drop is wanted from a sender.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// The one that was offered with exactly these fields.
    Offered(Box<Offer>),
    /// The one whose token begins with these characters, or is exactly this.
    Token(TokenPrefix),
}

/// A connection on which a drop is claimed, and what was claimed.
pub(crate) struct ClaimedConnection {
    pub(crate) connection: ClientConnection,
    pub(crate) id: FetchId,
    pub(crate) offer: Offer,
}

/// Shakes hands, finds the drop, and claims it under `id`.
pub(crate) async fn claim(
    connection: ClientConnection,
    wanted: &Wanted,
    id: FetchId,
) -> Result<ClaimedConnection, FetchError> {
    let mut connection = connection.shake_hands().await?;
    let offer = match wanted {
        Wanted::Offered(offer) => Offer::clone(offer),
        Wanted::Token(prefix) => pick(list(&mut connection).await?, prefix)?,
    };
    let plan = FetchPlan { token: offer.token, id, record_max: RECORD_MAX, offset: 0, digest: None };
    connection.session.fetch(clock::now(), &plan).map_err(|error| FetchError::Protocol(error.to_string()))?;
    loop {
        let event = match connection.next().await {
            Ok(event) => event,
            Err(error) => {
                // The claim may have been granted already.
                connection.release().await;
                return Err(error.into());
            }
        };
        match event {
            ClientEvent::Begin(begin) => {
                if (offer.kind, &offer.name, offer.size) != (begin.kind, &begin.name, begin.size) {
                    // The drop that would be sent is not the one that was chosen.
                    connection.release().await;
                    return Err(FetchError::Changed);
                }
                return Ok(ClaimedConnection { connection, id, offer });
            }
            ClientEvent::Refused(code) => return Err(code.into()),
            ClientEvent::Filler => {}
            _ => return Err(FetchError::wrong_answer()),
        }
    }
}

/// Connects to a sender and [claims](claim).
pub(crate) async fn claim_at(
    sender: std::net::SocketAddr,
    credentials: &Arc<Credentials>,
    expected: Option<Instance>,
    wanted: &Wanted,
    id: FetchId,
    stop: &Stopper,
) -> Result<ClaimedConnection, FetchError> {
    let connection = ClientConnection::open(sender, credentials, expected, Some(stop)).await?;
    claim(connection, wanted, id).await
}

/// The one drop of a sender's list whose token begins with these characters.
fn pick(listing: Listing, prefix: &TokenPrefix) -> Result<Offer, FetchError> {
    let mut offers = listing.offers.into_iter().filter(|offer| prefix.matches(&offer.token));
    match (offers.next(), offers.next()) {
        (Some(offer), None) => Ok(offer),
        (Some(_), Some(_)) => Err(FetchError::Ambiguous),
        (None, _) => {
            let ending = listing.endings.iter().find(|ending| prefix.matches(&ending.token));
            Err(match ending.map(|ending| ending.reason) {
                Some(EndReason::Expired) => FetchError::Expired,
                Some(_) => FetchError::Gone,
                None => FetchError::Unknown,
            })
        }
    }
}
