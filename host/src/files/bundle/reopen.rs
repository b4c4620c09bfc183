//! Goes on with a bundle that an earlier process has begun to receive: reads its journal again, checks that the files in the
//! hidden folder are those that it tells of, and removes what came after them (decision 0039).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use cap_std::fs::Dir;
use deaddrop_core::wire::{BundleEntry, BundlePart, BundleReader, EntryKind};

use super::finish::shown;
use super::folder::{FolderSink, Level, Link, OpenFile, Top};
use super::incoming::{Alteration, BundleIncoming, Reopened, SavedBundle};
use super::journal::{Journal, Note, next};
use super::stream::Sink;
use super::tail::Tail;
use crate::files::name;
use crate::files::save::SaveError;
use crate::files::save::part::{Part, is_hidden_name};
use crate::files::save::record::{Record, Stage, is_ours};
use crate::lock::lock;
use crate::platform::{self, FileExt, FileKind, Status, open_folder};

/// Goes on with what an earlier process has recorded, in a folder, where the drop is to get the name `wanted`, if there is
/// one, unless it has its name.
pub(in crate::files) fn reopen(
    record: Arc<Mutex<Record>>,
    path: &Path,
    wanted: Option<String>,
) -> Result<BundleIncoming, SaveError> {
    let mut held = lock(&record);
    let failed = |error| SaveError::io("write to", path, error);
    let dir = held.dir().try_clone().map_err(|error| SaveError::io("open", path, error))?;
    let hidden = held.part().to_owned();
    if std::mem::take(&mut held.entry.trying)
        && let Some(wanted) = &wanted
    {
        Part::remove_tried(&dir, wanted);
    }
    let (size, stage) = (held.entry.size, held.entry.stage);
    let old = Old { dir: &dir, path, hidden: &hidden, record: &held };
    let found = match (old.root()?, stage) {
        (root, Stage::Whole) => old.whole(root, wanted.clone())?,
        (Some(root), _) => Some(old.part(root, wanted.clone())?),
        (None, _) => None,
    };
    let reopened = match found {
        Some(reopened) => reopened,
        None => {
            // Nothing of it is here: it begins anew, under the same claim.
            let sink = FolderSink::create(&dir, path, wanted, &hidden, size)?;
            (held.entry.part, held.entry.durable, held.entry.journal) = (sink.identity()?, 0, 0);
            Reopened {
                sink: Sink::Folder(Box::new(sink)),
                reader: BundleReader::new(held.entry.name.clone(), size),
                tail: Tail::new(size).ok_or(SaveError::TooLarge)?,
                files: 0,
                file_left: 0,
                stage: if stage == Stage::Receiving { stage } else { Stage::Ready },
            }
        }
    };
    held.entry.stage = reopened.stage;
    held.write().map_err(failed)?;
    drop(held);
    Ok(BundleIncoming::reopened(reopened, record, size))
}

/// Whether something of a whole bundle is in its place, or in the hidden folder.
pub(in crate::files) fn is_here(dir: &Dir, path: &Path, record: &Record) -> bool {
    let old = Old { dir, path, hidden: record.part(), record };
    match old.root() {
        Ok(None) => old.whole(None, None).is_ok_and(|whole| whole.is_some()),
        Ok(Some(_)) | Err(_) => true,
    }
}

/// Whether the hidden folder in `dir` is the one with the recorded inode. Nothing may be mounted there; the number of the
/// device may be another one after a restart.
pub(super) fn is_recorded(hidden: &Status, dir: &Status, inode: u64) -> bool {
    hidden.identity == (dir.identity.0, inode)
}

/// What an earlier process has left.
struct Old<'a> {
    dir: &'a Dir,
    path: &'a Path,
    hidden: &'a str,
    record: &'a Record,
}

/// What the journal tells of.
struct Told {
    reader: BundleReader,
    tail: Tail,
    /// The hidden folder, and the folders that the next entry may be in.
    inside: Vec<OldLevel>,
    files: Vec<String>,
    folders: Vec<String>,
    links: Vec<Link>,
    tops: Vec<String>,
    inodes: Vec<u64>,
    alterations: Vec<Alteration>,
    /// The entry that came last, if it is a file.
    last: Option<LastFile>,
}

struct OldLevel {
    path: String,
    modified: Option<u64>,
    /// Unless only the journal is read.
    folder: Option<Dir>,
    /// What is in it.
    inodes: HashSet<u64>,
}

struct LastFile {
    name: String,
    modified: Option<u64>,
    /// How many bytes of it count, and how many are to come.
    here: u64,
    left: u64,
}

