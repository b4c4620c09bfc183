//! `deaddrop` on hosts of the testbed: what the tests of whole processes share.
//!
//! Each test has a LAN to itself, so that tests do not meet, and no packet leaves the machine.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part of this")]

pub use testbed::ROOM;
pub use testbed::actor;
pub use testbed::adversary::{
    Beacon, BeaconKind, Until, beacon_socket, hear, hear_sender, random, shake_hands, wrong_room,
};
pub use testbed::capture::{Capture, Flow, Traffic, capture};
pub use testbed::events::event;
pub use testbed::lan::{Host, Lan};
pub use testbed::neighbour::{self, Neighbour, asked_to_end, play, say, wait_for_end};
pub use testbed::noise::noise;
pub use testbed::process::Process;
pub use testbed::screen::Screen;
pub use testbed::terminal;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The program under test: the one that cargo has built for this test, or the one that is named in
/// `DEADDROP_TEST_PROGRAM`, such as that of another processor under an emulator.
pub fn deaddrop() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        std::env::var("DEADDROP_TEST_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_deaddrop").to_owned())
    });
    &PROGRAM
}

/// Starts deaddrop on a host in a folder. `room` goes into the environment; `input` to standard input.
pub fn spawn(host: &Host, folder: &Path, room: &str, arguments: &[&str], input: &[u8]) -> Process {
    let mut command = host.command(deaddrop());
    command.args(arguments).current_dir(folder).env("DEADDROP_ROOM", room);
    let mut process = Process::from_command(command, arguments.join(" "));
    process.say(input);
    process.close_input();
    process
}

/// A listener that is ready.
pub fn listener(host: &Host, folder: &Path) -> Process {
    let mut process = spawn(host, folder, ROOM, &["run", "--json"], b"");
    process.event("ready");
    process
}

/// A sender that is ready, with its token and port.
pub fn send_message(host: &Host, folder: &Path, message: &str, more: &[&str]) -> (Process, String, u16) {
    let arguments = [&["send-msg", "--json"], more].concat();
    sender(spawn(host, folder, ROOM, &arguments, message.as_bytes()))
}

/// The same for a file.
pub fn send_file(host: &Host, folder: &Path, path: &Path, more: &[&str]) -> (Process, String, u16) {
    let arguments = [&["send-file", path.to_str().expect("a path"), "--json"], more].concat();
    sender(spawn(host, folder, ROOM, &arguments, b""))
}

fn sender(mut process: Process) -> (Process, String, u16) {
    let ready = process.event("ready");
    let token = ready["token"].as_str().expect("a token").to_owned();
    let port = u16::try_from(ready["port"].as_u64().expect("a port")).expect("a port");
    (process, token, port)
}

/// A fetch of a known drop.
pub fn fetch(host: &Host, folder: &Path, from: &Host, token: &str, more: &[&str]) -> Process {
    let arguments = [&["fetch", "--json", "--from", &from.ip, "--token", token], more].concat();
    spawn(host, folder, ROOM, &arguments, b"")
}

/// A relay in front of a sender's port, and a fetch of a file through it that has stalled after so many bytes and has
/// made its part file.
pub fn stalled_fetch(host: &Host, folder: &Path, port: u16, token: &str, bytes: u64) -> (Process, Process) {
    let (mut relay, by) = actor::relay(host, port, Some(bytes), None);
    let from = format!("{}:{by}", host.ip);
    // On another port for beacons: it would find the sender past the relay otherwise.
    let arguments = ["fetch", "--json", "--udp-port", "48599", "--from", &from, "--token", token];
    let fetching = spawn(host, folder, ROOM, &arguments, b"");
    relay.event("stalled");
    // The bytes can be on their way before the receiver has made the file. Its record is there first.
    wait_for(|| names(folder).iter().any(|name| !name.ends_with(".record")));
    (relay, fetching)
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

/// Waits until something is so, which no event tells. Panics after 30 s.
pub fn wait_for(there: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !there() {
        assert!(Instant::now() < end, "it does not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
