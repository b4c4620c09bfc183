//! The stream of a bundle, made of the files as it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use deaddrop_core::offer::Name;
use deaddrop_core::wire::{BUNDLE_BUFFER, BundleEntry, BundleHead, EntryKind, check_path};

use super::obstacle::Unsendable;
use super::walk::{Found, FoundKind, Root, Walk};
use crate::files::source::{Identity, SourceError};
use crate::lock::lock;
use crate::platform::{FileExt, status};

/// Files that are held open while they are sent in parts.
const OPEN_MAX: usize = 8;
/// Names in the name of a bundle of separate entries, which is cut after this many bytes.
const LABEL: usize = 200;

/// How a bundle is put together.
///
/// ```
/// use deaddrop::{BundleOptions, Sender};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = std::env::temp_dir().join(format!("deaddrop-doc-{}", std::process::id()));
/// std::fs::create_dir_all(folder.join("photos/2026"))?;
/// std::fs::write(folder.join("photos/2026/a.jpg"), b"...")?;
/// let drop = Sender::bundle([folder.join("photos")], &BundleOptions::default())?;
/// assert_eq!(drop.files(), Some(1));
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleOptions {
    /// Sends what a symbolic link points to in its place if that may be outside of the folder. Without it, such a link
    /// cannot be sent.
    pub follow: bool,
    /// Leaves out what cannot be sent. Without it, nothing is sent then.
    pub skip_unsendable: bool,
}

/// A bundle to be sent. It holds no more than a few descriptors: each file is opened anew when its turn comes, and has
/// to be what it was.
pub(crate) struct BundleSource {
    roots: Vec<Root>,
    found: Vec<Found>,
    separate: bool,
    left_out: Vec<Unsendable>,
    layout: Layout,
    /// Files of which a part has been sent.
    open: Mutex<Vec<(usize, Arc<File>)>>,
    changed: ChangedEntry,
}

/// The file that was found to be changed, once one was.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangedEntry(Arc<Mutex<Option<PathBuf>>>);

impl ChangedEntry {
    pub(crate) fn get(&self) -> Option<PathBuf> {
        lock(&self.0).clone()
    }
}

/// Where everything is in the stream.
#[derive(Default)]
struct Layout {
    head: Vec<u8>,
    /// Where the header of each entry begins.
    starts: Vec<u64>,
    size: u64,
}

impl BundleSource {
    /// Walks what is at these paths: one folder, or several files and folders.
    pub(crate) fn walk(paths: &[PathBuf], options: BundleOptions) -> Result<(Self, Name), SourceError> {
        let mut tops = BTreeMap::new();
        for path in paths {
            let name = top_name(path)?;
            if let Some(other) = tops.insert(name, path.clone()) {
                return Err(SourceError::SameName { paths: [other, path.clone()] });
            }
        }
        let separate = match paths {
            [only] => !std::fs::metadata(only).is_ok_and(|metadata| metadata.is_dir()),
            _ => true,
        };
        let tops: Vec<_> = tops.into_iter().collect();
        let label = if separate { label(tops.iter().map(|(name, _)| &**name)) } else { None };
        let label = label.or_else(|| tops.first().map(|(name, _)| name.clone())).unwrap_or_default();
        let walk = Walk::of(tops, options.follow)?;
        if !walk.unsendable.is_empty() && !options.skip_unsendable {
            return Err(SourceError::Unsendable(walk.unsendable));
        }
        if walk.found.is_empty() {
            return Err(SourceError::NothingToSend);
        }
        let Walk { roots, found, unsendable: left_out, .. } = walk;
        let layout = Layout::of(&found, separate)?;
        let (open, changed) = (Mutex::default(), ChangedEntry::default());
        let name = Name::new(&label).map_err(SourceError::Name)?;
        Ok((Self { roots, found, separate, left_out, layout, open, changed }, name))
    }

