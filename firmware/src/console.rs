//! The serial console.

pub mod command;
pub mod escape;
pub mod line;
pub mod render;
pub mod words;
