//! A terminal that is emulated: a test types into it, and waits for what it shows.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Stdio;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetattr;
use vt100::Parser;

use crate::failure::unwrap;
use crate::terminal::of_size;
use crate::{Failure, PATIENCE};

/// A terminal with a program at its other end.
pub struct Screen {
    ours: File,
    /// The program's end.
    pub theirs: File,
    /// The modes of the terminal before.
    before: String,
    parser: Parser,
    /// All that was written to the terminal.
    pub written: Vec<u8>,
}

impl Screen {
    /// An empty one, which keeps as many rows that have scrolled away. Panics if there is none.
    pub fn new(columns: u16, rows: u16, scrollback: usize) -> Self {
        let (ours, theirs) = unwrap(of_size(columns, rows));
        let of = |n| NonZeroU16::new(n).expect("a size");
        let parser = Parser::new(of(rows), of(columns), scrollback);
        Self { before: modes(&theirs), ours, theirs, parser, written: Vec::new() }
    }

    /// The program's end, for one of its streams.
    pub fn stream(&self) -> Stdio {
        self.theirs.try_clone().expect("a terminal").into()
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).expect("a terminal");
    }

    /// What it shows.
    pub fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    /// Waits until it shows what it should, and gives that. Panics with `what` if it does not in time.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let (end, mut part) = (Instant::now() + PATIENCE, [0; 4096]);
        while !is_so(&self.contents()) {
            let left = end.saturating_duration_since(Instant::now());
            let mut ours = [PollFd::new(&self.ours, PollFlags::IN)];
            let there = poll(&mut ours, Some(&left.try_into().expect("a time"))).expect("a terminal");
            assert!(there > 0, "{what}: {}", self.contents());
            let read = unwrap(self.ours.read(&mut part).map_err(Failure::at("a terminal")));
            self.parser.process(&part[..read]);
            self.written.extend_from_slice(&part[..read]);
        }
        self.contents()
    }

    /// Waits until it shows this text, and gives all that it shows.
    pub fn shows(&mut self, text: &str) -> String {
        self.until(text, |contents| contents.contains(text))
    }

    /// Whether its modes are as they were before any program.
    pub fn is_as_before(&self) -> bool {
        modes(&self.theirs) == self.before
    }
}

fn modes(terminal: &File) -> String {
    format!("{:?}", unwrap(tcgetattr(terminal).map_err(Failure::at("a terminal"))))
}
