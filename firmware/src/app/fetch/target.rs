//! The sender and the offer of the drop to fetch, as far as they are known.

use core::net::{IpAddr, SocketAddr};

use deaddrop_core::discovery::{Find, Known, Peer};
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::offer::Offer;
use deaddrop_core::token::{Instance, Token, TokenPrefix};

use crate::app::state::AppState;
use crate::mailbox::{CommandError, FetchRequest};
use crate::store::State;

/// A sender and its offer.
pub(super) struct Target {
    pub(super) sender: SocketAddr,
    /// The instance that must answer, if it is known.
    pub(super) expected: Option<Instance>,
    /// `None` until the sender's list was read.
    pub(super) offer: Option<Offer>,
}

impl Target {
    /// Looks the requested drop up in the table of offers, unless the request names the sender.
    #[inline(never)]
    pub(super) fn find(app: &AppState, request: &FetchRequest) -> Result<Self, CommandError> {
        let tables = app.tables.borrow();
        let Some((address, port)) = request.from else {
            if is_own(app, &request.token) {
                return Err(CommandError::Own);
            }
            return match tables.offers.find(&request.token) {
                Find::Found(Known { offer, from, instance, .. }) => {
                    Ok(Self { sender: *from, expected: Some(*instance), offer: Some(offer.clone()) })
                }
                Find::None => Err(CommandError::Unknown),
                Find::Ambiguous => Err(CommandError::Ambiguous),
            };
        };
        let address = IpAddr::V4(address);
        let offered = || {
            let mut there = tables.offers.iter().filter(|known| known.from.ip() == address);
            there.find(|known| request.token.matches(&known.offer.token)).map(|known| known.from.port())
        };
        let heard = || tables.prober.ports_of(address).next();
        let port = port.or_else(offered).or_else(heard).unwrap_or(TCP_PORT_FIRST);
        Ok(Self { sender: SocketAddr::new(address, port), expected: None, offer: None })
    }

    /// Switches to another address of the same instance, if one is known: the sender may have moved since it made the
    /// offer.
    pub(super) fn use_other_address(&mut self, app: &AppState) {
        let tables = app.tables.borrow();
        let elsewhere = tables.prober.peers().find(|peer| {
            peer.is_member() && Some(peer.instance()) == self.expected && peer.address() != self.sender
        });
        self.sender = elsewhere.map_or(self.sender, Peer::address);
    }

    /// The complete token, if it is known.
    pub(super) fn token(&self) -> Option<Token> {
        self.offer.as_ref().map(|offer| offer.token)
    }
}

/// Whether this board itself offers such a drop.
fn is_own(app: &AppState, token: &TokenPrefix) -> bool {
    let store = app.store.borrow();
    store.iter().any(|held| matches!(held.state, State::Offered(own) if token.matches(&own)))
}
