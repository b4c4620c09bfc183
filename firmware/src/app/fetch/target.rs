//! Where a drop is to be fetched from, and what it is, as far as that is known.

use core::net::{IpAddr, SocketAddr};

use deaddrop_core::discovery::{Find, Known, Peer};
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::offer::Offer;
use deaddrop_core::token::{Instance, Token, TokenPrefix};

use super::Wanted;
use crate::app::member::Member;
use crate::desk::Failure;
use crate::store::State;

/// A sender, and the offer that it made.
pub(super) struct Target {
    pub(super) sender: SocketAddr,
    /// Whose greeting to expect.
    pub(super) expected: Option<Instance>,
    /// None while it has to be asked.
    pub(super) offer: Option<Offer>,
}

impl Target {
    /// The one that is wanted.
    #[inline(never)]
    pub(super) fn find(member: &Member, wanted: &Wanted) -> Result<Self, Failure> {
        let state = member.state.borrow();
        let Some((address, port)) = wanted.from else {
            if is_own(member, &wanted.token) {
                return Err(Failure::Own);
            }
            return match state.offers.find(&wanted.token) {
                Find::Found(Known { offer, from, instance, .. }) => {
                    Ok(Self { sender: *from, expected: Some(*instance), offer: Some(offer.clone()) })
                }
                Find::None => Err(Failure::Unknown),
                Find::Ambiguous => Err(Failure::Ambiguous),
            };
        };
        let address = IpAddr::V4(address);
        let offered = || {
            let mut there = state.offers.iter().filter(|known| known.from.ip() == address);
            there.find(|known| wanted.token.matches(&known.offer.token)).map(|known| known.from.port())
        };
        let heard = || state.listener.ports_of(address).next();
        let port = port.or_else(offered).or_else(heard).unwrap_or(TCP_PORT_FIRST);
        Ok(Self { sender: SocketAddr::new(address, port), expected: None, offer: None })
    }

    /// Tries the same sender where else it was listed: it may have another address by now, and the offer is known by
    /// the first.
    pub(super) fn go_elsewhere(&mut self, member: &Member) {
        let state = member.state.borrow();
        let elsewhere = state.listener.peers().find(|peer| {
            peer.is_member() && Some(peer.instance()) == self.expected && peer.address() != self.sender
        });
        self.sender = elsewhere.map_or(self.sender, Peer::address);
    }

    /// The whole token, if it is known.
    pub(super) fn token(&self) -> Option<Token> {
        self.offer.as_ref().map(|offer| offer.token)
    }
}

/// Whether this board offers such a drop itself.
fn is_own(member: &Member, token: &TokenPrefix) -> bool {
    let store = member.store.borrow();
    store.iter().any(|held| matches!(held.state, State::Offered(own) if token.matches(&own)))
}
