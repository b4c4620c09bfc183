//! Runs a part of a test on another host: starts the test binary again, in that host's network namespace.
//!
//! A process of its own is needed because a thread cannot change its network namespace without privileges. Each
//! test binary that uses this has a test named `neighbour`, which calls [`play`] and does nothing in an ordinary
//! run.

use std::fmt::Display;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::lan::Host;
use crate::process::Process;

/// A role: its name, and the function that plays it with the words that it was started with.
pub type Role = (&'static str, fn(&[&str]));

/// Names the role in the environment of the second process.
const ROLE: &str = "DEADDROP_TEST_ROLE";
/// The event that holds a word for the test.
const WORD: &str = "word";

/// Starts to play `role` on `host`. The events that it [`tell`]s are those of the process.
pub fn start(host: &Host, role: &str, words: &[&str]) -> Process {
    Process::from_command(command(host, role, words), role.to_owned())
}

/// The command that plays `role` on `host`.
pub fn command(host: &Host, role: &str, words: &[&str]) -> Command {
    let this = std::env::current_exe().expect("this test binary");
    let mut command = host.command(this.to_str().expect("a path"));
    command.args(["--exact", "neighbour", "--nocapture"]).env(ROLE, [&[role], words].concat().join("\n"));
    command
}

/// A role that speaks in single words. Ended when dropped.
pub struct Neighbour(Process);

impl Neighbour {
    /// Starts to play `role` on `host`, and waits for its word `ready`.
    pub fn start(host: &Host, role: &str, words: &[&str]) -> Self {
        let mut neighbour = Self(start(host, role, words));
        assert_eq!(neighbour.word(), "ready", "{role}");
        neighbour
    }

    /// Waits for its next word.
    pub fn word(&mut self) -> String {
        self.0.event(WORD)[WORD].as_str().expect("a word").to_owned()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) {
        self.0.close_input();
        let (code, errors) = self.0.exit_and_errors();
        assert_eq!(code, 0, "{errors}");
    }
}

/// Plays the role that this process was started for, if it was started for one.
pub fn play(roles: &[Role]) {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split('\n').collect();
    let (name, words) = words.split_first().expect("a role");
    let (_, act) = roles.iter().find(|(role, _)| role == name).expect("a role that this file has");
    act(words);
}

/// Tells the test of an event.
pub fn tell(event: &Value) {
    // The harness may have left a line unfinished.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{event}").and_then(|()| out.flush()).expect("tell of an event");
}

/// Says a word to the test.
pub fn say(word: impl Display) {
    tell(&json!({ "event": WORD, WORD: word.to_string() }));
}

/// Becomes true once the test asks for the end, or is itself at an end.
pub fn asked_to_end() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let flag = asked.clone();
    std::thread::spawn(move || {
        wait_for_end();
        flag.store(true, Ordering::Release);
    });
    asked
}

/// Waits until the test asks for the end.
pub fn wait_for_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
