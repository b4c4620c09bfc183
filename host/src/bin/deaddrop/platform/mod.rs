//! What each operating system does in a way of its own: the only place of the program that asks which system it is built
//! for (decision 0038). The library has such a place of its own.
//!
//! | file | idea |
//! |---|---|
//! | `access` | who else can reach a file, and where configuration is |
//! | `process` | core dumps, memory that may be swapped, how many files can be open |
//! | `signals` | what asks the process to end, to stop or to go on |
//! | `streams` | standard input and standard output without std's buffers |
//! | `terminal` | echo, size and foreground of a terminal |

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::{access::*, process::*, signals::*, streams::*, terminal::*};

/// Who can reach a file beside the user that this process runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// It belongs to another user than this one and the administrator.
    pub(crate) foreign: bool,
    /// Others than its owner can reach it.
    pub(crate) exposed: bool,
}

/// What the system asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A person at the terminal wants it to end.
    Interrupt,
    /// Something else does.
    Terminate,
    /// It is to stop until it is told to go on: [`suspend`] does that.
    Suspend,
    /// It was stopped, and goes on.
    GoOn,
}
