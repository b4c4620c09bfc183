//! Finds what is to be sent, once, without following links.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use deaddrop_core::limits::BUNDLE_ENTRIES_MAX;
use deaddrop_core::wire::{check_path, is_inside};

use super::obstacle::{Obstacle, Unsendable};
use crate::files::attributes::modified;
use crate::files::source::{Identity, SourceError, states_its_size};
use crate::platform::{self, FileKind, Status};

/// A path that the caller gave, below which entries are.
#[derive(Debug)]
pub(super) struct Root {
    /// As the caller wrote it.
    pub(super) path: PathBuf,
    /// The open folder; `None` for a file.
    pub(super) folder: Option<Dir>,
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
        match &self.folder {
            Some(folder) => platform::open_to_send_at(folder, below, follow),
            None => platform::open_to_send(&self.path),
        }
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
            let opened = (metadata.is_file()).then(|| platform::open_to_send(&path));
            return self.file(opened, root, name, above, false);
        }
        match platform::folder_to_send(&path) {
            Ok(folder) => {
                let walked = folder.try_clone();
                self.roots.push(Root { path: path.clone(), folder: Some(folder) });
                match walked {
                    Ok(walked) => self.folder(&walked, root, &name, name.len())?,
                    Err(error) => self.cannot(path, Obstacle::Unreadable(error)),
                }
            }
            Err(error) => self.cannot(path, Obstacle::Unreadable(error)),
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
    fn folder(&mut self, folder: &Dir, root: usize, path: &str, above: usize) -> Result<(), SourceError> {
        let read = platform::folder_status(folder).and_then(|status| Ok((status, platform::names(folder)?)));
        let (status, names) = match read {
            Ok(read) => read,
            Err(error) => {
                self.cannot_below(root, path, above, Obstacle::Unreadable(error));
                return Ok(());
            }
        };
        if self.inside.contains(&status.identity) {
            self.cannot_below(root, path, above, Obstacle::Loop);
            return Ok(());
        }
        let (path, modified) = (path.to_owned(), modified(&status));
        self.push(Found { path: path.clone(), above, root: Some(root), kind: FoundKind::Folder, modified })?;
        self.inside.push(status.identity);
        for name in names {
            self.entry(folder, &name, root, &path, above)?;
        }
        self.inside.pop();
        Ok(())
    }

    /// Something in a folder.
    fn entry(
        &mut self,
        folder: &Dir,
        name: &OsStr,
        root: usize,
        above_it: &str,
        above: usize,
    ) -> Result<(), SourceError> {
        let Some(name) = name.to_str() else {
            let below = above_it.get(above..).unwrap_or_default().trim_start_matches('/');
            let path = self.roots.get(root).map(|root| root.join(below)).unwrap_or_default();
            self.cannot(path.join(name), Obstacle::NameNotText);
            return Ok(());
        };
        let path = format!("{above_it}/{name}");
        if let Err(fault) = check_path(&path) {
            self.cannot_below(root, &path, above, Obstacle::Path(fault));
            return Ok(());
        }
        let mut kind = match platform::kind_at(folder, name, false) {
            Ok(kind) => kind,
            Err(error) => {
                self.cannot_below(root, &path, above, Obstacle::Unreadable(error));
                return Ok(());
            }
        };
        let mut follow = false;
        if kind == FileKind::Link {
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
            follow = true;
            kind = match platform::kind_at(folder, name, true) {
                Ok(kind) => kind,
                Err(error) => {
                    self.cannot_below(root, &path, above, Obstacle::Unreadable(error));
                    return Ok(());
                }
            };
        }
        if kind == FileKind::Folder {
            return match platform::folder_to_send_at(folder, name, follow) {
                Ok(opened) => self.folder(&opened, root, &path, above),
                Err(error) => {
                    self.cannot_below(root, &path, above, Obstacle::Unreadable(error));
                    Ok(())
                }
            };
        }
        // Opening a device can have effects: only what is a regular file is opened.
        let opened = (kind == FileKind::Regular).then(|| platform::open_to_send_at(folder, name, follow));
        self.file(opened, root, path, above, follow)
    }

    /// A file, if it could be opened and is one.
    fn file(
        &mut self,
        opened: Option<io::Result<File>>,
        root: usize,
        path: String,
        above: usize,
        followed: bool,
    ) -> Result<(), SourceError> {
        match sendable(opened) {
            Ok(status) => {
                let kind = FoundKind::File {
                    executable: status.executable,
                    identity: Identity::of(&status),
                    followed,
                };
                let modified = modified(&status);
                self.push(Found { path, above, root: Some(root), kind, modified })
            }
            Err(why) => {
                self.cannot_below(root, &path, above, why);
                Ok(())
            }
        }
    }

    /// Where a link points to, if it is sent as a link; `None` if it is followed.
    fn link(&self, folder: &Dir, name: &str, path: &str) -> Result<Option<String>, Obstacle> {
        let target = platform::read_link(folder, name).map_err(Obstacle::Unreadable)?;
        let inside = target.to_str().map(plain).filter(|target| is_inside(path, target));
        match inside {
            Some(target) => Ok(Some(target)),
            None if self.follow => Ok(None),
            None => Err(Obstacle::LinkOutside(Path::new(&target).into())),
        }
    }
}

/// A target without empty names and dots, which lead nowhere else. One from the root stays one.
fn plain(target: &str) -> String {
    let names: Vec<_> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let root = if target.starts_with('/') { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// Whether an open file can be sent.
fn sendable(opened: Option<io::Result<File>>) -> Result<Status, Obstacle> {
    let Some(opened) = opened else { return Err(Obstacle::NotRegular) };
    let unreadable = |error: io::Error| Obstacle::Unreadable(error);
    let file = opened.map_err(unreadable)?;
    let status = platform::status(&file).map_err(unreadable)?;
    if status.kind != FileKind::Regular {
        return Err(Obstacle::NotRegular);
    }
    if !states_its_size(&file, status.size).map_err(unreadable)? {
        return Err(Obstacle::NoSize);
    }
    Ok(status)
}
