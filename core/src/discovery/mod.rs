//! Who is there: beacons to send and peers heard.
//!
//! Beacons are hints that anyone can forge. They make a [`Browser`] probe senders, within limits, and change nothing
//! else: what it shows comes only out of authenticated lists.

pub mod advertiser;
pub mod browser;
pub mod offers;
mod peer;
mod probe_limiter;
pub mod prober;
mod solicit_schedule;

pub use advertiser::Advertiser;
pub use browser::{Browser, ProbeError};
pub use offers::{Find, Full, Known, OfferEvent, Offers};
pub use peer::Peer;
pub use prober::{Arrival, PeerEvent, Probe, ProbeResult, Prober};
