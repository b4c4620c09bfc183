//! What a handshake costs a processor. Handshakes are charged, not computed.
//!
//! The parts that are arithmetic were measured with `core`'s own handshake on the machine that
//! `docs/scale.md` names, and rounded up; to each is added what the system takes for the call around it.

use crate::queue::Micros;

/// A server accepts and greets.
pub(crate) const ACCEPT: Micros = 50;
/// A client draws its scalar and computes Ya.
pub(crate) const MESSAGE_2: Micros = 120;
/// A server computes Yb and the keys.
pub(crate) const MESSAGE_3: Micros = 220;
/// A client computes the keys and seals its request.
pub(crate) const MESSAGE_4: Micros = 150;
/// A server opens the request and seals a list of eight records.
pub(crate) const LIST: Micros = 80;
/// A client opens the list.
pub(crate) const SHOW: Micros = 60;
/// A side only looks at what came.
pub(crate) const GLANCE: Micros = 10;

/// Connections that wait to be accepted; the system drops the next one's first segment.
pub(crate) const BACKLOG: usize = 128;
/// A dropped first segment is sent once more after this.
pub(crate) const SYN_AGAIN: Micros = 1_000_000;
