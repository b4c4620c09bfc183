//! The sources of drops: a file that stays open and must stay as it is, a bundle, a message in memory, or what a reader
//! gave.

mod spool;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use deaddrop_core::offer::{Kind, Name, NameError};
use deaddrop_core::wire::{Attributes, PathFault};
use zeroize::Zeroizing;

use super::attributes;
use super::bundle::obstacle::Unsendable;
use super::bundle::source::BundleSource;
use crate::platform::{self, FileExt, FileKind, Status};
pub(crate) use spool::SourceSpool;

/// Most bytes of a message. Longer texts are sent as files.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// How many files an error names.
const NAMED: usize = 5;

/// Why a file or a text cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such file.
    NotFound {
        /// Its path.
        path: PathBuf,
    },
    /// The file cannot be read.
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is a folder.
    Folder {
        /// Its path.
        path: PathBuf,
    },
    /// It is a pipe, a device or a socket.
    NotRegular {
        /// Its path.
        path: PathBuf,
    },
    /// It states a size that is not that of its content, as files in `/proc` and `/sys` do.
    NoSize {
        /// Its path.
        path: PathBuf,
    },
    /// The file's own name is not UTF-8 text, so that it has to be offered under another.
    NameNotText {
        /// Its path.
        path: PathBuf,
    },
    /// The chosen name is empty.
    NameEmpty,
    /// The name is none that a drop may have.
    Name(NameError),
    /// Some of what is in the folders cannot be sent.
    Unsendable(Vec<Unsendable>),
    /// Two of the given paths have the same last name.
    SameName {
        /// Both.
        paths: [PathBuf; 2],
    },
    /// There is nothing to send: no path was given, or all that there is was left out.
    NothingToSend,
    /// The folders have more entries than a drop may have, or too many bytes.
    TooManyEntries,
    /// The chosen name is none that a folder can have.
    NoFolderName,
    /// Below a folder with the chosen name, a path is too long or too deep.
    TooDeep {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The message has more than [`MESSAGE_MAX`] bytes.
    MessageTooLong,
    /// The message cannot be read from where it comes.
    MessageUnreadable(io::Error),
    /// The content of a file cannot be read from where it comes.
    InputUnreadable(io::Error),
    /// The content of a file cannot be spooled.
    NotSpooled {
        /// The folder of the spool.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The content of a file is more than the folder for temporary files has room for.
    SpoolFull {
        /// The folder of the spool.
        folder: PathBuf,
        /// How many bytes were spooled.
        spooled: u64,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path } => write!(f, "there is no file {}: check the path", path.display()),
            Self::Unreadable { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Folder { path } => write!(f, "{} is a folder: send it as a bundle", path.display()),
            Self::NotRegular { path } => write!(f, "{} is not a regular file", path.display()),
            Self::NoSize { path } => {
                write!(f, "{} states a size that is not that of its content", path.display())
            }
            Self::NameNotText { path } => write!(f, "{} has no name that is text", path.display()),
            Self::NameEmpty => f.write_str("the name of the drop is empty"),
            Self::Name(error) => error.fmt(f),
            Self::Unsendable(all) => {
                write!(f, "{} of the files cannot be sent: ", all.len())?;
                for (n, unsendable) in all.iter().take(NAMED).enumerate() {
                    write!(f, "{}{unsendable}", if n == 0 { "" } else { "; " })?;
                }
                match all.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::SameName { paths: [one, other] } => {
                write!(f, "{} and {} have the same name", one.display(), other.display())
            }
            Self::NothingToSend => f.write_str("there is nothing to send"),
            Self::TooManyEntries => {
                write!(
                    f,
                    "a drop has at most {} files and folders",
                    deaddrop_core::limits::BUNDLE_ENTRIES_MAX
                )
            }
            Self::NoFolderName => f.write_str("the name is none that a folder can have"),
            Self::TooDeep { path, fault } => write!(f, "{}: {fault}", path.display()),
            Self::MessageTooLong => {
                write!(f, "a message has at most {MESSAGE_MAX} bytes: put it into a file and send that")
            }
            Self::MessageUnreadable(error) => write!(f, "cannot read the message: {error}"),
            Self::InputUnreadable(error) => write!(f, "cannot read the content of the file: {error}"),
            Self::NotSpooled { folder, error } => {
                write!(f, "cannot spool the content of the file in {}: {error}", folder.display())
            }
            Self::SpoolFull { folder, spooled } => write!(
                f,
                "the content of the file does not end after {spooled} bytes, and {} has no room for more",
                folder.display()
            ),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. }
            | Self::NotSpooled { error, .. }
            | Self::MessageUnreadable(error)
            | Self::InputUnreadable(error) => Some(error),
            Self::Name(error) => Some(error),
            _ => None,
        }
    }
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file.
    File(SourceFile),
    /// A folder, or several files and folders.
    Bundle(Box<BundleSource>),
    /// A message.
    Message(SourceMessage),
    /// The content of a file that a reader gave.
    Spool(SourceSpool),
}

