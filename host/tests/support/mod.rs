//! What the tests of whole processes share: hosts in network namespaces of their own, and deaddrop
//! processes on them whose events are read as they come.
//!
//! Each test has a LAN to itself, so that tests do not meet, and no packet leaves the machine. It takes
//! root or unprivileged user namespaces, and the `ip` command of iproute2.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part of this")]

pub mod actor;
mod capture;
mod hostile;
mod lan;
pub mod neighbour;
mod process;

pub use capture::{Capture, Flow, Traffic, capture};
pub use hostile::{
    Beacon, BeaconKind, Until, beacon_socket, hear, hear_sender, random, shake_hands, wrong_room,
};
pub use lan::{Host, Lan};
pub use neighbour::{Neighbour, asked_to_end, play, say, wait_for_end};
pub use process::{Process, fetch, listener, send_file, send_message};

use std::path::{Path, PathBuf};

/// The room most tests meet in.
pub const ROOM: &str = "copper lantern harbour ninety";

/// The binary under test.
pub fn deaddrop() -> &'static str {
    env!("CARGO_BIN_EXE_deaddrop")
}

/// `len` bytes that look random and differ with `seed`.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64*: plenty for telling bytes apart.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Writes a file into a folder and gives its path.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("write a test file");
    path
}

/// The names in a folder, hidden ones too, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("read a folder")
        .map(|entry| entry.expect("read a folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
