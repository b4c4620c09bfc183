//! The deaddrop command: everything about a person's machine that the protocol does not know.
//!
//! The protocol itself is [`deaddrop_core`]. Here stand the command line ([`cli`]), where the room's
//! passphrase comes from ([`room`]), what is shown ([`ui`]) and how a command ends ([`exit`]), the
//! files that are sent and received ([`files`]), the [`clock`] and the random numbers ([`random`]),
//! and the network ([`net`]). It is written for Unix systems.
//!
//! The command runs on smol. Programs that have no executor send and receive through [`blocking`].

mod announce;
pub mod blocking;
#[doc(hidden)] // Open for the benches alone.
pub mod cipher;
pub mod cli;
pub mod clock;
pub mod commands;
mod descriptors;
mod discover;
pub mod exit;
mod fetch;
pub mod files;
mod listening;
mod lock;
mod look;
mod member;
pub mod net;
mod pump;
pub mod random;
pub mod room;
mod serve;
mod stop;
pub mod ui;