    /// Gives the folder another name, or puts separate entries into a folder of this name.
    pub(crate) fn rename(&mut self, name: &str) -> Result<(), SourceError> {
        if name.contains('/') || check_path(name).is_err() {
            return Err(SourceError::NoFolderName);
        }
        for found in &mut self.found {
            let old = if self.separate { 0 } else { found.path.find('/').unwrap_or(found.path.len()) };
            let slash = if self.separate { "/" } else { "" };
            let new = format!("{name}{slash}{}", found.path.get(old..).unwrap_or_default());
            if let Err(fault) = check_path(&new) {
                return Err(SourceError::TooDeep { path: found.path.clone().into(), fault });
            }
            found.above = (found.above + new.len()).saturating_sub(found.path.len());
            found.path = new;
        }
        if self.separate {
            let (path, kind) = (name.to_owned(), FoundKind::Folder);
            self.found.insert(0, Found { path, above: name.len(), root: None, kind, modified: None });
            self.separate = false;
        }
        self.layout = Layout::of(&self.found, self.separate)?;
        Ok(())
    }

    /// The length of the stream.
    pub(crate) fn size(&self) -> u64 {
        self.layout.size
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> u32 {
        let files = self.found.iter().filter(|found| matches!(found.kind, FoundKind::File { .. })).count();
        u32::try_from(files).unwrap_or(u32::MAX)
    }

    /// What could not be sent and was left out.
    pub(crate) fn left_out(&self) -> &[Unsendable] {
        &self.left_out
    }

    /// What becomes the file that has changed.
    pub(crate) fn changed(&self) -> ChangedEntry {
        self.changed.clone()
    }

    /// Fills `buffer` with the bytes of the stream from `offset` on. Fails if a file that it takes is no longer what it
    /// was when the bundle was put together.
    pub(crate) fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let mut next = self.layout.starts.partition_point(|start| *start <= offset);
        let mut scratch = [0; BUNDLE_BUFFER];
        while !buffer.is_empty() {
            let (start, header) = match next.checked_sub(1) {
                None => (0, &self.layout.head[..]),
                Some(index) => {
                    let (Some(found), Some(start)) = (self.found.get(index), self.layout.starts.get(index))
                    else {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    };
                    let len = emit(found, &mut scratch).map_err(io::Error::other)?;
                    (*start, scratch.get(..len).unwrap_or_default())
                }
            };
            let within = usize::try_from(offset - start).unwrap_or(usize::MAX);
            let part = header.get(within..).unwrap_or_default();
            let (to, rest) = buffer.split_at_mut(part.len().min(buffer.len()));
            to.copy_from_slice(part.get(..to.len()).unwrap_or_default());
            offset += to.len() as u64;
            buffer = rest;
            if let Some(index) = next.checked_sub(1) {
                let end = self.layout.starts.get(next).copied().unwrap_or(self.layout.size);
                let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
                let (to, rest) = buffer.split_at_mut(len);
                self.content(index, offset - (start + header.len() as u64).min(offset), within == 0, to)?;
                offset += to.len() as u64;
                buffer = rest;
                if offset < end {
                    break;
                }
            }
            next += 1;
        }
        Ok(())
    }

    /// Reads a part of the content of a file. At the beginning of its entry, a file is checked even if it is empty.
    fn content(&self, index: usize, at: u64, first: bool, to: &mut [u8]) -> io::Result<()> {
        let Some(found) = self.found.get(index) else { return Ok(()) };
        let FoundKind::File { identity, followed, .. } = &found.kind else { return Ok(()) };
        if to.is_empty() && !(first && identity.size() == 0) {
            return Ok(());
        }
        self.file(index, found, *followed, identity, at, to).inspect_err(|_| {
            let path = self.root(found).map(|root| root.join(below(found))).unwrap_or_default();
            lock(&self.changed.0).get_or_insert(path);
        })
    }

