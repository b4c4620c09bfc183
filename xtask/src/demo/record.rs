//! Records a session in which a receiver is interrupted half-way and fetches again: the drop is gone only once it has
//! arrived.

use std::fs;
use std::path::Path;

use testbed::ROOM;
use testbed::lan::Lan;
use testbed::noise::noise;
use vt100::Screen;

use super::pane::Pane;
use super::svg;
use crate::environment::repo::Failure;

/// The file that is handed over.
const NAME: &str = "holiday.mp4";
const SIZE: usize = 24_000_000;
/// Kilobits a second, so that there is time to interrupt it.
const RATE: u32 = 40_000;
/// The receiver is interrupted after so many megabytes: fewer than 8 MiB would not be kept.
const INTERRUPTED_AFTER: f64 = 14.0;

/// Runs the session with this deaddrop, and draws both terminals as they are in the end.
pub(super) fn write(binary: &Path, picture: &Path) -> Result<(), Failure> {
    let lan = Lan::with_boards(2, 0)?;
    let alice = Pane::new("alice", lan.host(0)?, binary, ROOM)?;
    let mut bob = Pane::new("bob", lan.host(1)?, binary, ROOM)?;
    let content = noise(1, SIZE);
    let file = alice.folder().join(NAME);
    fs::write(&file, &content).map_err(Failure::at(file.display()))?;

    let sending = alice.run(&["send-file", NAME])?;
    alice.wait_for("--token")?;
    alice.host.limit_rate(RATE)?;
    let fetching = bob.run(&["fetch"])?;
    bob.wait("half of the file", |screen| stored(screen).is_some_and(|stored| stored > INTERRUPTED_AFTER))?;
    bob.press(b"\x03")?;
    fetching.ends_with(130)?;
    bob.wait_for("interrupted")?;

    alice.host.unlimit_rate()?;
    bob.run(&["fetch"])?.ends_with(0)?;
    bob.wait_for("Saved")?;
    sending.ends_with(0)?;
    alice.wait_for("Fetched by")?;
    let arrived = fs::read(bob.folder().join(NAME)).map_err(Failure::at(NAME))?;
    if arrived != content {
        return Err(Failure::new("the file arrived with other bytes"));
    }
    [&alice, &bob].into_iter().for_each(Pane::prompt);
    let drawn = svg::draw(&[(alice.name, alice.parser().screen()), (bob.name, bob.parser().screen())]);
    fs::write(picture, drawn).map_err(Failure::at(picture.display()))
}

/// How many megabytes have arrived, by the line of progress.
fn stored(screen: &Screen) -> Option<f64> {
    let shown = screen.contents();
    let before = shown.split(" MB of ").next().filter(|before| before.len() < shown.len())?;
    before.rsplit(' ').next()?.parse().ok()
}
