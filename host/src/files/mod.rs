//! Files and messages: the sources of drops, and the safe way to save a received one.

mod attributes;
pub(crate) mod bundle;
pub(crate) mod name;
mod place;
pub(crate) mod save;
mod sealed;
pub(crate) mod source;
pub(crate) mod target;
pub(crate) mod unfinished;
