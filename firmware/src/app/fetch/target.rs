//! The sender of the drop to fetch, and what is known of the drop.

use core::net::{IpAddr, SocketAddr};

use deaddrop_core::discovery::{Find, Known};
use deaddrop_core::exchange::Wanted;
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::token::{Instance, TokenPrefix};

use crate::app::state::AppState;
use crate::mailbox::{CommandError, FetchRequest};
use crate::store::State;

/// A sender.
pub(super) struct Target {
    pub(super) sender: SocketAddr,
    /// The instance that must answer, if it is known.
    pub(super) expected: Option<Instance>,
}

impl Target {
    /// Looks the requested drop up in the table of offers, unless the request names the sender.
    #[inline(never)]
    pub(super) fn find(app: &AppState, request: &FetchRequest) -> Result<(Self, Wanted), CommandError> {
        let tables = app.tables.borrow();
        let Some((address, port)) = request.from else {
            if is_own(app, &request.token) {
                return Err(CommandError::Own);
            }
            return match tables.browser.find(&request.token) {
                Find::Found(Known { offer, from, instance, .. }) => {
                    let target = Self { sender: *from, expected: Some(*instance) };
                    Ok((target, Wanted::Offered(offer.clone())))
                }
                Find::None => Err(CommandError::Unknown),
                Find::Ambiguous => Err(CommandError::Ambiguous),
            };
        };
        let address = IpAddr::V4(address);
        let offered = || {
            let mut there = tables.browser.offers().filter(|known| known.from.ip() == address);
            there.find(|known| request.token.matches(&known.offer.token)).map(|known| known.from.port())
        };
        let heard = || tables.browser.ports_of(address).next();
        let port = port.or_else(offered).or_else(heard).unwrap_or(TCP_PORT_FIRST);
        let target = Self { sender: SocketAddr::new(address, port), expected: None };
        Ok((target, Wanted::Token(request.token)))
    }

    /// Switches to another address of the same instance, if one is known: the sender may have moved since it made the
    /// offer.
    pub(super) fn use_other_address(&mut self, app: &AppState) {
        let tables = app.tables.borrow();
        let elsewhere = self.expected.and_then(|instance| tables.browser.elsewhere(instance, self.sender));
        self.sender = elsewhere.unwrap_or(self.sender);
    }
}

/// Whether this board itself offers such a drop.
fn is_own(app: &AppState, token: &TokenPrefix) -> bool {
    let store = app.store.borrow();
    store.iter().any(|held| matches!(held.state, State::Offered(own) if token.matches(&own)))
}
