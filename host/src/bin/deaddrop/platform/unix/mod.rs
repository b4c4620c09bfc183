//! Linux, Android, macOS and the BSDs.

pub(super) mod access;
pub(super) mod disk;
pub(super) mod keyboard;
pub(super) mod process;
pub(super) mod programs;
pub(super) mod service;
pub(super) mod signals;
pub(super) mod streams;
pub(super) mod terminal;
