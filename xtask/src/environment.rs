//! The environment of all commands: the checkout, other programs, a compiler for bare metal, random bytes.

pub(crate) mod architecture;
pub(crate) mod prerequisites;
pub(crate) mod random;
pub(crate) mod repo;
pub(crate) mod toolchain;
pub(crate) mod wine;
