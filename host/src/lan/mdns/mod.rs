//! Discovery by multicast DNS (RFC 6762) and its service records (DNS-SD, RFC 6763), where it was asked for: the third path,
//! for networks that pass this traffic and neither broadcast nor the group of beacons (protocol.md, section 3.5).
//!
//! The records say what a beacon says and nothing else. What is heard becomes an announcement, so that the same tables and
//! the same limits decide on what anybody can forge. Not a word of the protocol of records is outside of `message`.

pub(crate) mod message;
pub(super) mod querier;
pub(crate) mod responder;
pub(super) mod sockets;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::network::Network;

/// The UDP port of multicast DNS.
const PORT: u16 = Network::MDNS_PORT;
/// Its groups, both valid on the link alone.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// The name of the service.
const SERVICE: [&str; 3] = ["_deaddrop", "_tcp", "local"];

/// How long a record counts.
const TTL: Duration = Duration::from_secs(40);
/// When to ask again while one listens: at four fifths of that (RFC 6762, section 5.2).
const REFRESH: Duration = Duration::from_secs(32);
/// The longest message that is read: what an Ethernet frame holds.
pub(super) const MESSAGE_MAX: usize = 1_500;
/// The records and questions of a message that is read.
const ENTRIES_MAX: u16 = 32;
/// The announcements that are taken from one message, and the addresses that one of ours names.
const HEARD_MAX: usize = 8;
