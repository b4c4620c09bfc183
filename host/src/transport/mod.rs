//! Non-blocking TCP connections, and waiting for them.
//!
//! The code above is `async` and written once. It waits in one of two reactors: smol's, when an executor of the
//! caller's drives it, or [`poll`]'s, inside the calls of [`blocking`](crate::blocking).

pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod poll;
pub(crate) mod race;
pub(crate) mod socket;
pub(crate) mod wakeup;
