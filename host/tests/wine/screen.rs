//! `run` in a console: a list of offers from which a person fetches, and a console as it was before however it ends.

use std::fs;
use std::path::Path;
use std::process::Child;

use crate::scene::{Scene, System};
use crate::support::{ROOM, Screen, noise, write};

const KEYS: &str = "Enter: fetch, a: all, ?: help, q: leave";
const COLUMNS: u16 = 80;
/// Wine counts what moves the cursor as characters, and a row that is too long by them as two. The row before the list stays
/// then whenever the list is painted anew, and there is to be room for that.
const ROWS: u16 = 100;

/// A person at a console.
struct Person {
    screen: Screen,
    program: Child,
}

impl Person {
    fn new(scene: &Scene, folder: &Path) -> Self {
        let screen = Screen::new(COLUMNS, ROWS, 0);
        let mut command = scene.windows.deaddrop_in_a_console(scene.host(System::Windows));
        command.arg("run").current_dir(folder).env("DEADDROP_ROOM", ROOM).env("NO_COLOR", "1");
        command.env("TERM", "xterm");
        let program =
            command.stdin(screen.stream()).stdout(screen.stream()).stderr(screen.stream()).spawn().unwrap();
        Self { screen, program }
    }

    /// Selects an offer by what its row holds.
    fn select(&mut self, text: &str) {
        let shown = self.screen.shows(text);
        // What stays of an earlier list stands above it.
        let last =
            |part: &str| shown.lines().enumerate().filter(|(_, row)| row.contains(part)).last().unwrap().0;
        let (selected, wanted) = (last("> "), last(text));
        for _ in wanted..selected {
            self.screen.types(b"\x1b[A");
        }
        for _ in selected..wanted {
            self.screen.types(b"\x1b[B");
        }
        self.screen.until(text, |contents| {
            let row = contents.lines().rev().find(|row| row.starts_with("> "));
            row.is_some_and(|row| row.contains(text))
        });
    }

    /// The program ends with this code, the keys are no longer shown, and the terminal is as it was.
    fn ends(&mut self, code: i32, last: &str) {
        let shown = self
            .screen
            .until("the end", |contents| !contents.contains("q: leave") && contents.contains(last));
        assert_eq!(self.program.wait().unwrap().code(), Some(code), "{shown}");
        assert!(self.screen.is_as_before(), "{shown}");
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_person_fetches_from_the_list_in_the_console() {
    let scene = Scene::new();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = noise(1, 100_000);
    write(folder.path(), "a.bin", &bytes);
    let (mut message, ..) = scene.send(System::Linux, folder.path(), &["send-msg"], "caf\u{e9}\n".as_bytes());
    let (mut file, ..) = scene.send(System::Linux, folder.path(), &["send-file", "a.bin"], b"");

    let mut bob = Person::new(&scene, here.path());
    let shown = bob.screen.shows("2 offers; listening on 127.0.0.1");
    assert!(shown.contains(KEYS), "{shown}");
    // With the arrows, of which wine makes keys that type nothing.
    bob.select(" a.bin ");
    bob.select(" message ");
    bob.screen.types(b"\r");
    bob.screen.shows("caf\u{e9}");
    bob.screen.types(b"a");
    bob.screen.shows("Saved a.bin, 100000 bytes");
    assert_eq!((message.exit_code(), file.exit_code()), (0, 0));
    assert!(fs::read(here.path().join("a.bin")).unwrap() == bytes);
    bob.screen.types(b"?");
    bob.screen.shows("Up, Down or k, j: select");
    bob.screen.types(b"q");
    bob.ends(0, "Saved a.bin, 100000 bytes");

    let mut bob = Person::new(&scene, here.path());
    bob.screen.shows(KEYS);
    bob.screen.types(b"\x03");
    bob.ends(130, "deaddrop: interrupted");
}
