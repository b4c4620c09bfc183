//! The deaddrop protocol, version 1, as sans-IO state machines: bytes in, bytes out, with time and randomness
//! passed in.
//!
//! No allocator, no clock, no sockets, no global randomness, no unsafe code. A front end owns all of those
//! and drives the state machines. From the bottom up:
//!
//! - [`limits`]: every capacity and deadline. [`time`], [`secret`], [`token`], [`offer`]: the basic types.
//! - [`wire`]: parsers and emitters of all messages.
//! - [`crypto`]: CPace, the key schedule, and the AEAD of records.
//! - [`drops`]: the table of drops, the claims on them, and their ends.
//! - [`guard`]: rate limits on passphrase guesses, and admission control of connections.
//! - [`discovery`]: beacons, probes of peers, and the offers found.
//! - [`session`]: one connection: the handshake, and the client's end.
//! - [`exchange`]: a whole list, a whole fetch and a whole server, over as many messages and connections as
//!   they take.
//!
//! The normative text is `docs/protocol.md` in this crate.
//!
//! # Both ends in one process
//!
//! A front end moves bytes between two sessions and does what each side asks for. In this example the network
//! is a buffer and time stands still:
//!
//! ```
//! use core::net::{IpAddr, Ipv4Addr};
//! use core::time::Duration;
//! use deaddrop_core::crypto::keys::RoomSecret;
//! use deaddrop_core::drops::{DropSpec, Fetches};
//! use deaddrop_core::exchange::{Fetch, Server, Step, Wanted};
//! use deaddrop_core::guard::ClientGuard;
//! use deaddrop_core::limits::HOST;
//! use deaddrop_core::offer::{Kind, Name};
//! use deaddrop_core::session::{ClientSession, buffer_len};
//! use deaddrop_core::time::Instant;
//! use deaddrop_core::token::FetchId;
//! use rand_chacha::ChaCha20Rng;
//! use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (now, address) = (Instant::from_millis(0), IpAddr::V4(Ipv4Addr::LOCALHOST));
//! let mut rng = ChaCha20Rng::seed_from_u64(1); // real programs: the system's CSPRNG
//! let room = RoomSecret::new([7; 32]);
//!
//! // The sender holds a message of five bytes for one receiver.
//! let secret = b"hello";
//! let mut server = Server::<4, 1, 8, 8>::new(now, room.prs(), &HOST, &mut rng);
//! let (ttl, size) = (Duration::from_secs(60), 5);
//! let spec = DropSpec { kind: Kind::Message, name: Name::default(), size, ttl, fetches: Fetches::Counted(1) };
//! let token = server.drops.put(now, spec, &mut rng)?;
//! let mut serving = server.open(now, address, &mut rng);
//!
//! // The receiver knows the token, and connects.
//! let (prs, mut guard) = (room.prs(), ClientGuard::<8>::new(now));
//! let mut session = ClientSession::new(now, address, None, None);
//! let mut fetch = Fetch::new(&HOST, FetchId::random(&mut rng), Wanted::Token(token.into()), now);
//! fetch.handle_open(now, None);
//!
//! let mut buffer = vec![0; buffer_len(&HOST)];
//! let mut received = Vec::new();
//! loop {
//!     match fetch.poll_step(Some(&session)) {
//!         Step::Approve => fetch.approve(now, &mut session)?,
//!         Step::Reserve { .. } => fetch.ready(now, &mut session)?,
//!         Step::Persist => fetch.persisted(now, Some(&mut session))?,
//!         Step::Close(_) => fetch.handle_closed(now),
//!         Step::Done { confirmed } => break assert!(confirmed),
//!         Step::Failed(error) => return Err(error.into()),
//!         Step::Connect | Step::Drive | Step::Wait(_) => {}
//!     }
//!     while let Some(len) = session.poll_transmit(&mut buffer)? {
//!         serving.handle_message(now, &mut server, &mut rng, &mut buffer[..len])?;
//!     }
//!     let len = match (serving.poll_transmit(now, &mut server, &mut buffer)?, serving.poll_read()) {
//!         (Some(len), _) => len,
//!         (None, Some(read)) => {
//!             buffer[..read.len].copy_from_slice(&secret[read.offset as usize..][..read.len]);
//!             serving.handle_read(now, &mut server, &mut buffer)?
//!         }
//!         (None, None) => continue,
//!     };
//!     let event = session.handle_message(now, &prs, &mut guard, &mut rng, &mut buffer[..len])?;
//!     let chunk = event.and_then(|event| fetch.handle_event(now, &mut session, event, &mut rng));
//!     if let Some(chunk) = chunk {
//!         received.extend_from_slice(&buffer[..chunk.len]);
//!         fetch.handle_stored(now, received.len() as u64);
//!     }
//! }
//! assert_eq!(received, secret);
//! assert_eq!(server.drops.live(), 0); // fetched, so it has ended
//! # Ok(())
//! # }
//! ```
#![no_std]

#[cfg(feature = "derive")]
extern crate alloc;

pub mod crypto;
#[cfg(feature = "derive")]
pub mod derive;
pub mod discovery;
pub mod drops;
pub mod exchange;
pub mod guard;
pub mod limits;
pub mod offer;
mod random;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod token;
mod trace;
pub mod wire;
