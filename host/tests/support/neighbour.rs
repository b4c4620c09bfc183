//! A part of a test that is played on another host: this test binary, started anew in that host's network.
//!
//! Whatever a test does on a network of its own it does here, because a thread of the test cannot change its
//! network without privileges. Each file that uses it has the test `neighbour`, which calls [`play`] and does
//! nothing in an ordinary run.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::lan::Host;

/// Names the role in the environment of the second process.
const ROLE: &str = "DEADDROP_TEST_ROLE";
/// What a line to the test begins with, among the lines of the test harness.
const MARK: &str = "> ";
/// How long a test waits for a word of its neighbour.
const PATIENCE: Duration = Duration::from_secs(60);

/// A role being played. Ended when dropped.
pub struct Neighbour {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    role: String,
}

impl Neighbour {
    /// Starts to play `role` on `host`, and waits until it says that it is ready.
    pub fn start(host: &Host, role: &str, words: &[&str]) -> Self {
        let this = std::env::current_exe().expect("this test binary");
        let mut child = host
            .command(this.to_str().expect("a path"))
            .args(["--exact", "neighbour", "--nocapture"])
            .env(ROLE, [&[role], words].concat().join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a neighbour");
        let stdin = child.stdin.take();
        let out = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let Ok(line) = line else { break };
                if let Some(word) = line.strip_prefix(MARK)
                    && sender.send(word.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        let mut neighbour = Self { child, stdin, lines, role: role.into() };
        assert_eq!(neighbour.word(), "ready", "{role}");
        neighbour
    }

    /// Waits for the next thing it says.
    pub fn word(&mut self) -> String {
        let word = self.lines.recv_timeout(PATIENCE);
        word.unwrap_or_else(|_| panic!("the {} says nothing", self.role))
    }

    /// Asks it to end, and gives what it says by then.
    pub fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let words = self.lines.iter().collect();
        let status = self.child.wait().expect("wait for a neighbour");
        assert!(status.success(), "the {} failed", self.role);
        words
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a role does, given the words that the test started it with.
pub type Role = fn(&[&str]);

/// Plays the role that this process was started for, if it was started for one.
pub fn play(roles: &[(&str, Role)]) {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split('\n').collect();
    let (name, words) = words.split_first().expect("a role");
    let (_, act) = roles.iter().find(|(role, _)| role == name).expect("a role that this file has");
    act(words);
}

/// Says something to the test.
pub fn say(word: impl Display) {
    // The harness may have left a line unfinished.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{word}").and_then(|()| out.flush()).expect("say something");
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
