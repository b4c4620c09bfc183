//! `run` in a console: a list of offers from which a person fetches, and a console as it was before however it ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetattr;
use vt100::Parser;

use crate::scene::{Scene, System};
use crate::support::terminal::of_size;
use crate::support::{ROOM, noise, write};

const KEYS: &str = "Enter: fetch, a: all, ?: help, q: leave";
const COLUMNS: u16 = 80;
/// Wine counts what moves the cursor as characters, and a row that is too long by them as two. The row before the list stays
/// then whenever the list is painted anew, and there is to be room for that.
const ROWS: u16 = 100;

/// A person at a console.
struct Person {
    ours: File,
    theirs: File,
    /// The modes of the terminal before.
    before: String,
    program: Child,
    parser: Parser,
}

impl Person {
    fn new(scene: &Scene, folder: &Path) -> Self {
        let (ours, theirs) = of_size(COLUMNS, ROWS).unwrap();
        let before = modes(&theirs);
        let copy = || Stdio::from(theirs.try_clone().unwrap());
        let mut command = scene.windows.deaddrop_in_a_console(scene.host(System::Windows));
        command.arg("run").current_dir(folder).env("DEADDROP_ROOM", ROOM).env("NO_COLOR", "1");
        command.env("TERM", "xterm");
        let program = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        let of = |n| NonZeroU16::new(n).unwrap();
        Self { ours, theirs, before, program, parser: Parser::new(of(ROWS), of(COLUMNS), 0) }
    }

    fn types(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).unwrap();
    }

    fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let (end, mut part) = (Instant::now() + Duration::from_secs(30), [0; 4096]);
        while !is_so(&self.contents()) {
            let left = end.saturating_duration_since(Instant::now());
            let mut ours = [PollFd::new(&self.ours, PollFlags::IN)];
            let there = poll(&mut ours, Some(&left.try_into().unwrap())).unwrap();
            assert!(there > 0, "{what}: {}", self.contents());
            let read = self.ours.read(&mut part).unwrap();
            self.parser.process(&part[..read]);
        }
        self.contents()
    }

    fn shows(&mut self, text: &str) -> String {
        self.until(text, |contents| contents.contains(text))
    }

    /// Selects an offer by what its row holds.
    fn select(&mut self, text: &str) {
        let shown = self.shows(text);
        // What stays of an earlier list stands above it.
        let last =
            |part: &str| shown.lines().enumerate().filter(|(_, row)| row.contains(part)).last().unwrap().0;
        let (selected, wanted) = (last("> "), last(text));
        for _ in wanted..selected {
            self.types(b"\x1b[A");
        }
        for _ in selected..wanted {
            self.types(b"\x1b[B");
        }
        self.until(text, |contents| {
            let row = contents.lines().rev().find(|row| row.starts_with("> "));
            row.is_some_and(|row| row.contains(text))
        });
    }

    /// The program ends with this code, the keys are no longer shown, and the terminal is as it was.
    fn ends(&mut self, code: i32, last: &str) {
        let shown =
            self.until("the end", |contents| !contents.contains("q: leave") && contents.contains(last));
        assert_eq!(self.program.wait().unwrap().code(), Some(code), "{shown}");
        assert_eq!(modes(&self.theirs), self.before, "{shown}");
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn modes(terminal: &File) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
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
    let shown = bob.shows("2 offers; listening on 127.0.0.1");
    assert!(shown.contains(KEYS), "{shown}");
    // With the arrows, of which wine makes keys that type nothing.
    bob.select(" a.bin ");
    bob.select(" message ");
    bob.types(b"\r");
    bob.shows("caf\u{e9}");
    bob.types(b"a");
    bob.shows("Saved a.bin, 100000 bytes");
    assert_eq!((message.exit_code(), file.exit_code()), (0, 0));
    assert!(fs::read(here.path().join("a.bin")).unwrap() == bytes);
    bob.types(b"?");
    bob.shows("Up, Down or k, j: select");
    bob.types(b"q");
    bob.ends(0, "Saved a.bin, 100000 bytes");

    let mut bob = Person::new(&scene, here.path());
    bob.shows(KEYS);
    bob.types(b"\x03");
    bob.ends(130, "deaddrop: interrupted");
}
