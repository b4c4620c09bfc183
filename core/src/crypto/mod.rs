//! What keeps the room closed: CPace, the key schedule, the sealing of records, and the digest of what is held.
//!
//! [`keys::RoomSecret`] gives the [`keys::Prs`]; a [`cpace::Exchange`] turns that into a [`cpace::Isk`]
//! shared with whoever knows it too; [`keys::SessionKeys`] come of it and of all that was said; and
//! [`record`] seals with them. Nothing here reads a clock, a socket or a global source of randomness.
//!
//! Every secret is wiped when it is dropped. What the compiler and the libraries leave of one in
//! registers and in dead stack frames is out of a safe program's reach.

pub mod cipher;
pub mod counter;
pub mod cpace;
pub mod digest;
pub mod keys;
pub mod record;
