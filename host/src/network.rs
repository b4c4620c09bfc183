//! Where beacons are sent and received.

use deaddrop_core::limits::UDP_PORT;

/// The interfaces and the UDP port that beacons are sent and received on.
///
/// ```
/// use deaddrop::Network;
///
/// assert_eq!(Network::default().udp_port, 48_555);
/// let loopback = Network { interfaces: vec!["lo".into()], ..Network::default() };
/// assert_eq!(loopback.interfaces, ["lo"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The UDP port of beacons: 48555, unless the members of the room have agreed on another.
    pub udp_port: u16,
    /// The names of the interfaces to use; empty for every interface. A sender that names some refuses connections that
    /// come in at the addresses of others, and a receiver connects through no other.
    pub interfaces: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { udp_port: UDP_PORT, interfaces: Vec::new() }
    }
}
