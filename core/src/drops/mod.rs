//! The table of drops.

/// Names one connection of the front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId(pub u32);
