//! One socket for each family on every interface, which shares the port with the other programs of this machine that speak
//! multicast DNS (RFC 6762, section 15.1).
//!
//! It is bound to the group, where the system can do that, and so receives what is sent to everybody alone: a message to
//! one of several programs that share a port reaches only one of them, and that is left to the others. What it sends comes
//! from the port of multicast DNS, as what counts as an answer must.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use deaddrop_core::discovery::Arrival;
use deaddrop_core::wire::Beacon;
use log::{debug, trace};
use socket2::SockRef;

use super::message::{self, announcement, question};
use super::{GROUP_V4, GROUP_V6, HEARD_MAX, PORT};
use crate::address::Address;
use crate::lan::beacons::{HOPS, SkippedInterface, socket_v4, socket_v6};
use crate::lan::interfaces::Interface;
use crate::platform;

/// The sockets of one process.
#[derive(Default)]
pub(in crate::lan) struct MdnsSockets {
    sockets: Vec<(MdnsLink, UdpSocket)>,
}

/// What one family has on one link.
#[derive(Clone, Debug)]
pub(in crate::lan) struct MdnsLink {
    /// All that this machine has on the link, of both families: the family of a message says nothing of the addresses in it.
    interfaces: Vec<Interface>,
    /// The interface of this family.
    own: Interface,
}

impl MdnsLink {
    /// The number of the interface.
    pub(in crate::lan) fn index(&self) -> u32 {
        self.own.index
    }

    /// Whether a message from there counts: it is sent on this link, and from the port that it must come from.
    pub(in crate::lan) fn counts(&self, from: SocketAddr) -> bool {
        from.port() == PORT && self.attached(from)
    }

    fn attached(&self, from: SocketAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.attached(from))
    }

    /// The announcements that a message amounts to, each as if it had come from the address that it names.
    pub(in crate::lan) fn heard(&self, message: &[u8]) -> Vec<(Arrival, Beacon)> {
        let heard = message::heard(message).into_iter().map(|(ip, beacon)| {
            let from = Address::from(ip).behind(self.index()).at(PORT);
            (Arrival { from, attached: self.attached(from), loopback: false }, beacon)
        });
        heard.collect()
    }

    /// The addresses of this machine on the link, those that others take first at the beginning.
    fn addresses(&self) -> Vec<IpAddr> {
        let all = self.interfaces.iter().flat_map(|interface| interface.addresses.iter().map(|(ip, _)| *ip));
        all.take(HEARD_MAX).collect()
    }

    fn group(&self) -> SocketAddr {
        let group = if self.own.address.is_ipv4() { IpAddr::from(GROUP_V4) } else { GROUP_V6.into() };
        let mut group = Address::from(group).at(PORT);
        if let SocketAddr::V6(group) = &mut group {
            group.set_scope_id(self.index());
        }
        group
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let socket = match self.own.address {
            IpAddr::V4(own) => {
                let socket = socket_v4(&self.own, platform::group_receiver_v4(GROUP_V4, own), PORT)?;
                SockRef::from(&socket).set_multicast_if_v4(&own)?;
                socket.join_multicast_v4(&GROUP_V4, &own)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket
            }
            IpAddr::V6(own) => {
                let socket = socket_v6(&self.own, platform::group_receiver(GROUP_V6, own), PORT)?;
                socket.join_multicast_v6(&GROUP_V6, self.index())?;
                socket
            }
        };
        Ok(socket)
    }
}

impl MdnsSockets {
    /// Opens and closes sockets so that each family of these interfaces has one: true if they are others now. On loopback
    /// there is none, as with other programs.
    pub(in crate::lan) fn refresh<'a>(
        &mut self,
        used: impl Iterator<Item = &'a Interface>,
    ) -> (bool, Vec<SkippedInterface>) {
        let used: Vec<&Interface> = used.filter(|interface| !interface.is_loopback()).collect();
        let (mut links, mut skipped): (Vec<MdnsLink>, Vec<_>) = (Vec::new(), Vec::new());
        for own in &used {
            let same = |link: &MdnsLink| {
                (link.index(), link.own.address.is_ipv4()) == (own.index, own.address.is_ipv4())
            };
            if !links.iter().any(same) {
                let here = used.iter().filter(|interface| interface.index == own.index);
                let interfaces = here.map(|interface| (*interface).clone()).collect();
                links.push(MdnsLink { interfaces, own: (*own).clone() });
            }
        }
        let before = self.sockets.len();
        let is_open = |(known, _): &(MdnsLink, UdpSocket), link: &MdnsLink| {
            (&known.own, &known.interfaces) == (&link.own, &link.interfaces)
        };
        self.sockets.retain(|open| links.iter().any(|link| is_open(open, link)));
        let mut changed = self.sockets.len() != before;
        for link in links {
            if self.sockets.iter().any(|open| is_open(open, &link)) {
                continue;
            }
            match link.open() {
                Ok(socket) => {
                    debug!("lan: {}: multicast DNS is used", link.own);
                    self.sockets.push((link, socket));
                    changed = true;
                }
                Err(error) => {
                    trace!("lan: {}: no multicast DNS: {error}", link.own);
                    let (interface, receive_unavailable) = (link.own.name, Some(PORT));
                    skipped.push(SkippedInterface { interface, receive_unavailable, error });
                }
            }
        }
        (changed, skipped)
    }

    /// Asks for senders on every interface.
    pub(in crate::lan) fn ask(&self) {
        self.send(None, |_| question().ok());
    }

    /// Sends the records of a sender on one interface, or on every one.
    pub(in crate::lan) fn announce(&self, beacon: &Beacon, on: Option<u32>) {
        self.send(on, |link| announcement(beacon, &link.addresses()).ok());
    }

    /// Errors are ignored: the next message may pass.
    fn send(&self, on: Option<u32>, message: impl Fn(&MdnsLink) -> Option<Vec<u8>>) {
        for (link, socket) in self.sockets.iter().filter(|(link, _)| on.is_none_or(|on| on == link.index())) {
            let Some(message) = message(link) else { continue };
            if let Err(error) = socket.send_to(&message, link.group()) {
                debug!("lan: {}: nothing can be sent by multicast DNS: {error}", link.own);
            }
        }
    }

    /// A second handle to every socket.
    pub(in crate::lan) fn handles(&self) -> io::Result<Vec<(UdpSocket, MdnsLink)>> {
        self.sockets.iter().map(|(link, socket)| Ok((socket.try_clone()?, link.clone()))).collect()
    }
}
