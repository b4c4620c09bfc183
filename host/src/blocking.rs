//! Sending and receiving for programs without an executor: calls that block, on [`std::net`].
//!
//! It is the same protocol as that of the `deaddrop` command, carried by the same code over the same core
//! sessions; only the waiting differs. The command waits in smol's reactor, this waits in `poll(2)`, and
//! starts no reactor and no executor.
//!
//! Send a message, from the moment it can be fetched until a receiver has it:
//!
//! ```no_run
//! use std::time::Duration;
//! use deaddrop::blocking::{Ended, Room, Sender};
//!
//! # fn main() -> Result<(), deaddrop::exit::Failure> {
//! let room = Room::from_passphrase("copper lantern harbour ninety")?;
//! let message = b"the door code is 4711".to_vec();
//! let sender = Sender::message(message)?.ttl(Duration::from_secs(120)).offer(&room)?;
//! println!("fetch {} from {:?}", sender.token(), sender.addresses());
//! match sender.serve(|event| eprintln!("{event:?}"))? {
//!     Ended::Fetched => println!("it has arrived"),
//!     ended => println!("nobody has confirmed it: {ended:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Take what is offered on the LAN:
//!
//! ```no_run
//! use std::time::Duration;
//! use deaddrop::blocking::{Kind, Receiver, Room};
//!
//! # fn main() -> Result<(), deaddrop::exit::Failure> {
//! let room = Room::from_passphrase("copper lantern harbour ninety")?;
//! let receiver = Receiver::new(&room);
//! for found in receiver.discover(Duration::from_secs(2))? {
//!     let claim = receiver.claim(&found)?;
//!     match found.offer.kind {
//!         Kind::Message => println!("{} bytes of message", claim.message()?.content.len()),
//!         _ => println!("saved as {}", claim.save(".")?.content.display()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/blocking.rs` is a small program that does all of it.
//!
//! # Limits
//!
//! - Each connection of a sender is a thread, and so is each look that a receiver takes at a sender: for a
//!   handful of receivers that is cheap, and at 512 connections a sender lets others wait. A program that
//!   serves crowds is better off with an executor.
//! - A [`Sender`] holds one drop. Several drops are several senders, each with a thread that serves it.
//! - [`Failure`] is worded for the command line, so that its advice may name an option of the command.
//!   [`Failure::exit`] and [`Failure::code`] are for programs.
//! - Signals are the program's own: nothing here listens for them. A [`Stopper`] ends what blocks.

mod claim;
mod doorbell;
mod ears;
mod link;
mod looks;
mod receiver;
mod sender;

use std::io;

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::derive::room_secret;
use deaddrop_core::limits::UDP_PORT;

pub use claim::{Claim, Received};
pub use deaddrop_core::offer::{Kind, Name, Offer};
pub use deaddrop_core::token::{Token, TokenPrefix};
pub use receiver::{Found, Receiver};
pub use sender::{Ended, Sender, SenderBuilder, SenderEvent};
pub use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::stop::Stop;

/// A room: what its members share. It holds the secret derived from the passphrase, wiped when dropped, and
/// not the passphrase.
#[derive(Debug)]
pub struct Room {
    secret: RoomSecret,
}

impl Room {
    /// The room of this passphrase, 1 to 1,024 bytes. This takes about a tenth of a second and 32 MiB, on
    /// purpose: once for a program, not once for a drop.
    ///
    /// # Errors
    /// If the passphrase is empty, too long, or has characters that no passphrase may have.
    ///
    /// ```
    /// use deaddrop::blocking::Room;
    /// use deaddrop::exit::Exit;
    ///
    /// assert_eq!(Room::from_passphrase("").unwrap_err().exit, Exit::Usage);
    /// ```
    pub fn from_passphrase(passphrase: &str) -> Result<Self, Failure> {
        let secret = room_secret(passphrase).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { secret })
    }
}

/// Where announcements go and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The UDP port of announcements: 48555, unless everybody in the room has agreed on another.
    pub udp_port: u16,
    /// The names of the interfaces to use; none for all that there are.
    pub interfaces: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { udp_port: UDP_PORT, interfaces: Vec::new() }
    }
}

/// Ends a [`Sender`] or a [`Receiver`] that blocks.
///
/// ```no_run
/// # use deaddrop::blocking::{Room, Sender};
/// # fn main() -> Result<(), deaddrop::exit::Failure> {
/// # let room = Room::from_passphrase("copper lantern harbour ninety")?;
/// let sender = Sender::message(b"anybody there?".to_vec())?.offer(&room)?;
/// let stopper = sender.stopper();
/// let serving = std::thread::spawn(move || sender.serve(|_| {}));
/// stopper.stop(); // from here on nobody can fetch it
/// let ended = serving.join().expect("no panic")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stopper(Stop);

impl Stopper {
    /// Ends it. Once it has ended this does nothing.
    pub fn stop(&self) {
        self.0.ask();
    }
}

/// The system refused what waiting takes.
#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: io::Error) -> Failure {
    Failure::failed(format!("the system does not let us wait for the network: {error}"))
}
