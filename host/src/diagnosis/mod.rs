//! Finds out why this machine and others do not find each other.
//!
//! An [`Examination`] makes one check after the other. What each sees is a [`Finding`]; [`Verdict::of`] is the pure
//! function from all of them to what is most likely in the way.
//!
//! The checks, from this machine outwards: interfaces (`interfaces`), UDP and TCP ports (`ports`), own beacons heard back
//! and others heard (`presence`), rules of the firewall (`firewall`), and what happens at each sender that was heard or
//! named (`contact`).

mod contact;
mod examination;
mod finding;
pub(crate) mod firewall;
mod interfaces;
mod large_packets;
mod ports;
mod presence;
mod verdict;

pub use crate::fetch::contact::Contact;
pub use examination::{Examination, likely_reason};
pub use finding::{Check, Echo, Finding, Program, Use};
pub use firewall::{Closed, Traffic};
pub use verdict::Verdict;
