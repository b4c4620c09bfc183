//! A person's terminal in a recorded session: a prompt, the commands that are typed there, and the screen that the
//! programs make of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use testbed::lan::Host;
use testbed::scratch::Scratch;
use testbed::{secret_file, terminal};
use vt100::{Parser, Screen};

use crate::environment::repo::Failure;

/// Columns of a terminal.
pub(super) const COLUMNS: u16 = 100;
/// Rows of it; a picture ends at the last one in use.
const ROWS: u16 = 24;
/// How long a step of the session may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The screen, and who waits for a change of it.
type Shared = Arc<(Mutex<Parser>, Condvar)>;

/// One person at a terminal of one host.
pub(super) struct Pane<'a> {
    pub(super) name: &'static str,
    pub(super) host: &'a Host,
    binary: &'a Path,
    scratch: Scratch,
    ours: File,
    theirs: File,
    shared: Shared,
}

impl<'a> Pane<'a> {
    /// A person who has kept the room.
    pub(super) fn new(
        name: &'static str,
        host: &'a Host,
        binary: &'a Path,
        room: &str,
    ) -> Result<Self, Failure> {
        let scratch = Scratch::new()?;
        let rooms = scratch.path().join("config/deaddrop/rooms");
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true).mode(0o700).create(&rooms).map_err(Failure::at(rooms.display()))?;
        secret_file::write_new(&rooms.join("default"), room.as_bytes())?;
        folders.create(scratch.path().join("here")).map_err(Failure::at("a folder"))?;
        let (ours, theirs) = terminal::of_size(COLUMNS, ROWS)?;
        let shared = Shared::new((Mutex::new(screen_of(ROWS, COLUMNS)), Condvar::new()));
        let (mut from, to) = (ours.try_clone().map_err(Failure::at("a terminal"))?, shared.clone());
        // It ends when the terminal has no other end any more.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                show(&to, &bytes[..n]);
            }
        });
        Ok(Self { name, host, binary, scratch, ours, theirs, shared })
    }

    /// The folder in which the commands run.
    pub(super) fn folder(&self) -> PathBuf {
        self.scratch.path().join("here")
    }

    /// Shows the prompt.
    pub(super) fn prompt(&self) {
        show(&self.shared, format!("\x1b[1;32m{}$\x1b[0m ", self.name).as_bytes());
    }

    /// Types a command of deaddrop behind the prompt, and runs it at this terminal.
    pub(super) fn run(&self, words: &[&str]) -> Result<Running, Failure> {
        self.prompt();
        show(&self.shared, format!("deaddrop {}\r\n", words.join(" ")).as_bytes());
        let mut command = self.host.command("setsid");
        command.args(["--ctty", "--wait"]).arg(self.binary).args(words).current_dir(self.folder());
        command.env("XDG_CONFIG_HOME", self.scratch.path().join("config"));
        command.env("TERM", "xterm").env_remove("DEADDROP_ROOM");
        let end = || self.theirs.try_clone().map(Stdio::from).map_err(Failure::at("a terminal"));
        command.stdin(end()?).stdout(end()?).stderr(end()?);
        Ok(Running(command.spawn().map_err(Failure::at("setsid, of util-linux"))?))
    }

    /// Types these keys.
    pub(super) fn press(&mut self, keys: &[u8]) -> Result<(), Failure> {
        self.ours.write_all(keys).map_err(Failure::at("a terminal"))
    }

    /// Waits until the screen is as asked.
    pub(super) fn wait(&self, what: &str, is_so: impl Fn(&Screen) -> bool) -> Result<(), Failure> {
        let (parser, changed) = &*self.shared;
        let held = parser.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(held, PATIENCE, |parser| !is_so(parser.screen()));
        let (parser, end) = waited.unwrap_or_else(PoisonError::into_inner);
        if end.timed_out() {
            let shown = parser.screen().contents();
            return Err(Failure(format!(
                "{}'s terminal does not show {what}; it shows:\n{shown}",
                self.name
            )));
        }
        Ok(())
    }

    /// Waits until the screen shows this.
    pub(super) fn wait_for(&self, text: &str) -> Result<(), Failure> {
        self.wait(&format!("{text:?}"), |screen| screen.contents().contains(text))
    }

    /// The screen as it is.
    pub(super) fn parser(&self) -> MutexGuard<'_, Parser> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty screen.
pub(super) fn screen_of(rows: u16, columns: u16) -> Parser {
    let at_least_one = |n| NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN);
    Parser::new(at_least_one(rows), at_least_one(columns), 0)
}

fn show((parser, changed): &(Mutex<Parser>, Condvar), bytes: &[u8]) {
    parser.lock().unwrap_or_else(PoisonError::into_inner).process(bytes);
    changed.notify_all();
}

/// A command of the session. Killed when dropped.
pub(super) struct Running(Child);

impl Running {
    /// Fails unless it ends with this exit code.
    pub(super) fn ends_with(mut self, code: i32) -> Result<(), Failure> {
        let status = self.0.wait().map_err(Failure::at("a command of the session"))?;
        if status.code() == Some(code) {
            return Ok(());
        }
        Err(Failure(format!("a command of the session ended with {status}, not with {code}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If this fails it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
