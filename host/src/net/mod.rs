//! Interfaces, beacons over UDP, and connections over TCP.

pub(crate) mod beacons;
pub(crate) mod hearing;
pub mod interfaces;
pub(crate) mod link;
pub(crate) mod listen;