    /// Reads a part of a file, which has to be what it was.
    fn file(
        &self,
        index: usize,
        found: &Found,
        followed: bool,
        identity: &Identity,
        at: u64,
        to: &mut [u8],
    ) -> io::Result<()> {
        let held = lock(&self.open).iter().find(|(held, _)| *held == index).map(|(_, file)| file.clone());
        let file = match held {
            Some(file) => file,
            None => Arc::new(self.root(found)?.open(below(found), followed)?),
        };
        file.read_exact_at(to, at)?;
        // After the read, so that no byte is from after a change.
        if Identity::of(&status(&file)?) != *identity {
            return Err(io::Error::other("it has changed"));
        }
        self.hold(index, file, at + to.len() as u64 == identity.size());
        Ok(())
    }

    fn root(&self, found: &Found) -> io::Result<&Root> {
        let root = found.root.and_then(|root| self.roots.get(root));
        root.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Holds a file open until all of it is sent.
    fn hold(&self, index: usize, file: Arc<File>, whole: bool) {
        let mut open = lock(&self.open);
        let held = open.iter().position(|(held, _)| *held == index);
        match held {
            Some(at) if whole => drop(open.remove(at)),
            None if !whole => {
                if open.len() >= OPEN_MAX {
                    open.remove(0);
                }
                open.push((index, file));
            }
            _ => {}
        }
    }
}

/// The path of an entry below its root.
fn below(found: &Found) -> &str {
    found.path.get(found.above..).unwrap_or_default().trim_start_matches('/')
}

impl Layout {
    fn of(found: &[Found], separate: bool) -> Result<Self, SourceError> {
        let mut scratch = [0; BUNDLE_BUFFER];
        let too_large = || SourceError::TooManyEntries;
        let size = |found: &Found| match &found.kind {
            FoundKind::File { identity, .. } => identity.size(),
            _ => 0,
        };
        let bytes = found.iter().try_fold(0, |sum: u64, found| sum.checked_add(size(found)));
        let entries = u32::try_from(found.len()).map_err(|_| too_large())?;
        let head = BundleHead { entries, bytes: bytes.ok_or_else(too_large)?, separate };
        let len = head.emit(&mut scratch).map_err(|_| too_large())?;
        let head = scratch.get(..len).unwrap_or_default().to_vec();
        let (mut at, mut starts) = (len as u64, Vec::with_capacity(found.len()));
        for found in found {
            starts.push(at);
            // What the walk found can be written: it has checked the paths.
            let len = emit(found, &mut scratch).map_err(|_| too_large())?;
            at = at
                .checked_add(len as u64)
                .and_then(|at| at.checked_add(size(found)))
                .ok_or_else(too_large)?;
        }
        Ok(Self { head, starts, size: at })
    }
}

fn emit(found: &Found, to: &mut [u8]) -> Result<usize, deaddrop_core::wire::ControlError> {
    let kind = match &found.kind {
        FoundKind::Folder => EntryKind::Folder,
        FoundKind::File { executable, identity, .. } => {
            EntryKind::File { size: identity.size(), executable: *executable }
        }
        FoundKind::Link { target } => EntryKind::Link { target },
    };
    BundleEntry { path: &found.path, kind, modified: found.modified }.emit(to)
}

/// The name of a given path in the bundle: its last one, or for `.` and `..` that of the folder it is.
fn top_name(path: &Path) -> Result<String, SourceError> {
    let not_text = || SourceError::NameNotText { path: path.to_owned() };
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        None => {
            path.canonicalize().ok().and_then(|path| path.file_name().map(Into::into)).ok_or_else(not_text)?
        }
    };
    name.into_string().map_err(|_| not_text())
}

/// What a drop of separate entries is called: the first of them, and how many more there are.
fn label<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let (first, more) = (names.next()?, names.len());
    let first = first.get(..first.floor_char_boundary(LABEL))?;
    Some(if more == 0 { first.to_owned() } else { format!("{first} and {more} more") })
}

impl fmt::Debug for BundleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleSource").field("entries", &self.found.len()).finish_non_exhaustive()
    }
}
