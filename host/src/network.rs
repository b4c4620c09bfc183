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
    /// Whether to speak multicast DNS too, on UDP port [`MDNS_PORT`](Self::MDNS_PORT), for networks that pass that and no beacons. It says what beacons
    /// say. Sender and receiver have to do it both.
    pub mdns: bool,
}

impl Network {
    /// The UDP port of multicast DNS (RFC 6762).
    pub const MDNS_PORT: u16 = 5_353;
}

impl Default for Network {
    fn default() -> Self {
        Self { udp_port: UDP_PORT, interfaces: Vec::new(), mdns: false }
    }
}
