//! Bundles: a folder, or several files and folders, as one drop (protocol.md, section 11).
//!
//! - `walk`: what a sender finds in the file system, and what of it cannot be sent.
//! - `source`: the stream that is made of it, byte for byte at any offset.
//! - `incoming`: the stream taken apart again; `folder` and `tar`: where its entries go.

mod folder;
pub(crate) mod incoming;
pub(crate) mod obstacle;
pub(crate) mod source;
mod tar;
mod walk;

#[cfg(test)]
mod tests;
