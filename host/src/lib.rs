//! Hands a secret to someone on the same network, with no server: the library under the `deaddrop` command.
//!
//! Members of a [`Room`] share a passphrase. A [`Sender`] holds a drop, a message, a file or a folder, until a receiver has
//! it or its time is up; a [`Receiver`] finds drops, makes a [`Claim`] on one, and takes it. The protocol is
//! [`deaddrop_core`]; this crate brings it sockets, threads, files and a clock. It is written for Unix systems.
//!
//! # Which API
//!
//! - Here: `async` functions on smol's reactor. Their futures are `Send` and run on any executor.
//! - [`blocking`]: the same for programs without an executor. Its calls block, on a reactor of their own.
//!
//! # Modules
//!
//! Each layer uses those below it, and none above:
//!
//! | layer | modules |
//! |---|---|
//! | API | [`blocking`]; [`diagnosis`]; `sender`, `receiver`, `claim`; `error`, `room` |
//! | network | `lan`: interfaces, beacons, announcing and browsing |
//! | drops | `serve`: the sender's state and connections; `fetch`: probes, claims, receiving |
//! | streams | `bulk`: encryption and decryption by several threads |
//! | basis | `address`: addresses with zones; `transport`: connections and reactors; `files`: sources and saving; `cipher`; `clock`, `random` |
//! | system | `platform`: what each operating system does in a way of its own |

mod address;
pub mod blocking;
mod bulk;
#[doc(hidden)] // Public for the benches alone.
pub mod cipher;
mod claim;
mod clock;
pub mod diagnosis;
mod error;
mod fetch;
mod files;
mod lan;
mod lock;
mod network;
mod platform;
mod random;
mod receiver;
mod room;
mod sender;
mod serve;
mod stop;
mod transport;

pub use address::{Address, AddressError, Endpoint};
pub use claim::{Claim, ConnectionLosses, Content, Received, Unconfirmed};
pub use deaddrop_core::derive::PassphraseError;
pub use deaddrop_core::discovery::{Known, OfferEvent};
pub use deaddrop_core::drops::{Fetches, Lapse, PutError};
pub use deaddrop_core::offer::{EndReason, Kind, Name, NameError, Offer};
pub use deaddrop_core::text;
pub use deaddrop_core::token::{Instance, Token, TokenPrefix};
pub use error::Error;
pub use fetch::error::FetchError;
pub use fetch::progress::FetchProgress;
pub use files::bundle::incoming::{Alteration, SavedBundle};
pub use files::bundle::obstacle::{Obstacle, Unsendable};
pub use files::bundle::source::BundleOptions;
pub use files::save::{Destination, Kept, SaveError, Spool};
pub use files::source::{MESSAGE_MAX, SourceError};
pub use files::unfinished::Unfinished;
pub use lan::beacons::SkippedInterface;
pub use lan::browser::{AddressChanges, Browser};
pub use lan::interfaces::InterfaceError;
pub use lan::unused::{Unused, UnusedInterface, unused_interfaces};
pub use lan::warnings::{BrowserWarning, BrowserWarnings};
pub use network::Network;
pub use receiver::{FoundOffer, Place, Receiver};
pub use room::Room;
pub use sender::{Ended, ReceiverProgress, Sender, SenderBuilder, SenderEvent, SenderProgress};
pub use serve::listen::PortError;
pub use stop::Stopper;
pub use zeroize::Zeroizing;
