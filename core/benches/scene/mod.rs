//! Fixtures of the benches, deterministic: all randomness comes from seeds.
#![allow(dead_code, reason = "each bench uses what it needs")]
#![allow(unreachable_pub, reason = "one module of several benches")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that panics has measured nothing")]

pub mod handshake;
pub mod messages;
pub mod records;
pub mod table;
