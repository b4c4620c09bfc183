//! Who is there: beacons to send and peers heard.
//!
//! Beacons are hints that anyone can forge. They make a [`Listener`] look for itself, within limits,
//! and change nothing else: what it shows, its [`Offers`], comes only out of authenticated lists.

pub mod announcer;
mod contacts;
pub mod listener;
pub mod offers;
mod peer;
mod solicits;

pub use announcer::Announcer;
pub use listener::{Arrival, Listener, Look, Outcome, PeerEvent};
pub use offers::{Find, Full, GoneReason, Known, OfferEvent, Offers};
pub use peer::Peer;
