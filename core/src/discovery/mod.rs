//! Who is there: beacons to send and peers heard.
//!
//! Beacons are hints that anyone can forge. They make a [`Prober`] probe for itself, within limits,
//! and change nothing else: what it shows, its [`Offers`], comes only out of authenticated lists.

pub mod advertiser;
pub mod offers;
mod peer;
mod probe_limiter;
pub mod prober;
mod solicit_schedule;

pub use advertiser::Advertiser;
pub use offers::{Find, Full, Known, OfferEvent, Offers};
pub use peer::Peer;
pub use prober::{Arrival, PeerEvent, Probe, ProbeResult, Prober};
