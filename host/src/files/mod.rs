//! Files: the ones that are sent, and the safe way to save what was received.

pub mod name;
pub mod receive;
pub mod source;
