//! Why a received drop could not be saved.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use deaddrop_core::wire::BundleError;

/// Why a received drop could not be saved.
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveError {
    /// There is no such folder.
    NoFolder {
        /// The folder, as the caller wrote it.
        path: PathBuf,
    },
    /// The path has no last component that is UTF-8 text.
    NotAFileName {
        /// The path.
        path: PathBuf,
    },
    /// The path names a pipe, a device or a socket, or lies in a folder that holds these.
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The file system has less space left than the drop needs.
    NoSpace {
        /// The folder that the drop was to go into.
        folder: PathBuf,
        /// How many bytes it needs.
        needed: u64,
    },
    /// The part file was removed, or another file or a link was put in its place.
    PartReplaced {
        /// The folder that the drop was to go into.
        folder: PathBuf,
    },
    /// The process may not write files of this size.
    FileSizeLimit {
        /// How many bytes the drop has.
        size: u64,
        /// The limit in bytes, `RLIMIT_FSIZE`.
        limit: u64,
    },
    /// The file's name and every numbered variant of it are taken.
    NamesTaken {
        /// The path that was wanted.
        path: PathBuf,
        /// How many variants were tried.
        tried: u16,
    },
    /// The file system takes no file of this name.
    NameRefused {
        /// The path that was wanted.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What an earlier process received is not as it left it: shorter, a link, another folder, or of another user.
    NotResumable {
        /// The file, or the hidden folder.
        path: PathBuf,
    },
    /// A bundle has more entries than it may have.
    TooManyEntries {
        /// How many it has.
        entries: u32,
        /// The most.
        most: u32,
    },
    /// A drop that could not be put out cannot be kept either: there is no folder for it.
    NoPlace,
    /// A file operation failed.
    Io {
        /// The operation as a verb phrase: the text says "cannot `operation` `path`".
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system gave no random bytes for a temporary name.
    Randomness(getrandom::Error),
    /// The drop does not fit into this machine's memory addresses.
    TooLarge,
    /// The sender sent a folder that breaks the protocol.
    Bundle(BundleError),
    /// The sender sent more bytes than it had offered.
    Excess,
    /// Fewer bytes arrived than were offered.
    Truncated {
        /// How many arrived.
        stored: u64,
        /// How many were offered.
        size: u64,
    },
    /// A thread that was to save the drop has panicked, or the drop was saved in another way than asked for. This is a
    /// bug.
    Bug,
}

impl SaveError {
    pub(crate) fn io(operation: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), error }
    }

    /// Whether the disk is full, or the user's share of it.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Io { error, .. } => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

impl From<BundleError> for SaveError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder { path } => write!(f, "there is no folder {}", path.display()),
            Self::NotAFileName { path } => write!(f, "{} names no file", path.display()),
            Self::NotRegular { path } => write!(f, "{} is not a regular file", path.display()),
            Self::NoSpace { folder, needed } => {
                write!(f, "there is no room for {needed} bytes in {}", folder.display())
            }
            Self::PartReplaced { folder } => {
                write!(f, "another program removed or replaced the unfinished file in {}", folder.display())
            }
            Self::FileSizeLimit { size, limit } => {
                write!(
                    f,
                    "file too large: the drop has {size} bytes, and this process may write {limit} to a file"
                )
            }
            Self::NamesTaken { path, tried } => {
                write!(f, "{} and {tried} names like it are taken", path.display())
            }
            Self::NameRefused { path, error } => {
                write!(f, "the file system takes no file with the name {}: {error}", path.display())
            }
            Self::NotResumable { path } => {
                write!(f, "{} is not as an earlier fetch left it", path.display())
            }
            Self::TooManyEntries { entries, most } => {
                write!(f, "the drop has {entries} files and folders, and there is room for {most}")
            }
            Self::NoPlace => f.write_str("there is no folder to keep the drop in"),
            Self::Io { operation, path, error } => {
                write!(f, "cannot {operation} {}: {error}", path.display())
            }
            Self::Randomness(error) => write!(f, "the system has no random numbers: {error}"),
            Self::TooLarge => f.write_str("the drop is too large"),
            Self::Bundle(error) => write!(f, "the sender sent {error}, so nothing was kept"),
            Self::Excess => f.write_str("the sender sent more than it had offered, so nothing was kept"),
            Self::Truncated { stored, size } => {
                write!(f, "only {stored} of {size} bytes arrived, so nothing was kept: fetch it again")
            }
            Self::Bug => f.write_str("saving the drop went wrong: this is a fault of deaddrop"),
        }
    }
}

impl std::error::Error for SaveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } | Self::NameRefused { error, .. } => Some(error),
            Self::Randomness(error) => Some(error),
            Self::Bundle(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let of = |kind: io::ErrorKind| SaveError::io("write", Path::new("x"), io::Error::from(kind));
        assert!(of(io::ErrorKind::StorageFull).is_no_space());
        assert!(of(io::ErrorKind::QuotaExceeded).is_no_space());
        assert!(!of(io::ErrorKind::PermissionDenied).is_no_space());
    }
}
