//! What earlier fetches have left in a folder: finds it, sweeps what is stale.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use deaddrop_core::limits::{LEASE, RECORD_MIN};
use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::token::{FetchId, TokenPrefix};
use log::debug;

use super::bundle::reopen;
use super::name;
use super::save::part::{Part, hidden_name, is_hidden_name, remove_our_folder, remove_our_part};
use super::save::record::{Entry, Found, Record, SUFFIX, Stage};
use super::save::{Destination, Incoming, Place, SaveError};
use super::target::Target;
use crate::lock::lock;

/// A drop that an earlier fetch has begun to receive and that is not finished, locked against other processes.
///
/// [`Receiver::resume`](crate::Receiver::resume) goes on with it. Dropping it changes nothing.
pub struct Unfinished {
    record: Arc<Mutex<Record>>,
    folder: PathBuf,
    /// The name that the caller has chosen.
    wanted: Option<String>,
    offer: Offer,
    from: SocketAddr,
    stage: Stage,
    incoming: Option<Target>,
}

impl Destination {
    /// What earlier fetches have left here of drops whose tokens begin like this, or of any. What another process is at
    /// work on is left out.
    ///
    /// What is stale is removed: what a fetch of this user left that is not whole, and whose TTL and grace have passed.
    pub fn unfinished(&self, token: Option<&TokenPrefix>) -> Vec<Unfinished> {
        let (Some((dir, folder)), spooled) = (self.opened(), self.is_spool()) else { return Vec::new() };
        let wanted = match &self.0 {
            Place::Folder(folder) => folder.name.as_ref(),
            Place::Spool(_) => None,
        };
        let mut found = Vec::new();
        for record in records(&dir, folder) {
            if record.is_locked() && is_stale(&dir, folder, &record) {
                debug!("files: what an earlier fetch left is stale, and removed");
                remove(&record);
            } else if token.is_none_or(|token| token.matches(&record.entry.token))
                && record.entry.spooled == spooled
            {
                found.push(Unfinished::of(record, folder, wanted.cloned()));
            }
        }
        found
    }

    /// Removes the records here of earlier fetches that a fault of the disk has damaged or cut, because nobody can go on
    /// with their drops: a later fetch begins them anew. What stands under the name of a record and is none is damaged,
    /// unless it is of a later program. Returns the paths of what is here of those. It is left alone, because
    /// nothing says any more what it is.
    pub fn remove_damaged(&self) -> Vec<PathBuf> {
        let Some((dir, folder)) = self.opened() else { return Vec::new() };
        let damaged = |name: &String| matches!(Record::open(&dir, folder, name), Found::Damaged);
        let removed = names(&dir).filter(damaged).filter(|name| dir.remove_file(name).is_ok());
        let parts = removed.filter_map(|name| name.strip_suffix(SUFFIX).map(str::to_owned));
        parts.filter(|part| dir.symlink_metadata(part).is_ok()).map(|part| folder.join(part)).collect()
    }

    /// The folder in which records are, and its path.
    fn opened(&self) -> Option<(Dir, &Path)> {
        match &self.0 {
            Place::Folder(folder) => Some((folder.dir.try_clone().ok()?, &folder.path)),
            Place::Spool(Some(folder)) => {
                Some((Dir::open_ambient_dir(folder, ambient_authority()).ok()?, folder))
            }
            Place::Spool(None) => None,
        }
    }
}

/// The records in a folder that no other process is at work on.
fn records(dir: &Dir, folder: &Path) -> Vec<Record> {
    let found = names(dir).map(|name| Record::open(dir, folder, &name));
    found
        .filter_map(|found| match found {
            Found::Record(record) => Some(*record),
            Found::Locked | Found::Damaged | Found::Other => None,
        })
        .collect()
}

/// The names in a folder that records can have.
fn names(dir: &Dir) -> impl Iterator<Item = String> {
    let entries = dir.entries().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.strip_suffix(SUFFIX).is_some_and(is_hidden_name))
}

/// Whether nothing can come of it any more: the drop cannot be had from its sender, and it is not here.
fn is_stale(dir: &Dir, folder: &Path, record: &Record) -> bool {
    let entry = &record.entry;
    let here = || {
        if is_folder(entry) {
            return reopen::is_here(dir, folder, record);
        }
        dir.symlink_metadata(record.part()).is_ok()
            || Part::placed(dir, folder, record.part(), entry.part, entry.size).is_some()
    };
    entry.is_expired() && (entry.stage != Stage::Whole || !here())
}

/// Whether what is here is a hidden folder, and no file.
fn is_folder(entry: &Entry) -> bool {
    entry.kind == Kind::Directory && !entry.spooled
}

/// Removes what is here of a drop, if it is ours, and its record.
fn remove(record: &Record) {
    if remove_part(record) {
        record.remove();
    }
}

