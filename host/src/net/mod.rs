//! The network as this machine sees it.

pub mod interfaces;
