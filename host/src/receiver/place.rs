//! Where a sender may be.

use crate::address::Address;

/// A machine that may run a sender: its addresses, all of the one machine, and the TCP port if that is known.
///
/// ```
/// use std::net::{Ipv4Addr, Ipv6Addr};
/// use deaddrop::Place;
///
/// let place = Place::new([Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()], Some(48_556));
/// assert_eq!(place.addresses().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    addresses: Vec<Address>,
    port: Option<u16>,
}

impl Place {
    /// A machine with these addresses, in the order in which they are tried. Without a port every default port is asked,
    /// 48556 to 48571.
    pub fn new(addresses: impl IntoIterator<Item = Address>, port: Option<u16>) -> Self {
        Self { addresses: addresses.into_iter().collect(), port }
    }

    /// Its addresses.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The port, if it is known.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}