/// Removes what is here of a drop, if it is ours. False if a part of it is still there.
fn remove_part(record: &Record) -> bool {
    if is_folder(&record.entry) {
        return remove_our_folder(record.dir(), record.part(), record.entry.part.1);
    }
    remove_our_part(record.dir(), record.part(), record.entry.part);
    true
}

impl Unfinished {
    fn of(record: Record, folder: &Path, wanted: Option<String>) -> Self {
        let (offer, from, stage) = (record.entry.offer(), record.entry.from, record.entry.stage);
        let record = Arc::new(Mutex::new(record));
        Self { record, folder: folder.to_owned(), wanted, offer, from, stage, incoming: None }
    }

    /// The drop. Its TTL counts to the end of the longest grace.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where its sender was.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// The file with what is here of it, if anything is.
    pub fn path(&self) -> PathBuf {
        lock(&self.record).path()
    }

    /// Whether the sender may hold the drop for this receiver alone: the fetch had asked for the final record.
    pub fn is_ours(&self) -> bool {
        self.stage != Stage::Receiving
    }

    /// Whether all of it is here, so that its sender is needed no more.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// Whether its claim may still be held.
    pub(crate) fn is_claimed(&self) -> bool {
        let idle = lock(&self.record).idle();
        self.stage == Stage::Receiving && idle < LEASE + Duration::from_secs(1)
    }

    /// How many bytes of it are here.
    pub fn stored(&self) -> u64 {
        let record = lock(&self.record);
        if record.entry.stage == Stage::Whole { record.entry.size } else { record.entry.durable }
    }

    /// Removes what is here of it. Its sender, which may hold the drop for this receiver, is not told:
    /// [`Receiver::discard`](crate::Receiver::discard) does that too.
    pub fn discard(self) {
        self.clear();
    }

    /// Removes it, because nothing can come of it any more.
    pub(crate) fn clear(&self) {
        let record = lock(&self.record);
        remove(&record);
    }

    /// Forgets the bytes that are here, and keeps the claim: [`Receiver::resume`](crate::Receiver::resume) begins with
    /// the first byte.
    ///
    /// # Errors
    /// If that cannot be recorded.
    pub fn restart(&mut self) -> Result<(), SaveError> {
        self.incoming = None;
        let mut record = lock(&self.record);
        remove_part(&record);
        if record.entry.stage == Stage::Whole {
            record.entry.stage = Stage::Ready;
        }
        (record.entry.durable, record.entry.journal, self.stage) = (0, 0, record.entry.stage);
        let failed = |error| SaveError::io("write to", &self.folder, error);
        if record.dir().symlink_metadata(record.part()).is_ok() {
            // Something that is not ours stands in its place, and is left alone.
            let renamed = record.renamed(&hidden_name("")?).map_err(failed)?;
            std::mem::replace(&mut *record, renamed).remove();
        }
        record.write_durably().map_err(failed)
    }

    /// Makes its TTL and grace pass.
    #[cfg(test)]
    pub(in crate::files) fn expire(self) {
        self.alter(|record| record.entry.expires = 0);
    }

    /// Has the record say something else.
    #[cfg(test)]
    pub(in crate::files) fn alter(&self, alter: impl FnOnce(&mut Record)) {
        let mut record = lock(&self.record);
        alter(&mut record);
        record.write().unwrap();
    }

    /// The fetch id: a secret of the claim.
    pub(crate) fn id(&self) -> FetchId {
        lock(&self.record).entry.id()
    }

    /// Takes another fetch id, because the sender has ended the one there was.
    pub(crate) fn renew(&mut self, id: &FetchId) {
        let mut record = lock(&self.record);
        record.entry.set_id(id);
        // Otherwise the next fetch hears that the drop is gone.
        let _ = record.write_durably();
    }

    /// Opens and checks what is here.
    pub(crate) fn open(&mut self) -> Result<&mut Target, SaveError> {
        if self.incoming.is_none() {
            let (record, wanted) = (self.record.clone(), self.wanted.clone());
            let folder = is_folder(&lock(&record).entry);
            let incoming = if folder {
                Target::Bundle(reopen::reopen(record, &self.folder, wanted)?, None)
            } else {
                let wanted = wanted.unwrap_or_else(|| name::safe(self.offer.name.as_str()));
                Target::One(Incoming::open(record, &self.folder, wanted)?)
            };
            self.stage = lock(&self.record).entry.stage;
            self.incoming = Some(incoming);
        }
        self.incoming.as_mut().ok_or(SaveError::Bug)
    }

    /// From which byte the fetch can go on, and the digest of those before it.
    pub(crate) fn prefix(&mut self) -> Result<Option<(u64, [u8; 32])>, SaveError> {
        let incoming = self.open()?;
        let offset = incoming.stored() - incoming.stored() % u64::from(RECORD_MIN);
        Ok(incoming.prefix_digest(offset).map(|digest| (offset, digest)))
    }

    /// What [`open`](Self::open) has opened.
    pub(crate) fn take(&mut self) -> Option<Target> {
        self.incoming.take()
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished")
            .field("offer", &self.offer)
            .field("from", &self.from)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
