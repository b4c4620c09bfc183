//! What each operating system does in a way of its own: the only place of the library that asks which system it is
//! built for (decision 0038).
//!
//! One file for each idea, and one folder for each family of systems, whose files have the same names and functions. The
//! rest of the library knows these names alone. A folder is always a handle of `cap-std`, so that no name leads out of
//! it; an error is always an [`std::io::Error`], of which the functions here say what it means.
//!
//! | file | idea |
//! |---|---|
//! | `clock` | a clock that counts the time a machine sleeps |
//! | `files` | one open file: its identity, its owner, reads and writes at a place, space |
//! | `folders` | names in a folder: making, renaming without replacing, links, syncing |
//! | `interfaces` | what the system says of its interfaces, and that they have changed |
//! | `net` | sharing ports, binding to an interface, interfaces by name and number |
//! | `poll` | waiting for several sockets at once |

use std::net::Ipv6Addr;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
// What Windows takes a name for is tested on every system.
#[cfg(all(test, not(windows)))]
#[path = "windows/names.rs"]
mod names_of_windows;

#[cfg(unix)]
pub(crate) use unix::{clock::*, files::*, folders::*, interfaces::*, net::*, poll::*};
#[cfg(windows)]
pub(crate) use windows::{clock::*, files::*, folders::*, interfaces::*, net::*, poll::*};

/// What a file or folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Folder,
    Link,
    /// A pipe, a device, a socket.
    Other,
}

/// What a system says of an interface, whether it has an address or not.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `IFF_UP` and others.
    pub(crate) flags: u32,
    /// What it is, such as `bridge`; empty of hardware.
    pub(crate) kind: String,
    /// The interface that it belongs to.
    pub(crate) master: Option<u32>,
}

/// What a system says of one of its IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ipv6State {
    /// The number of its interface.
    pub(crate) index: u32,
    pub(crate) ip: Ipv6Addr,
    pub(crate) standing: Standing,
}

/// What an IPv6 address may be used for (RFC 4862, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// For everything.
    Preferred,
    /// It still works, and others are to be taken in its place.
    Deprecated,
    /// For nothing yet: the system asks whether another machine has it.
    Tentative,
    /// For nothing: another machine has it.
    Duplicate,
}

/// What a system says of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) kind: FileKind,
    /// Two numbers that no other file of this machine has: of the file system, and of the file in it.
    pub(crate) identity: (u64, u64),
    /// In bytes.
    pub(crate) size: u64,
    /// When it was written last: seconds since 1970, and nanoseconds.
    pub(crate) modified: (i64, i64),
    /// How many names it has.
    pub(crate) names: u64,
    /// Whether its owner may run it as a program.
    pub(crate) executable: bool,
}

/// What a file system says of its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes in all.
    pub(crate) total: u64,
    /// Bytes that this user may still fill.
    pub(crate) available: u64,
    /// How many files this user may still make. `None` where they are not counted.
    pub(crate) files: Option<u64>,
}

impl Space {
    /// How many bytes a file system says that it has room for. `None` if it does not know: some FUSE file systems state
    /// no blocks at all, not even used ones.
    pub(crate) fn free(&self) -> Option<u64> {
        (self.total != 0).then_some(self.available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_any_blocks_does_not_know_its_free_space() {
        let of = |total, available| Space { total, available, files: None }.free();
        assert_eq!(of(9 * 4_096, 0), Some(0), "a full one");
        assert_eq!(of(9 * 4_096, 8_192), Some(8_192));
        assert_eq!(of(0, 0), None);
    }
}