impl Source {
    /// What kind of drop it makes.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::File(_) | Self::Spool(_) => Kind::File,
            Self::Bundle(_) => Kind::Directory,
            Self::Message(_) => Kind::Message,
        }
    }

    /// Its size in bytes, as it was when it was opened.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.identity.size,
            Self::Bundle(bundle) => bundle.size(),
            Self::Message(message) => u64::try_from(message.bytes().len()).unwrap_or(u64::MAX),
            Self::Spool(spool) => spool.size(),
        }
    }

    /// What `begin` says of it: of a file alone, as a bundle says it of each of its files.
    pub(crate) fn attributes(&self) -> Option<Attributes> {
        match self {
            Self::File(file) => Some(file.attributes),
            Self::Bundle(_) | Self::Message(_) | Self::Spool(_) => None,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on. Fails with `UnexpectedEof` if there are fewer.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_at(offset, buffer),
            Self::Bundle(bundle) => bundle.read_at(offset, buffer),
            Self::Message(message) => copy_part(message.bytes(), offset, buffer),
            Self::Spool(spool) => spool.read_at(offset, buffer),
        }
    }

    /// Whether it is still what it was when it was opened.
    pub(crate) fn unchanged(&self) -> io::Result<bool> {
        match self {
            Self::File(file) => file.unchanged(),
            // A bundle compares each file with each read, and a spool opens no other bytes than were sealed.
            Self::Bundle(_) | Self::Message(_) | Self::Spool(_) => Ok(true),
        }
    }
}

/// Fills `buffer` with the bytes from `offset` on, if there are as many.
fn copy_part(bytes: &[u8], offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let part =
        usize::try_from(offset).ok().and_then(|start| bytes.get(start..start.checked_add(buffer.len())?));
    buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
    Ok(())
}

/// The name of a file drop.
pub(crate) fn file_name(chosen: &str) -> Result<Name, SourceError> {
    if chosen.is_empty() {
        return Err(SourceError::NameEmpty);
    }
    Name::new(chosen).map_err(SourceError::Name)
}

/// A file to be sent, open from the start, so that the offer and what is sent are the same file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    file: File,
    path: PathBuf,
    identity: Identity,
    attributes: Attributes,
}

/// What tells a file and its contents from another. The change time (ctime) is none of it: it moves with a rename, a
/// hard link, a mode or an extended attribute too, and the contents stay as they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Whether it has a name yet: a file that another was renamed over is no longer the one at its path.
    named: bool,
}

impl Identity {
    pub(super) fn of(status: &Status) -> Self {
        Self { file: status.identity, size: status.size, modified: status.modified, named: status.names != 0 }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// Whether a file that states `size` bytes has that many. Those of `/proc` state 0 and have content; those of `/sys`
/// state a page and have less.
pub(super) fn states_its_size(file: &File, size: u64) -> io::Result<bool> {
    let read = loop {
        match file.read_at(&mut [0], size.saturating_sub(1)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    Ok((read == 0) == (size == 0))
}

impl SourceFile {
    /// Opens a file. Folders, pipes and devices are refused.
    pub(crate) fn open(path: &Path) -> Result<Self, SourceError> {
        let refuse = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::NotFound { path: path.to_owned() },
            _ => SourceError::Unreadable { path: path.to_owned(), error },
        };
        let file = platform::open_to_send(path).map_err(refuse)?;
        // By the handle: the path may name another file by now.
        let status = platform::status(&file).map_err(refuse)?;
        match status.kind {
            FileKind::Regular => {}
            FileKind::Folder => return Err(SourceError::Folder { path: path.to_owned() }),
            FileKind::Link | FileKind::Other => {
                return Err(SourceError::NotRegular { path: path.to_owned() });
            }
        }
        if !states_its_size(&file, status.size).map_err(refuse)? {
            return Err(SourceError::NoSize { path: path.to_owned() });
        }
        let attributes = attributes::read(&file, &status).map_err(refuse)?;
        Ok(Self { file, path: path.to_owned(), identity: Identity::of(&status), attributes })
    }

    /// The name to offer it under: `chosen`, or its own.
    pub(crate) fn name(&self, chosen: Option<&str>) -> Result<Name, SourceError> {
        let own = || self.path.file_name().and_then(|name| name.to_str());
        match chosen {
            Some(chosen) => file_name(chosen),
            None => file_name(own().ok_or_else(|| SourceError::NameNotText { path: self.path.clone() })?),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn unchanged(&self) -> io::Result<bool> {
        platform::status(&self.file).map(|status| Identity::of(&status) == self.identity)
    }
}

/// A message to be sent, wiped when dropped.
#[derive(Default)]
pub(crate) struct SourceMessage(Zeroizing<Vec<u8>>);

impl SourceMessage {
    /// Takes a message over without copying it.
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, SourceError> {
        let message = Self(bytes);
        if message.bytes().len() > MESSAGE_MAX { Err(SourceError::MessageTooLong) } else { Ok(message) }
    }

    /// Reads a message to its end, into memory that is wiped when dropped.
    pub(crate) fn from_reader(mut reader: impl Read) -> Result<Self, SourceError> {
        // Room for the longest message and one byte more: the buffer never grows, which would leave a copy behind, and a
        // longer message shows.
        let mut message = Self(Zeroizing::new(vec![0; MESSAGE_MAX + 1]));
        let mut length = 0;
        while let Some(rest @ [_, ..]) = message.0.get_mut(length..) {
            match reader.read(rest) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::MessageUnreadable(error)),
            }
        }
        if length > MESSAGE_MAX {
            return Err(SourceError::MessageTooLong);
        }
        // Truncating keeps the memory, and zeroize wipes all of it.
        message.0.truncate(length);
        Ok(message)
    }

    /// The bytes of the message, which are a secret.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SourceMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceMessage(..)")
    }
}

#[cfg(test)]
mod tests;
