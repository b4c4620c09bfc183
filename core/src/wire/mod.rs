//! What the bytes mean: parse and emit, nothing else.
//!
//! - [`Beacon`]: the datagram by which a server is noticed.
//! - [`Greeting`], [`ClientHello`], [`ServerHello`]: the three messages of the handshake in clear.
//! - [`Request`], [`Answer`]: the control messages inside sealed records, in deterministic CBOR.
//!
//! Every value has exactly one spelling: what a parser accepts, emitting gives back byte for byte.
//! The one exception is a control message with keys of a later version, which are skipped. Anything
//! else that is not the one spelling is refused, so two ends never read the same bytes differently.
//!
//! Numbers that a later version may give a meaning to are kept in the errors, for messages to show.

mod answer;
mod beacon;
mod cbor;
mod control;
mod error_code;
mod greeting;
mod handshake;
mod request;
mod retry;

pub use answer::{Answer, Begin, Ending};
pub use beacon::{BEACON_LEN, Beacon, BeaconError, BeaconKind};
pub use control::ControlError;
pub use error_code::ErrorCode;
pub use greeting::{GREETING_FIXED_LEN, GREETING_LEN, Greeting, GreetingError, Status, Suite, Suites};
pub use handshake::{CLIENT_HELLO_LEN, ClientHello, HelloError, SERVER_HELLO_LEN, ServerHello};
pub use request::{FetchRequest, Request};

/// What beacons and greetings begin with.
const MAGIC: [u8; 4] = *b"DDRP";
