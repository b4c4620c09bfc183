//! Offers that were found, and where they stand.

use std::net::SocketAddr;

use deaddrop_core::discovery::Known;
use deaddrop_core::offer::Offer;
use deaddrop_core::token::Instance;

use super::place::Place;
use crate::address::Address;

/// An offer, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundOffer {
    /// The drop as its sender lists it. The name is the sender's words: no part of a path, and not fit for a terminal as
    /// it stands.
    pub offer: Offer,
    /// Where its sender serves it, at the best address if it has answered at several: IPv4 before IPv6, link-local IPv6
    /// last.
    pub from: SocketAddr,
    /// Other addresses at which its sender has answered, the best first.
    pub(super) also_from: Vec<SocketAddr>,
    /// The process that its sender is, if it has answered.
    pub(super) instance: Option<Instance>,
}

impl FoundOffer {
    /// An offer at an address, for instance one that was stored.
    pub fn new(offer: Offer, from: SocketAddr) -> Self {
        Self { offer, from, also_from: Vec::new(), instance: None }
    }

    /// Adds it to what was found. What the same process offers at another address is the same drop, as in discovery: it is
    /// one offer, at the best of them.
    pub(super) fn join(self, found: &mut Vec<Self>) {
        let Some(known) = found.iter_mut().find(|known| known.is_of_same_drop(&self)) else {
            return found.push(self);
        };
        let mut addresses: Vec<SocketAddr> =
            [known.from].into_iter().chain(known.also_from.drain(..)).chain([self.from]).collect();
        addresses.sort_by_key(|address| (Address::from(*address).rank(), *address));
        addresses.dedup();
        known.from = addresses.remove(0);
        known.also_from = addresses;
    }

    /// Whether both are one drop of one process. One that was not asked may be any.
    fn is_of_same_drop(&self, other: &Self) -> bool {
        let of = |found: &Self| (found.offer.token, found.offer.kind, found.offer.size, found.instance);
        self.instance.is_some() && of(self) == of(other) && self.offer.name == other.offer.name
    }

    /// The place of its sender.
    pub fn place(&self) -> Place {
        let addresses = [self.from].into_iter().chain(self.also_from.iter().copied()).map(Address::from);
        // A process serves on one port, whatever the address.
        Place::new(addresses, Some(self.from.port()))
    }
}

impl From<(&Known, Vec<SocketAddr>)> for FoundOffer {
    fn from((known, addresses): (&Known, Vec<SocketAddr>)) -> Self {
        let from = addresses.first().copied().unwrap_or(known.from);
        let also_from = addresses.into_iter().filter(|other| *other != from).collect();
        Self { offer: known.offer.clone(), from, also_from, instance: Some(known.instance) }
    }
}

/// By token and address: a sender that copies the token of another's drop does not stand in its place, as both are
/// returned.
pub(super) fn sorted(mut found: Vec<FoundOffer>) -> Vec<FoundOffer> {
    found.sort_by_key(|found| (found.offer.token, found.from));
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deaddrop_core::token::Token;

    use super::*;

    #[test]
    fn one_drop_at_several_addresses_is_one_offer_at_the_best_of_them() {
        let offer = |token| Offer {
            token: Token::from_bytes([token; 16]),
            kind: deaddrop_core::offer::Kind::Message,
            name: deaddrop_core::offer::Name::default(),
            size: 5,
            ttl_left: Duration::from_secs(9),
            fetches_left: 1,
        };
        let mut found = Vec::new();
        let mut hear = |token, from: &str, instance: Option<u8>| {
            let instance = instance.map(|instance| Instance::from_bytes([instance; 8]));
            FoundOffer { instance, ..FoundOffer::new(offer(token), from.parse().unwrap()) }.join(&mut found);
            let shown = |found: &FoundOffer| (found.from.to_string(), found.also_from.len());
            found.iter().map(shown).collect::<Vec<_>>()
        };
        hear(1, "[2001:db8::1]:48556", Some(1));
        let twice = hear(1, "[2001:db8::1]:48556", Some(1));
        assert_eq!(twice, [("[2001:db8::1]:48556".into(), 0)]);
        let best = hear(1, "10.0.0.1:48556", Some(1));
        assert_eq!(best, [("10.0.0.1:48556".into(), 1)]);
        assert_eq!(hear(1, "10.0.0.2:48556", Some(2)).len(), 2, "a copied token hides nobody");
        assert_eq!(hear(2, "10.0.0.1:48556", Some(1)).len(), 3, "another drop");
        hear(1, "10.0.0.3:48556", None);
        assert_eq!(hear(1, "10.0.0.3:48556", None).len(), 5, "nobody knows whose");
    }
}
