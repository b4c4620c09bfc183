//! A terminal that a test sits at.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A terminal: our end of it, and the program's.
pub fn terminal() -> (File, File) {
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("a terminal");
    let options = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(&*name, options, rustix::fs::Mode::empty()).expect("a terminal");
    (ours.into(), theirs.into())
}

/// Reads until the terminal shows `text`, and gives all that it showed.
pub fn wait_for(terminal: &mut File, text: &str) -> String {
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&shown).contains(text) {
        terminal.read_exact(&mut byte).expect("a terminal");
        shown.extend_from_slice(&byte);
    }
    String::from_utf8(shown).expect("text")
}
