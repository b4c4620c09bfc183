//! One server to ask: the ways to one port of one machine.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use deaddrop_core::token::FetchId;

use super::place::Place;
use super::rounds::Refusals;
use crate::address::Address;
use crate::fetch::error::FetchError;
use crate::lan::interfaces::{Interface, InterfaceError, interfaces};
use crate::lan::unused::not_usable;
use crate::network::Network;
use crate::random::system;
use crate::serve::listen::ports;
use crate::transport::link::Route;

/// A server to ask. Its routes lead to one machine, so that they are tried one after the other and never claim twice at
/// once.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) routes: Vec<Route>,
    /// The same in every round: a sender whose answer was lost recognises the claim as its own.
    pub(super) id: FetchId,
}

impl Target {
    /// The targets of these places, through the interfaces of the network; each place has a fetch id of its own unless
    /// one is given. A way that two places share is of the first. Fails only if no place has one.
    pub(super) fn all(
        places: &[Place],
        id: Option<FetchId>,
        network: &Network,
    ) -> Result<Vec<Self>, InterfaceError> {
        let mut targets: Vec<Self> = Vec::new();
        let mut unusable = None;
        for place in places {
            let id = id.unwrap_or_else(|| FetchId::random(&mut system()));
            for port in ports(place.port()) {
                let to = place.addresses().iter().map(|address| address.at(port));
                match routes(network, to) {
                    Ok(mut routes) => {
                        routes.retain(|route| !targets.iter().any(|known| known.routes.contains(route)));
                        if !routes.is_empty() {
                            targets.push(Self { routes, id });
                        }
                    }
                    Err(error @ (InterfaceError::NoZone { .. } | InterfaceError::NotBehind { .. })) => {
                        unusable.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        match unusable {
            Some(error) if targets.is_empty() => Err(error),
            _ => Ok(targets),
        }
    }

    /// The routes to the first of these places, at `port` unless it has one.
    pub(super) fn first(
        places: &[Place],
        port: u16,
        network: &Network,
    ) -> Result<Vec<Route>, InterfaceError> {
        let Some(place) = places.first() else { return Ok(Vec::new()) };
        let port = place.port().unwrap_or(port);
        routes(network, place.addresses().iter().map(|address| address.at(port)))
    }

    /// The target at these addresses of one process.
    pub(super) fn one(
        to: impl IntoIterator<Item = SocketAddr>,
        network: &Network,
    ) -> Result<Self, InterfaceError> {
        Ok(Self { routes: routes(network, to)?, id: FetchId::random(&mut system()) })
    }

    /// Asks by the first route that opens, then by the others, until an answer counts for the whole machine.
    pub(super) async fn ask<T, F>(
        mut self,
        ask: impl Fn(Vec<Route>) -> F,
    ) -> Result<(SocketAddr, T), Refusals>
    where
        F: Future<Output = (Option<SocketAddr>, Result<T, FetchError>)>,
    {
        let mut refusals = Refusals::new();
        while let Some(first) = self.routes.first() {
            let first = first.to;
            let (reached, answer) = ask(self.routes.clone()).await;
            let server = reached.unwrap_or(first);
            let refusal = match answer {
                Ok(wanted) => return Ok((server, wanted)),
                Err(refusal) => refusal,
            };
            // Behind another address of the same name may be another program, or another machine.
            let elsewhere = matches!(
                refusal,
                FetchError::NotMember
                    | FetchError::Unknown
                    | FetchError::Unreachable(_)
                    | FetchError::Protocol(_)
                    | FetchError::NoBudget
            );
            refusals.push((server, refusal));
            if !elsewhere || reached.is_none() {
                break;
            }
            self.routes.retain(|route| route.to != server);
        }
        Err(refusals)
    }
}

/// The routes to these addresses, through the interfaces that were chosen if there are any.
pub(crate) fn routes(
    network: &Network,
    to: impl IntoIterator<Item = SocketAddr>,
) -> Result<Vec<Route>, InterfaceError> {
    let to: Vec<SocketAddr> = to.into_iter().collect();
    let chosen = Chosen::of(network)?;
    let routes: Vec<Route> = to.iter().flat_map(|to| chosen.routes(*to)).collect();
    match to.first() {
        Some(first) if routes.is_empty() => {
            let address = Address::from(*first);
            Err(if chosen.interfaces.is_none() {
                InterfaceError::NoZone { address }
            } else {
                InterfaceError::NotBehind { address, interfaces: network.interfaces.clone() }
            })
        }
        _ => Ok(routes),
    }
}

/// The interfaces that connections may take.
struct Chosen {
    /// Those that were named; `None` for all.
    interfaces: Option<Vec<Interface>>,
    /// All that this machine has.
    all: Vec<Interface>,
}

impl Chosen {
    fn of(network: &Network) -> Result<Self, InterfaceError> {
        if network.interfaces.is_empty() {
            return Ok(Self { interfaces: None, all: Vec::new() });
        }
        let all = interfaces().map_err(InterfaceError::Unreadable)?;
        let mut chosen = Vec::new();
        for name in &network.interfaces {
            let before = chosen.len();
            chosen.extend(all.iter().filter(|interface| interface.is_meant_by(name)).cloned());
            if chosen.len() == before {
                return Err(not_usable(name));
            }
        }
        Ok(Self { interfaces: Some(chosen), all })
    }

    /// The routes to one address; none if it is behind no interface that was chosen, or its own interface is not known.
    fn routes(&self, to: SocketAddr) -> Vec<Route> {
        let address = Address::from(to);
        let Some(chosen) = &self.interfaces else {
            let whole = !address.is_link_local() || address.zone().is_some();
            return Vec::from_iter(whole.then(|| to.into()));
        };
        let mut indexes: Vec<u32> = chosen.iter().map(|interface| interface.index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        if address.is_link_local() {
            let zones = match address.zone() {
                Some(zone) => Vec::from_iter(indexes.contains(&zone.get()).then_some(zone.get())),
                None => indexes,
            };
            return zones.into_iter().map(|zone| address.behind(zone).at(to.port()).into()).collect();
        }
        // The way to an address of this machine is loopback, whatever interface it is of.
        if address.is_loopback() || self.all.iter().any(|interface| interface.has(address.ip())) {
            let here = chosen.iter().any(|interface| interface.has(address.ip()));
            return Vec::from_iter(here.then(|| to.into()));
        }
        indexes.into_iter().map(|index| Route { to, via: NonZeroU32::new(index) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        Place::new([address.parse::<Address>().unwrap()], Some(1))
    }

    fn all(places: &[&str]) -> Result<Vec<String>, InterfaceError> {
        let places: Vec<Place> = places.iter().copied().map(place).collect();
        let targets = Target::all(&places, None, &Network::default())?;
        Ok(targets.iter().flat_map(|target| &target.routes).map(|route| route.to.to_string()).collect())
    }

    #[test]
    fn a_place_that_cannot_be_asked_does_not_keep_the_others() {
        assert_eq!(all(&["fe80::1", "10.0.0.7"]).unwrap(), ["10.0.0.7:1"]);
        assert_eq!(all(&["10.0.0.7", "fe80::1"]).unwrap(), ["10.0.0.7:1"]);
        assert!(matches!(all(&["fe80::1", "fe80::2"]), Err(InterfaceError::NoZone { .. })));
    }

    #[test]
    fn a_place_that_is_named_twice_is_asked_once() {
        assert_eq!(all(&["10.0.0.7", "10.0.0.7", "10.0.0.8"]).unwrap(), ["10.0.0.7:1", "10.0.0.8:1"]);
    }
}
