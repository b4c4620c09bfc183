//! Taking drops: one connection to a sender, its list, a claim, the bytes, the confirmation.

pub(crate) mod attempts;
pub(crate) mod claim;
pub(crate) mod connection;
pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod probe;
pub(crate) mod receive;
