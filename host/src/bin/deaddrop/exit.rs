//! How a command ends: the exit codes, and failures that say what happened and what to do next.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes. Scripts rely on them: there may be more one day, but none changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    /// 0: what was asked for is done.
    Done,
    /// 1: it failed for a reason that no other code names.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: the drop expired before it was fetched.
    Expired,
    /// 4: the drop is not there: an unknown token, or already taken.
    NotThere,
    /// 5: another receiver holds the drop, or its sender is flooded.
    Busy,
    /// 6: the other side does not know this room.
    NotAMember,
    /// 7: nobody answered, or the interface that was named is down or absent.
    Unreachable,
    /// 130: interrupted (SIGINT).
    Interrupted,
    /// 143: terminated (SIGTERM).
    Terminated,
}

impl Exit {
    /// The number the process ends with.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Expired => 3,
            Self::NotThere => 4,
            Self::Busy => 5,
            Self::NotAMember => 6,
            Self::Unreachable => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked to.
///
/// The message says what happened, to what, and what to do next. It may hold a peer's words, which
/// `Ui` escapes on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The word for it in `error` events.
    pub(crate) code: &'static str,
    /// One line for a person.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with these parts, for those that have no constructor of their own.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into() }
    }

    /// Exit 1, code `failed`.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Exit 2, code `usage`.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Exit 3, code `expired`.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(Exit::Expired, "expired", message)
    }

    /// Exit 4, code `unknown`.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Exit::NotThere, "unknown", message)
    }

    /// Exit 5, code `busy`.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(Exit::Busy, "busy", message)
    }

    /// Exit 6, code `not-a-member`.
    pub(crate) fn not_a_member(message: impl Into<String>) -> Self {
        Self::new(Exit::NotAMember, "not-a-member", message)
    }

    /// Exit 7, code `unreachable`.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, "unreachable", message)
    }

    /// Exit 1, code `output`: standard output or standard error does not take any more.
    pub(crate) fn output(error: &io::Error) -> Self {
        let message = if error.kind() == io::ErrorKind::BrokenPipe {
            "the program that read standard output has closed it".into()
        } else {
            format!("cannot write to standard output: {error}")
        };
        Self::new(Exit::Failed, "output", message)
    }

    /// Exit 130, code `interrupted`.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted", "interrupted")
    }

    /// Exit 143, code `terminated`.
    pub(crate) fn terminated() -> Self {
        Self::new(Exit::Terminated, "terminated", "terminated")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_contract() {
        let table = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Failure::usage("").exit, 2),
            (Failure::expired("").exit, 3),
            (Failure::unknown("").exit, 4),
            (Failure::busy("").exit, 5),
            (Failure::not_a_member("").exit, 6),
            (Failure::unreachable("").exit, 7),
            (Failure::interrupted().exit, 130),
            (Failure::terminated().exit, 143),
        ];
        for (exit, code) in table {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
