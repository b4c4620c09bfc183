//! Discovery: beacons to send, and peers to browse (protocol.md, section 3).
//!
//! Beacons are not authenticated, so they are only hints: they make a [`Browser`] probe senders, within
//! limits. The offers that it shows come from authenticated lists alone.

pub mod advertiser;
mod arrival;
pub mod browser;
mod network;
pub mod offers;
mod peer;
mod probe_limiter;
pub mod prober;
mod sightings;
mod solicit_schedule;

pub use advertiser::Advertiser;
pub use arrival::Arrival;
pub use browser::{Browser, ProbeError};
pub use network::Ipv4Network;
pub use offers::{Find, Full, Known, OfferEvent, Offers};
pub use peer::Peer;
pub use prober::{PeerEvent, Probe, ProbeResult, Prober};
