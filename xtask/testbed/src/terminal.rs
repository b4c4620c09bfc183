//! A terminal that a test sits at.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::Failure;
use crate::failure::unwrap;

/// A terminal of no size: our end of it, and the program's. Panics if there is none.
pub fn terminal() -> (File, File) {
    unwrap(pair().map_err(Failure::at("a terminal")))
}

/// The same with so many columns and rows.
pub fn of_size(columns: u16, rows: u16) -> Result<(File, File), Failure> {
    let (ours, theirs) = pair().map_err(Failure::at("a terminal"))?;
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).map_err(Failure::at("a terminal"))?;
    Ok((ours, theirs))
}

fn pair() -> rustix::io::Result<(File, File)> {
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let options = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(&*name, options, rustix::fs::Mode::empty())?;
    Ok((ours.into(), theirs.into()))
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
