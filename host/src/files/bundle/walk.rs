//! Finds what is to be sent, once, without following links.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use deaddrop_core::limits::BUNDLE_ENTRIES_MAX;
use deaddrop_core::wire::{MODIFIED_MAX, check_path, is_inside};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::obstacle::{Obstacle, Unsendable};
use crate::files::source::{Identity, SourceError, states_its_size};

/// Opens neither a pipe that waits for its other end, nor a terminal that becomes ours.
const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A path that the caller gave, below which entries are.
#[derive(Debug)]
pub(super) struct Root {
    /// As the caller wrote it.
    pub(super) path: PathBuf,
    /// The open folder; `None` for a file.
    pub(super) folder: Option<OwnedFd>,
}

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its path in the bundle.
    pub(super) path: String,
    /// How many bytes of that path are not part of its path below its root.
    pub(super) above: usize,
    /// The number of its root; `None` for a folder that is made for the bundle.
    pub(super) root: Option<usize>,
    pub(super) kind: FoundKind,
    /// In seconds since 1970, if the bundle can say it.
    pub(super) modified: Option<u64>,
}

#[derive(Debug)]
pub(super) enum FoundKind {
    Folder,
    File {
        executable: bool,
        identity: Identity,
        /// It is where a link points to that was followed.
        followed: bool,
    },
    Link {
        target: String,
    },
}

impl Root {
    /// Opens a file below it.
    pub(super) fn open(&self, below: &str, follow: bool) -> io::Result<File> {
        let link = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        Ok(match &self.folder {
            Some(folder) => File::from(rustix::fs::openat(folder, below, OPEN | link, Mode::empty())?),
            None => File::from(rustix::fs::open(&self.path, OPEN, Mode::empty())?),
        })
    }

    /// Where something below it is, for a person.
    pub(super) fn join(&self, below: &str) -> PathBuf {
        if below.is_empty() { self.path.clone() } else { self.path.join(below) }
    }
}

/// What was found, in the order of a bundle.
#[derive(Debug, Default)]
pub(super) struct Walk {
    follow: bool,
    pub(super) roots: Vec<Root>,
    pub(super) found: Vec<Found>,
    pub(super) unsendable: Vec<Unsendable>,
    /// The folders that the walk is in, so that it does not go round in circles.
    inside: Vec<(u64, u64)>,
}

impl Walk {
    /// Walks what is at these paths, which have the given names in the bundle.
    pub(super) fn of(tops: Vec<(String, PathBuf)>, follow: bool) -> Result<Self, SourceError> {
        let mut walk = Self { follow, ..Self::default() };
        for (name, path) in tops {
            walk.top(name, path)?;
        }
        Ok(walk)
    }

