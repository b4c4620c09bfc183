//! Why something in a folder cannot be sent.

use std::fmt;
use std::io;
use std::path::PathBuf;

use deaddrop_core::wire::PathFault;

/// Something below the given paths that cannot be part of a drop.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unsendable {
    /// Its path.
    pub path: PathBuf,
    /// Why it cannot be sent.
    pub why: Obstacle,
}

/// Why something cannot be part of a drop.
#[derive(Debug)]
#[non_exhaustive]
pub enum Obstacle {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is a pipe, a device or a socket.
    NotRegular,
    /// Its name is not UTF-8 text.
    NameNotText,
    /// Its name is too long, or it is too deep in its folder.
    Path(PathFault),
    /// It states a size that is not that of its content, as files in `/proc` and `/sys` do.
    NoSize,
    /// It is a symbolic link, and points to this place outside of the folder.
    LinkOutside(PathBuf),
    /// It is a symbolic link that was to be followed, and leads into a folder that it is in itself.
    Loop,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.why)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NotRegular => f.write_str("a pipe, a device or a socket"),
            Self::NameNotText => f.write_str("its name is not UTF-8"),
            Self::Path(fault) => fault.fmt(f),
            Self::NoSize => f.write_str("it states a size that is not that of its content"),
            Self::LinkOutside(target) => {
                write!(f, "a link that may lead out of the folder, to {}", target.display())
            }
            Self::Loop => f.write_str("a link to a folder that it is in itself"),
        }
    }
}
