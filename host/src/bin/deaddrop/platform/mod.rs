//! What each operating system does in a way of its own: the only place of the program that asks which system it is built
//! for (decision 0038). The library has such a place of its own.
//!
//! | file | idea |
//! |---|---|
//! | `access` | whether other users can reach a file, and where configuration and state are |
//! | `disk` | what a file system has left, and what a file takes of it |
//! | `keyboard` | a terminal whose keys are read as they are pressed |
//! | `process` | core dumps, memory that may be swapped, how many files can be open, what only an administrator may |
//! | `programs` | programs with a process group of their own |
//! | `service` | the socket of the service manager |
//! | `signals` | what asks the process to end, to stop or to go on |
//! | `streams` | standard input and standard output without std's buffers |
//! | `terminal` | echo, size, characters and foreground of a terminal |

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    access::*, disk::*, keyboard::*, process::*, programs::*, service::*, signals::*, streams::*, terminal::*,
};
#[cfg(windows)]
pub(crate) use windows::{
    access::*, disk::*, keyboard::*, process::*, programs::*, service::*, signals::*, streams::*, terminal::*,
};

/// Whether users other than the one that this process runs for can reach a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// It belongs to another user than this one and the administrator.
    pub(crate) foreign: bool,
    /// Others than its owner can reach it.
    pub(crate) exposed: bool,
}

/// What the system asks of the process.
#[cfg_attr(windows, expect(dead_code, reason = "no process is stopped there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A person at the terminal wants it to end.
    Interrupt,
    /// The terminal is gone, or a service is to read its configuration again.
    HangUp,
    /// Something else does.
    Terminate,
    /// It is to stop until it is told to go on: [`suspend`] does that.
    Suspend,
    /// It was stopped, and goes on.
    GoOn,
    /// The size of the terminal has changed.
    Resize,
}

/// What a file system has left.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    /// For others than the administrator.
    pub(crate) bytes: u64,
    /// Files that can still be made, and all; 0 and 0 where there is no such number.
    pub(crate) files: (u64, u64),
}