    /// A path that the caller gave. A link there is the caller's own, and followed.
    fn top(&mut self, name: String, path: PathBuf) -> Result<(), SourceError> {
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SourceError::NotFound { path });
            }
            Err(error) => {
                self.cannot(path, Obstacle::Unreadable(error));
                return Ok(());
            }
        };
        let root = self.roots.len();
        if !metadata.is_dir() {
            let above = name.len();
            self.roots.push(Root { path: path.clone(), folder: None });
            let opened = (metadata.is_file()).then(|| rustix::fs::open(&path, OPEN, Mode::empty()));
            return self.file(opened, root, name, above, false);
        }
        match rustix::fs::open(&path, OPEN | OFlags::DIRECTORY, Mode::empty()) {
            Ok(folder) => {
                let walked = folder.try_clone();
                self.roots.push(Root { path: path.clone(), folder: Some(folder) });
                match walked {
                    Ok(walked) => self.folder(walked, root, &name, name.len())?,
                    Err(error) => self.cannot(path, Obstacle::Unreadable(error)),
                }
            }
            Err(error) => self.cannot(path, Obstacle::Unreadable(error.into())),
        }
        Ok(())
    }

    fn cannot(&mut self, path: PathBuf, why: Obstacle) {
        self.unsendable.push(Unsendable { path, why });
    }

    /// Something below a root cannot be sent.
    fn cannot_below(&mut self, root: usize, path: &str, above: usize, why: Obstacle) {
        let below = path.get(above..).unwrap_or_default().trim_start_matches('/');
        if let Some(root) = self.roots.get(root) {
            let path = root.join(below);
            self.cannot(path, why);
        }
    }

    fn push(&mut self, found: Found) -> Result<(), SourceError> {
        if self.found.len() >= BUNDLE_ENTRIES_MAX as usize {
            return Err(SourceError::TooManyEntries);
        }
        self.found.push(found);
        Ok(())
    }

    /// A folder and all that is in it.
    fn folder(&mut self, folder: OwnedFd, root: usize, path: &str, above: usize) -> Result<(), SourceError> {
        let folder = File::from(folder);
        let read = folder.metadata().and_then(|metadata| Ok((metadata, names(folder.as_fd())?)));
        let (metadata, names) = match read {
            Ok(read) => read,
            Err(error) => {
                self.cannot_below(root, path, above, Obstacle::Unreadable(error));
                return Ok(());
            }
        };
        let identity = (metadata.dev(), metadata.ino());
        if self.inside.contains(&identity) {
            self.cannot_below(root, path, above, Obstacle::Loop);
            return Ok(());
        }
        let (path, modified) = (path.to_owned(), modified(&metadata));
        self.push(Found { path: path.clone(), above, root: Some(root), kind: FoundKind::Folder, modified })?;
        self.inside.push(identity);
        for name in names {
            self.entry(folder.as_fd(), &name, root, &path, above)?;
        }
        self.inside.pop();
        Ok(())
    }

    /// Something in a folder.
    fn entry(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        root: usize,
        above_it: &str,
        above: usize,
    ) -> Result<(), SourceError> {
        let Ok(name) = std::str::from_utf8(name) else {
            let below = above_it.get(above..).unwrap_or_default().trim_start_matches('/');
            let path = self.roots.get(root).map(|root| root.join(below)).unwrap_or_default();
            self.cannot(path.join(std::ffi::OsStr::from_bytes(name)), Obstacle::NameNotText);
            return Ok(());
        };
        let path = format!("{above_it}/{name}");
        if let Err(fault) = check_path(&path) {
            self.cannot_below(root, &path, above, Obstacle::Path(fault));
            return Ok(());
        }
        let mut kind = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(error) => {
                self.cannot_below(root, &path, above, Obstacle::Unreadable(error.into()));
                return Ok(());
            }
        };
        let mut link = OFlags::NOFOLLOW;
        if kind == FileType::Symlink {
            match self.link(folder, name, &path) {
                Ok(Some(target)) => {
                    let kind = FoundKind::Link { target };
                    return self.push(Found { path, above, root: Some(root), kind, modified: None });
                }
                Ok(None) => {}
                Err(why) => {
                    self.cannot_below(root, &path, above, why);
                    return Ok(());
                }
            }
            // What it points to, which is the caller's wish.
            link = OFlags::empty();
            kind = match rustix::fs::statat(folder, name, AtFlags::empty()) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(error) => {
                    self.cannot_below(root, &path, above, Obstacle::Unreadable(error.into()));
                    return Ok(());
                }
            };
        }
        if kind == FileType::Directory {
            return match rustix::fs::openat(folder, name, OPEN | OFlags::DIRECTORY | link, Mode::empty()) {
                Ok(opened) => self.folder(opened, root, &path, above),
                Err(error) => {
                    self.cannot_below(root, &path, above, Obstacle::Unreadable(error.into()));
                    Ok(())
                }
            };
        }
        // Opening a device can have effects: only what is a regular file is opened.
        let opened = (kind == FileType::RegularFile)
            .then(|| rustix::fs::openat(folder, name, OPEN | link, Mode::empty()));
        self.file(opened, root, path, above, link.is_empty())
    }

    /// A file, if it could be opened and is one.
    fn file(
        &mut self,
        opened: Option<Result<OwnedFd, Errno>>,
        root: usize,
        path: String,
        above: usize,
        followed: bool,
    ) -> Result<(), SourceError> {
        match sendable(opened) {
            Ok(metadata) => {
                let kind = FoundKind::File {
                    executable: metadata.mode() & 0o100 != 0,
                    identity: Identity::of(&metadata),
                    followed,
                };
                let modified = modified(&metadata);
                self.push(Found { path, above, root: Some(root), kind, modified })
            }
            Err(why) => {
                self.cannot_below(root, &path, above, why);
                Ok(())
            }
        }
    }

    /// Where a link points to, if it is sent as a link; `None` if it is followed.
    fn link(&self, folder: BorrowedFd<'_>, name: &str, path: &str) -> Result<Option<String>, Obstacle> {
        let target = rustix::fs::readlinkat(folder, name, Vec::new())
            .map_err(|error| Obstacle::Unreadable(error.into()))?
            .into_bytes();
        let inside = std::str::from_utf8(&target).ok().map(plain).filter(|target| is_inside(path, target));
        match inside {
            Some(target) => Ok(Some(target)),
            None if self.follow => Ok(None),
            None => Err(Obstacle::LinkOutside(Path::new(std::ffi::OsStr::from_bytes(&target)).into())),
        }
    }
}

/// A target without empty names and dots, which lead nowhere else. One from the root stays one.
fn plain(target: &str) -> String {
    let names: Vec<_> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let root = if target.starts_with('/') { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// The names in a folder, in the order of their bytes.
fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether an open file can be sent.
fn sendable(opened: Option<Result<OwnedFd, Errno>>) -> Result<Metadata, Obstacle> {
    let Some(opened) = opened else { return Err(Obstacle::NotRegular) };
    let unreadable = |error: io::Error| Obstacle::Unreadable(error);
    let file = File::from(opened.map_err(|error| unreadable(error.into()))?);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Obstacle::NotRegular);
    }
    if !states_its_size(&file, metadata.len()).map_err(unreadable)? {
        return Err(Obstacle::NoSize);
    }
    Ok(metadata)
}

fn modified(metadata: &Metadata) -> Option<u64> {
    u64::try_from(metadata.mtime()).ok().filter(|at| *at <= MODIFIED_MAX)
}
