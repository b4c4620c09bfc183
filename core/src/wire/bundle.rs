//! A bundle: the content of a drop of kind directory, which is a folder or several files and folders
//! (protocol.md, section 11).
//!
//! One stream of bytes: a head, then for each entry a header and, for a file, its content. [`BundleReader`]
//! takes the stream apart as it comes, in pieces of any length, and holds one entry at a time.

mod path;
mod reader;

use core::fmt;

pub use path::{PathFault, check_path, is_inside};
pub use reader::{BundlePart, BundleReader};

use super::cbor::{Fields, Writer};
use super::{ControlError, MODIFIED_MAX};
use crate::limits::{BUNDLE_ENTRIES_MAX, BUNDLE_HEADER_MAX};

const HEAD: u64 = 32;
const FOLDER: u64 = 33;
const FILE: u64 = 34;
const LINK: u64 = 35;

/// Bytes of the length before each header.
pub(super) const LENGTH: usize = 2;
/// A buffer of this size holds every header with its length.
pub const BUNDLE_BUFFER: usize = LENGTH + BUNDLE_HEADER_MAX;

/// What a bundle promises before its first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleHead {
    /// How many entries follow.
    pub entries: u32,
    /// How many bytes the contents of all files have together.
    pub bytes: u64,
    /// Whether it is a number of separate files and folders. If not, it is one folder with the drop's name.
    pub separate: bool,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A folder. What is in it follows.
    Folder,
    /// A file. So many bytes of content follow.
    File {
        /// Bytes of content.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link to a place in the same top-level folder.
    Link {
        /// Where it points to, from the folder that it is in.
        target: &'a str,
    },
}

/// One entry of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleEntry<'a> {
    /// Where it is in the bundle: names with `/` between them, as [`check_path`] allows them.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind<'a>,
    /// When it was last modified, in seconds since the beginning of 1970. Links have no time.
    pub modified: Option<u64>,
}

impl BundleHead {
    /// Writes the head with its length into `out`, and returns how many bytes that are; [`BUNDLE_BUFFER`] is
    /// always enough.
    ///
    /// # Errors
    /// If `out` is shorter, or there are more entries than a bundle may have.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, ControlError> {
        framed(out, |body| {
            self.check()?;
            let mut w = Writer::begin(body, HEAD, 3)?;
            Ok(w.uint(1, self.entries.into())?.uint(2, self.bytes)?.bool(3, self.separate)?.len())
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let (mut fields, HEAD) = Fields::open(bytes)? else { return Err(ControlError::Malformed) };
        let entries = u32::try_from(fields.need(1)?.uint()?).map_err(|_| ControlError::Range("entries"))?;
        let (bytes, separate) = (fields.need(2)?.uint()?, fields.need(3)?.bool()?);
        fields.finish()?;
        let head = Self { entries, bytes, separate };
        head.check()?;
        Ok(head)
    }

    fn check(&self) -> Result<(), ControlError> {
        if (1..=BUNDLE_ENTRIES_MAX).contains(&self.entries) {
            Ok(())
        } else {
            Err(ControlError::Range("entries"))
        }
    }
}

impl<'a> BundleEntry<'a> {
    /// Writes the header with its length into `out`, and returns how many bytes that are; [`BUNDLE_BUFFER`] is
    /// always enough.
    ///
    /// # Errors
    /// If `out` is shorter, or the path, the target or the time is none that an entry may have.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, ControlError> {
        framed(out, |body| {
            self.check()?;
            let timed = u64::from(self.modified.is_some());
            let (mut w, next) = match self.kind {
                EntryKind::Folder => {
                    let mut w = Writer::begin(body, FOLDER, 1 + timed)?;
                    w.text(1, self.path)?;
                    (w, 2)
                }
                EntryKind::File { size, executable } => {
                    let mut w = Writer::begin(body, FILE, 3 + timed)?;
                    w.text(1, self.path)?.uint(2, size)?.bool(3, executable)?;
                    (w, 4)
                }
                EntryKind::Link { target } => {
                    let mut w = Writer::begin(body, LINK, 2)?;
                    w.text(1, self.path)?.text(2, target)?;
                    (w, 3)
                }
            };
            if let Some(modified) = self.modified {
                w.uint(next, modified)?;
            }
            Ok(w.len())
        })
    }

    fn parse(bytes: &'a [u8]) -> Result<Self, ControlError> {
        let (mut fields, kind) = Fields::open(bytes)?;
        let path = fields.need(1)?.text()?;
        let (kind, next) = match kind {
            FOLDER => (EntryKind::Folder, 2),
            FILE => {
                let size = fields.need(2)?.uint()?;
                (EntryKind::File { size, executable: fields.need(3)?.bool()? }, 4)
            }
            LINK => (EntryKind::Link { target: fields.need(2)?.text()? }, 0),
            other => return Err(ControlError::UnknownType(other)),
        };
        let modified = if next != 0 && fields.find(next)? { Some(fields.uint()?) } else { None };
        fields.finish()?;
        let entry = Self { path, kind, modified };
        entry.check()?;
        Ok(entry)
    }

    fn check(&self) -> Result<(), ControlError> {
        check_path(self.path).map_err(|_| ControlError::Range("path"))?;
        let link = matches!(self.kind, EntryKind::Link { .. });
        if self.modified.is_some_and(|at| link || at > MODIFIED_MAX) {
            return Err(ControlError::Range("time"));
        }
        match self.kind {
            EntryKind::Link { target } if !is_inside(self.path, target) => Err(ControlError::Range("target")),
            _ => Ok(()),
        }
    }
}

/// Writes what `body` writes, behind its length.
fn framed(
    out: &mut [u8],
    body: impl FnOnce(&mut [u8]) -> Result<usize, ControlError>,
) -> Result<usize, ControlError> {
    let (length, rest) = out.split_first_chunk_mut::<LENGTH>().ok_or(ControlError::Space)?;
    let len = body(rest)?;
    *length = u16::try_from(len).map_err(|_| ControlError::Space)?.to_be_bytes();
    Ok(LENGTH + len)
}

/// Why a stream is no bundle, or not the one that its head promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// A header cannot be decoded, or one of its fields is out of range.
    Header(ControlError),
    /// A header has more than [`BUNDLE_HEADER_MAX`] bytes, or none.
    HeaderLength,
    /// The head promises more than the drop has bytes for.
    Promise,
    /// An entry does not come after the one before it, or is there twice.
    Order,
    /// An entry is in a folder that is none of the bundle's.
    NoFolder,
    /// The bundle is not one folder with the drop's name, although its head says so.
    Top,
    /// An entry is larger than what is left of the promised sum, or the sum is not reached.
    Sum,
    /// The stream ends early, or goes on behind the last entry.
    Length,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => write!(f, "a folder with {error}"),
            Self::HeaderLength => f.write_str("a folder with a header of a wrong length"),
            Self::Promise => f.write_str("a folder that promises more than the drop has"),
            Self::Order => f.write_str("a folder with entries out of order, or one of them twice"),
            Self::NoFolder => f.write_str("a folder with an entry in a place that is no folder of it"),
            Self::Top => f.write_str("a folder that is not the one that was offered"),
            Self::Sum => f.write_str("a folder whose files have other sizes than promised"),
            Self::Length => f.write_str("a folder that is shorter or longer than promised"),
        }
    }
}

impl core::error::Error for BundleError {}

impl From<ControlError> for BundleError {
    fn from(error: ControlError) -> Self {
        Self::Header(error)
    }
}

#[cfg(test)]
mod tests;
