//! The local network: interfaces, beacons over UDP, announcing a sender and browsing for senders.

pub(crate) mod advertise;
pub(crate) mod beacons;
pub(crate) mod browser;
mod catalogue;
pub(crate) mod interfaces;
pub(crate) mod mdns;
pub(crate) mod neighbours;
pub(crate) mod receiver;
mod shown;
pub(crate) mod unused;
pub(crate) mod warnings;
mod watch;
