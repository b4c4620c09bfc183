//! Cryptography: CPace, the key schedule, the AEAD of records, and the prefix digest.
//!
//! [`keys::RoomSecret`] derives the [`keys::Prs`]; a [`cpace::Exchange`] turns it into a [`cpace::Isk`]
//! shared with a peer that has the same PRS; [`keys::SessionKeys`] are derived from that and the transcript;
//! [`record`] seals with them. Nothing here uses a clock, a socket or a global source of randomness.
//!
//! Every secret is wiped when it is dropped. Safe code cannot wipe the copies that the compiler and libraries
//! leave in registers and dead stack frames.

pub mod cipher;
pub mod counter;
pub mod cpace;
pub mod digest;
pub mod keys;
pub mod record;
