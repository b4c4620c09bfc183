//! Wire formats: parsers and emitters of every message, and nothing else.
//!
//! - [`Beacon`]: the datagram of discovery (protocol.md, section 3.1).
//! - [`Greeting`], [`ClientHello`], [`ServerHello`]: messages 1 to 3 of the handshake, in clear (section
//!   4.1).
//! - [`Request`], [`Answer`]: the control messages inside sealed records, in deterministic CBOR (section 6).
//! - [`Attributes`]: what hosts add to `begin` for a file (section 6).
//! - `BundleHead`, `BundleEntry`, `BundleReader`: the content of a drop that is a folder (section 11); with
//!   the feature `bundle`.
//!
//! Every value has exactly one encoding (canonical form): emitting what was parsed gives the same bytes. The
//! only exception is a control message with keys of a later version, which are skipped. Every other encoding
//! is rejected, so two ends never read the same bytes differently (no parser differential).
//!
//! Errors keep codes that a later version may define, so that messages can show them.

mod answer;
mod attributes;
mod beacon;
#[cfg(feature = "bundle")]
mod bundle;
mod cbor;
mod control;
mod error_code;
mod greeting;
mod handshake;
mod request;
mod retry;

pub use answer::{Answer, Begin, Ending};
pub use attributes::{Attributes, MODIFIED_MAX};
pub use beacon::{BEACON_LEN, Beacon, BeaconError, BeaconKind};
#[cfg(feature = "bundle")]
pub use bundle::{
    BUNDLE_BUFFER, BundleEntry, BundleError, BundleHead, BundlePart, BundleReader, EntryKind, PathFault,
    check_path, is_inside,
};
pub use control::ControlError;
pub use error_code::ErrorCode;
pub use greeting::{GREETING_FIXED_LEN, GREETING_LEN, Greeting, GreetingError, Status, Suite, Suites};
pub use handshake::{CLIENT_HELLO_LEN, ClientHello, HelloError, SERVER_HELLO_LEN, ServerHello};
pub use request::{FetchRequest, Request};

/// The magic bytes of beacons and greetings.
const MAGIC: [u8; 4] = *b"DDRP";
