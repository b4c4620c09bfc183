//! Bundles: a folder, or several files and folders, as one drop (protocol.md, section 11).
//!
//! - `walk`: what a sender finds in the file system, and what of it cannot be sent.
//! - `source`: the stream that is made of it, byte for byte at any offset.
//! - `incoming`, `stream`: the stream taken apart again; `folder` and `tar`: where its entries go; `tail`: its latest bytes.
//! - `durable`, `finish`: how a folder gets onto the disk, and its name; `journal`, `reopen`: how a later process goes on.

mod durable;
mod finish;
mod folder;
pub(crate) mod incoming;
mod journal;
pub(crate) mod obstacle;
pub(in crate::files) mod reopen;
pub(crate) mod source;
pub(crate) mod stream;
mod tail;
mod tar;
mod walk;

#[cfg(test)]
mod tests;
