//! How a command ends: the exit codes, and failures that say what happened and what to do next.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The exit codes. Scripts rely on them: there may be more one day, but none changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
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
    /// 7: nobody answered.
    Unreachable,
    /// 130: interrupted (SIGINT).
    Interrupted,
    /// 143: terminated (SIGTERM).
    Terminated,
}

impl Exit {
    /// The number the process ends with.
    pub const fn code(self) -> u8 {
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
/// The message says what happened, to what, and what to do next. It may hold a peer's words: whoever
/// shows it on a terminal escapes it, as [`Ui`](crate::ui::Ui) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The word for it in `error` events.
    pub code: &'static str,
    /// One line for a person.
    pub message: String,
}

impl Failure {
    /// A failure with these parts, for those that have no constructor of their own.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into() }
    }

    /// Exit 1, code `failed`.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Exit 2, code `usage`.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Exit 3, code `expired`.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Exit::Expired, "expired", message)
    }

    /// Exit 4, code `unknown`.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Exit::NotThere, "unknown", message)
    }

    /// Exit 5, code `busy`.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(Exit::Busy, "busy", message)
    }

    /// Exit 6, code `not-a-member`.
    pub fn not_a_member(message: impl Into<String>) -> Self {
        Self::new(Exit::NotAMember, "not-a-member", message)
    }

    /// Exit 7, code `unreachable`.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, "unreachable", message)
    }

    /// Exit 1, code `changed`: the file that is being sent is no longer what it was.
    pub fn changed(path: &Path) -> Self {
        Self::new(
            Exit::Failed,
            "changed",
            format!("{} changed while it was offered, so it was withdrawn: send it again", path.display()),
        )
    }

    /// Exit 1, code `no-space`.
    pub fn no_space(folder: &Path, needed: u64) -> Self {
        Self::new(
            Exit::Failed,
            "no-space",
            format!(
                "there is no room for {needed} bytes in {}: free some, or choose another place with --out (for \
                 standard output with TMPDIR)",
                folder.display()
            ),
        )
    }

    /// A file operation that failed: `no-space` if that is why, else exit 1 with code `file`.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::new(
                Exit::Failed,
                "no-space",
                format!(
                    "cannot {doing} {}: {error}; free some space, or choose another place",
                    path.display()
                ),
            );
        }
        Self::new(Exit::Failed, "file", format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Exit 1, code `output`: standard output or standard error does not take any more.
    pub fn output(error: &io::Error) -> Self {
        let message = if error.kind() == io::ErrorKind::BrokenPipe {
            "the program that read standard output has closed it".into()
        } else {
            format!("cannot write to standard output: {error}")
        };
        Self::new(Exit::Failed, "output", message)
    }

    /// Exit 130, code `interrupted`.
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted", "interrupted")
    }

    /// Exit 143, code `terminated`.
    pub fn terminated() -> Self {
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

    #[test]
    fn a_full_disk_has_its_own_word_wherever_it_shows() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::file("write", Path::new("x"), &full).code, "no-space");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(Failure::file("write", Path::new("x"), &denied).code, "file");
    }
}
