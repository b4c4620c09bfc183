//! Files and messages: the sources of drops, and the safe way to save a received one.

pub(crate) mod name;
pub(crate) mod save;
pub(crate) mod source;