impl Old<'_> {
    fn not_resumable(&self) -> SaveError {
        SaveError::NotResumable { path: self.path.join(self.hidden) }
    }

    /// The hidden folder; `None` if there is nothing of this name. It has to be the one that the record tells of: what is in
    /// it is going to be removed and written to.
    fn root(&self) -> Result<Option<Dir>, SaveError> {
        let root = match open_folder(self.dir, self.hidden) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Err(self.not_resumable()),
        };
        let ours = platform::folder_belongs_to_us(&root);
        match (platform::folder_status(&root), platform::folder_status(self.dir)) {
            (Ok(status), Ok(dir)) if ours && is_recorded(&status, &dir, self.record.entry.part.1) => {
                Ok(Some(root))
            }
            // Its process ended right after it made the folder: it is empty.
            (Ok(_), _) if ours && self.record.entry.part.1 == 0 => {
                match platform::remove_folder(self.dir, self.hidden) {
                    Ok(()) => Ok(None),
                    Err(_) => Err(self.not_resumable()),
                }
            }
            _ => Err(self.not_resumable()),
        }
    }

    /// Goes on with the first bytes of a bundle.
    fn part(&self, root: Dir, wanted: Option<String>) -> Result<Reopened, SaveError> {
        let entry = &self.record.entry;
        let mut told = self.read(entry.durable, Some(&root))?;
        if told.tail.position() != entry.durable {
            return Err(self.not_resumable());
        }
        self.remove_later(&root, &told)?;
        let at = told.inside.last().and_then(|level| level.folder.as_ref()).unwrap_or(&root);
        let (mut file, mut file_left) = (None, 0);
        if let Some(last) = told.last.take() {
            let opened = self.open_last(at, &last)?;
            let open = OpenFile { file: opened, modified: last.modified, length: last.here };
            (file, file_left) = (Some(open), last.left);
        }
        let files = told.files.len() - usize::from(file_left > 0);
        let durable = told.files.len() - usize::from(file.is_some());
        let folders = told.folders.len();
        let (reader, tail, mut sink) = self.sink(told, root, wanted)?;
        sink.file = file;
        sink.synced.files.store(durable, Ordering::Relaxed);
        sink.synced.folders.store(folders, Ordering::Relaxed);
        Ok(Reopened {
            sink: Sink::Folder(Box::new(sink)),
            reader,
            tail,
            files: u32::try_from(files).unwrap_or(u32::MAX),
            file_left,
            stage: entry.stage,
        })
    }

    /// Goes on with a whole bundle, of which some may have its place. `None` if nothing of it is here.
    fn whole(&self, root: Option<Dir>, wanted: Option<String>) -> Result<Option<Reopened>, SaveError> {
        let entry = &self.record.entry;
        let mut told = self.read(entry.size, None)?;
        let files = u32::try_from(told.files.len()).unwrap_or(u32::MAX);
        let by_inode = self.placed();
        let inodes = std::mem::take(&mut told.inodes);
        let tops: Vec<Top> = std::mem::take(&mut told.tops)
            .into_iter()
            .zip(inodes)
            .filter_map(|(made, inode)| {
                let is_hidden = root.as_ref().is_some_and(|root| {
                    platform::identity_at(root, &made).is_ok_and(|identity| identity.1 == inode)
                });
                let placed = by_inode.get(&inode).cloned();
                // What is in neither place had its name, and a person has moved it since.
                (is_hidden || placed.is_some()).then_some(Top { made, placed: placed.filter(|_| !is_hidden) })
            })
            .collect();
        let Some(root) = root else {
            let folder = by_inode.get(&entry.part.1).cloned();
            let names: Vec<String> = match folder {
                Some(folder) => vec![folder],
                None => tops.into_iter().filter_map(|top| top.placed).collect(),
            };
            if names.is_empty() {
                return Ok(None);
            }
            let paths = names.into_iter().map(|name| shown(self.path, name)).collect();
            let entries = told.reader.head().map_or(0, |head| head.entries);
            let saved = SavedBundle { paths, files, entries, alterations: told.alterations };
            let (reader, tail) = (told.reader, told.tail);
            let sink = Sink::Placed(saved);
            return Ok(Some(Reopened { sink, reader, tail, files, file_left: 0, stage: Stage::Whole }));
        };
        // Those of what has its place have been made.
        told.links.retain(|link| {
            let top = link.folder.split('/').next().unwrap_or_default();
            tops.iter().any(|it| it.made == top && it.placed.is_none())
        });
        told.inside.clear();
        let (reader, tail, mut sink) = self.sink(told, root, wanted)?;
        (sink.tops, sink.remade) = (tops, true);
        let sink = Sink::Folder(Box::new(sink));
        Ok(Some(Reopened { sink, reader, tail, files, file_left: 0, stage: Stage::Whole }))
    }

    fn sink(
        &self,
        told: Told,
        root: Dir,
        wanted: Option<String>,
    ) -> Result<(BundleReader, Tail, FolderSink), SaveError> {
        // The first one is the hidden folder itself.
        let inside = told.inside.into_iter().skip(1).filter_map(|level| {
            level.folder.map(|folder| Level { folder, path: level.path, modified: level.modified })
        });
        let dir = self.dir.try_clone().map_err(|error| SaveError::io("open", self.path, error))?;
        let sink = FolderSink {
            dir,
            path: self.path.to_owned(),
            wanted,
            hidden: self.hidden.to_owned(),
            root,
            inside: inside.collect(),
            file: None,
            files: told.files,
            folders: told.folders,
            links: told.links,
            tops: told.tops.into_iter().map(|made| Top { made, placed: None }).collect(),
            alterations: told.alterations,
            journal: Journal::after(self.record.entry.journal),
            synced: Arc::default(),
            remade: false,
        };
        Ok((told.reader, told.tail, sink))
    }

    /// Files and folders of this user that have a name where the drop goes, by inode.
    fn placed(&self) -> HashMap<u64, String> {
        let names = self.dir.entries().into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter(|name| !is_hidden_name(name))
            .filter_map(|name| {
                let identity = platform::identity_at(self.dir, &name).ok()?;
                platform::belongs_to_us_at(self.dir, &name).then_some((identity.1, name))
            })
            .collect()
    }

    /// Reads the journal of the first `end` bytes. With a root, checks what is below it.
    fn read(&self, end: u64, root: Option<&Dir>) -> Result<Told, SaveError> {
        let entry = &self.record.entry;
        let journal = self.record.journal().map_err(|_| self.not_resumable())?;
        let mut told = Told {
            reader: BundleReader::new(entry.name.clone(), entry.size),
            tail: Tail::new(if root.is_some() { entry.size } else { 0 }).ok_or(SaveError::TooLarge)?,
            inside: vec![OldLevel {
                path: String::new(),
                modified: None,
                folder: root.map(Dir::try_clone).transpose().map_err(|_| self.not_resumable())?,
                inodes: HashSet::new(),
            }],
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            tops: Vec::new(),
            inodes: Vec::new(),
            alterations: Vec::new(),
            last: None,
        };
        let mut notes = &journal[..];
        while let Some(note) = next(&mut notes) {
            let stream = match note {
                Note::Stream(stream) => stream,
                Note::Top(inode) => {
                    told.inodes.push(inode);
                    continue;
                }
                Note::Name(_) => return Err(self.not_resumable()),
            };
            told.tail.add(stream);
            let mut ahead = notes;
            let given = match next(&mut ahead) {
                Some(Note::Name(name)) => {
                    notes = ahead;
                    Some(name)
                }
                _ => None,
            };
            let mut input = stream;
            let Told { reader, tail, .. } = &mut told;
            // What the reader returns is of its own buffer, and content is passed over in it.
            let mut copy = reader.clone();
            let part = copy.next(&mut input).map_err(|_| self.not_resumable())?;
            let came = match part {
                Some(BundlePart::Entry(entry)) => Some(entry),
                Some(BundlePart::Head(_)) | None => None,
                Some(BundlePart::Content(_)) => return Err(self.not_resumable()),
            };
            if !input.is_empty() {
                return Err(self.not_resumable());
            }
            let mut skipped = 0;
            reader.next(&mut &*stream).map_err(|_| self.not_resumable())?;
            if let Some(BundleEntry { kind: EntryKind::File { .. }, .. }) = came {
                skipped = reader
                    .skip_content(end.saturating_sub(tail.position()))
                    .map_err(|_| self.not_resumable())?;
            }
            if let Some(entry) = came {
                self.entry(&mut told, &entry, given, skipped, end)?;
            }
        }
        if !notes.is_empty() {
            return Err(self.not_resumable());
        }
        Ok(told)
    }

    /// Notes an entry, of whose content so many bytes are here, and checks it.
    fn entry(
        &self,
        told: &mut Told,
        entry: &BundleEntry<'_>,
        given: Option<&str>,
        here: u64,
        end: u64,
    ) -> Result<(), SaveError> {
        let (folder, own) = entry.path.rsplit_once('/').unwrap_or(("", entry.path));
        let depth = if folder.is_empty() { 0 } else { folder.split('/').count() };
        told.inside.truncate(depth + 1);
        let level = told.inside.last_mut().ok_or(SaveError::Bug)?;
        let is_top = depth == 0;
        let plain = if is_top { name::safe(own) } else { own.to_owned() };
        let made = given.map_or(plain, str::to_owned);
        let path = if is_top { made.clone() } else { format!("{}/{made}", level.path) };
        told.last = None;
        if let EntryKind::Link { target } = entry.kind {
            if is_top {
                return Err(self.not_resumable());
            }
            told.links.push(Link {
                path: entry.path.to_owned(),
                folder: level.path.clone(),
                folder_modified: level.modified,
                name: made,
                target: target.to_owned(),
            });
            return Ok(());
        }
        if made != own {
            let path = entry.path.to_owned();
            told.alterations.push(Alteration::Renamed { path, name: made.clone() });
        }
        let status = match &level.folder {
            Some(at) => Some(self.checked(at, &made, entry, here)?),
            None => None,
        };
        level.inodes.extend(status.map(|status| status.identity.1));
        if is_top {
            told.tops.push(made.clone());
        }
        match entry.kind {
            EntryKind::Folder => {
                let folder = match &level.folder {
                    Some(at) => Some(open_folder(at, &made).map_err(|_| self.not_resumable())?),
                    None => None,
                };
                told.folders.push(path.clone());
                let modified = entry.modified;
                told.inside.push(OldLevel { path, modified, folder, inodes: HashSet::new() });
            }
            EntryKind::File { size, .. } => {
                if let Some(at) = &level.folder {
                    self.keep_latest(&mut told.tail, at, &made, here, end)?;
                } else {
                    told.tail.pass(here);
                }
                told.files.push(path);
                let modified = entry.modified;
                told.last = Some(LastFile { name: made, modified, here, left: size - here });
            }
            EntryKind::Link { .. } => {}
        }
        Ok(())
    }

    /// Checks that a file or folder is what this user's earlier process has made there.
    fn checked(&self, at: &Dir, name: &str, entry: &BundleEntry<'_>, here: u64) -> Result<Status, SaveError> {
        let status = platform::status_at(at, name).map_err(|_| self.not_resumable())?;
        let fits = match entry.kind {
            EntryKind::File { size, .. } => {
                let length = if here == size { status.size == size } else { status.size >= here };
                status.kind == FileKind::Regular && status.names == 1 && length
            }
            EntryKind::Folder => status.kind == FileKind::Folder,
            EntryKind::Link { .. } => false,
        };
        if fits && platform::belongs_to_us_at(at, name) { Ok(status) } else { Err(self.not_resumable()) }
    }

    /// Reads as much of a file's content as is among the latest bytes before `end`.
    fn keep_latest(
        &self,
        tail: &mut Tail,
        at: &Dir,
        name: &str,
        here: u64,
        end: u64,
    ) -> Result<(), SaveError> {
        let old = tail.kept_from(end).saturating_sub(tail.position()).min(here);
        tail.pass(old);
        if old == here {
            return Ok(());
        }
        let file = platform::open_file(at, name).map_err(|_| self.not_resumable())?;
        let len = usize::try_from(here - old).map_err(|_| SaveError::TooLarge)?;
        let mut bytes = zeroize::Zeroizing::new(vec![0; len]);
        file.read_exact_at(&mut bytes, old).map_err(|_| self.not_resumable())?;
        tail.add(&bytes);
        Ok(())
    }

    /// Opens the file that came last, and cuts off what does not count of it.
    fn open_last(&self, at: &Dir, last: &LastFile) -> Result<File, SaveError> {
        let file = platform::open_file(at, &last.name).map_err(|_| self.not_resumable())?;
        if !is_ours(&file) {
            return Err(self.not_resumable());
        }
        let failed = |error| SaveError::io("write to", &self.path.join(self.hidden), error);
        if file.metadata().map_err(failed)?.len() != last.here {
            file.set_len(last.here).map_err(failed)?;
        }
        Ok(file)
    }

    /// Removes what came after the bytes that count. It can only be in the folders that the next entry may be in. All of it
    /// is this user's own: nobody else can enter the hidden folder.
    fn remove_later(&self, root: &Dir, told: &Told) -> Result<(), SaveError> {
        let failed = |error| SaveError::io("write to", &self.path.join(self.hidden), error);
        for level in &told.inside {
            let at = level.folder.as_ref().unwrap_or(root);
            for name in platform::names(at).map_err(failed)? {
                let metadata = at.symlink_metadata(&name).map_err(failed)?;
                // What is recorded has a name of UTF-8.
                let identity = name.to_str().map(|name| platform::identity_at(at, name));
                if let Some((_, inode)) = identity.transpose().map_err(failed)?
                    && level.inodes.contains(&inode)
                {
                    continue;
                }
                let removed =
                    if metadata.is_dir() { at.remove_dir_all(&name) } else { at.remove_file(&name) };
                removed.map_err(failed)?;
            }
        }
        Ok(())
    }
}
