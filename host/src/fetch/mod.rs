//! Taking drops: connections to a sender, its list, the transfer of a drop.

pub(crate) mod attempts;
mod bulk;
pub(crate) mod connection;
pub(crate) mod contact;
pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod leads;
mod persist;
pub(crate) mod probe;
pub(crate) mod progress;
#[cfg(test)]
mod scene;
pub(crate) mod transfer;
