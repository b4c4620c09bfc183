//! The record beside a drop that is being received: what a later process needs to go on with it (decision 0023).
//!
//! It is a file with two slots that are written in turn, each with a number that grows and a checksum. A crash in the
//! midst of a write leaves the other slot as it was, so that there is always a valid one. It is never replaced, because
//! its lock says whether a process is at work on the drop. Behind the slots that of a bundle has a journal (decision 0039).

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;
use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::limits::GRACE_MAX;
use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::token::{FetchId, Token};
use zeroize::Zeroizing;

use super::error::SaveError;
use super::part::hidden_name;
use crate::address::Address;
use crate::platform::{self, FileExt, FileKind, is_named};

/// What the name of a record adds to that of its part file.
pub(in crate::files) const SUFFIX: &str = ".record";

/// The first bytes of a slot; the last of them is the version of this form.
const MAGIC: &[u8; 8] = b"ddpart\0\x01";
/// The version of the protocol that the fetch speaks.
const PROTOCOL: u8 = 1;
/// Bytes of a slot.
const SLOT: usize = 512;
/// Where the second slot begins: on another page than the first, which a torn write therefore leaves alone.
const SECOND: u64 = 4_096;
/// Where the journal of a bundle begins, behind the slots.
const JOURNAL: u64 = 2 * SECOND;
/// Bytes of the checksum at the end of a slot.
const CHECKSUM: usize = 32;

/// How far a fetch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::files) enum Stage {
    /// Its claim may lapse.
    Receiving,
    /// `ready` may have been sent: nobody else can have the drop any more.
    Ready,
    /// Every byte is verified and durable.
    Whole,
}

/// What is recorded of a fetch.
#[derive(Clone)]
pub(in crate::files) struct Entry {
    pub(in crate::files) stage: Stage,
    pub(in crate::files) token: Token,
    pub(in crate::files) kind: Kind,
    pub(in crate::files) name: Name,
    pub(in crate::files) size: u64,
    /// The drop is printed or passed on, and has no file of its own unless it is kept.
    pub(in crate::files) spooled: bool,
    /// A folder may stand under the drop's name, made to see whether the file system takes that.
    pub(in crate::files) trying: bool,
    /// The sender has noted that the drop is here.
    pub(in crate::files) told: bool,
    /// Bytes from the start of the drop that are durable, without a gap and without the final record.
    pub(in crate::files) durable: u64,
    /// When the drop can be had no more, in seconds of Unix time: the end of its TTL and of the longest grace.
    pub(in crate::files) expires: u64,
    /// Where its sender was.
    pub(in crate::files) from: SocketAddr,
    /// Device and inode of the part file, or of the hidden folder.
    pub(in crate::files) part: (u64, u64),
    /// Bytes of the journal that belong to the durable bytes: how the stream of a bundle was taken apart.
    pub(in crate::files) journal: u64,
    /// The fetch id: a secret of the claim.
    id: Zeroizing<[u8; 16]>,
}

impl Entry {
    /// Of a drop that has just been claimed.
    pub(in crate::files) fn new(offer: &Offer, id: &FetchId, from: SocketAddr, spooled: bool) -> Self {
        Self {
            stage: Stage::Receiving,
            token: offer.token,
            kind: offer.kind,
            name: offer.name.clone(),
            size: offer.size,
            spooled,
            trying: false,
            told: false,
            durable: 0,
            expires: now().saturating_add((offer.ttl_left + GRACE_MAX).as_secs()),
            from,
            part: (0, 0),
            journal: 0,
            id: Zeroizing::new(*id.as_bytes()),
        }
    }

    pub(in crate::files) fn id(&self) -> FetchId {
        FetchId::from_bytes(*self.id)
    }

    pub(in crate::files) fn set_id(&mut self, id: &FetchId) {
        self.id.copy_from_slice(id.as_bytes());
    }

    /// The drop as its sender offered it. What is left of its TTL is what was left of it and of the grace.
    pub(in crate::files) fn offer(&self) -> Offer {
        Offer {
            token: self.token,
            kind: self.kind,
            name: self.name.clone(),
            size: self.size,
            ttl_left: Duration::from_secs(self.expires.saturating_sub(now())),
            fetches_left: 1,
        }
    }

    /// Whether nobody can have the drop from its sender any more.
    pub(in crate::files) fn is_expired(&self) -> bool {
        self.expires < now()
    }

    fn encode(&self, number: u64) -> Zeroizing<[u8; SLOT]> {
        let mut slot = Zeroizing::new([0; SLOT]);
        let mut to = Cursor { slot: &mut slot[..], at: 0 };
        to.put(MAGIC);
        to.put(&number.to_be_bytes());
        let stage = match self.stage {
            Stage::Receiving => 0,
            Stage::Ready => 1,
            Stage::Whole => 2,
        };
        let flags = u8::from(self.spooled) | u8::from(self.trying) << 1 | u8::from(self.told) << 2;
        to.put(&[PROTOCOL, stage, self.kind.code(), flags]);
        to.put(self.token.as_bytes());
        to.put(&*self.id);
        for number in [self.size, self.durable, self.expires, self.part.0, self.part.1] {
            to.put(&number.to_be_bytes());
        }
        // The zone of a link-local address is kept in it.
        let ip = match Address::from(self.from).to_source() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        to.put(&ip.octets());
        to.put(&self.from.port().to_be_bytes());
        let name = self.name.as_str().as_bytes();
        // A name has at most 255 bytes.
        to.put(&[u8::try_from(name.len()).unwrap_or(0)]);
        to.put(name);
        to.put(&self.journal.to_be_bytes());
        let (content, checksum) = slot.split_at_mut(SLOT - CHECKSUM);
        checksum.copy_from_slice(&checksum_of(content));
        slot
    }

    /// The entry in a slot, and its number; `None` if it is no whole entry of this version.
    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let content = slot.get(..SLOT - CHECKSUM)?;
        if slot.get(SLOT - CHECKSUM..SLOT)? != checksum_of(content) {
            return None;
        }
        let mut from = Reader(content);
        if from.take::<8>()? != *MAGIC {
            return None;
        }
        let number = from.number()?;
        let [protocol, stage, kind, flags] = from.take()?;
        let stage = match (protocol, stage) {
            (PROTOCOL, 0) => Stage::Receiving,
            (PROTOCOL, 1) => Stage::Ready,
            (PROTOCOL, 2) => Stage::Whole,
            _ => return None,
        };
        let token = Token::from_bytes(from.take()?);
        let id = Zeroizing::new(from.take()?);
        let [size, durable, expires, device, inode] =
            [from.number()?, from.number()?, from.number()?, from.number()?, from.number()?];
        let ip = Address::from_source(Ipv6Addr::from(from.take::<16>()?).to_canonical());
        let port = u16::from_be_bytes(from.take()?);
        let [len] = from.take()?;
        let (name, rest) = from.0.split_at_checked(len.into())?;
        let journal = Reader(rest).number()?;
        let entry = Self {
            stage,
            token,
            kind: Kind::from_code(kind)?,
            name: Name::new(std::str::from_utf8(name).ok()?).ok()?,
            size,
            spooled: flags & 1 != 0,
            trying: flags & 2 != 0,
            told: flags & 4 != 0,
            durable,
            expires,
            from: ip.at(port),
            part: (device, inode),
            journal,
            id,
        };
        (entry.durable <= size).then_some((number, entry))
    }
}

struct Cursor<'a> {
    slot: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(place) = self.slot.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Whether a slot that is no entry may be of a later program: another version of the form, or a whole slot that says what
/// this program does not know. Whatever else stands under the name of a record is a damaged one.
fn is_later(slot: &[u8]) -> bool {
    let (form, version) = MAGIC.split_at(MAGIC.len() - 1);
    let Some(rest) = slot.strip_prefix(form) else { return false };
    if !rest.starts_with(version) {
        return !rest.is_empty();
    }
    let (content, checksum) = slot.split_at(slot.len().saturating_sub(CHECKSUM));
    slot.len() == SLOT && checksum == checksum_of(content)
}

/// Reads a slot, or as much of it as is there.
fn read_slot(file: &File, at: u64) -> Option<Zeroizing<Vec<u8>>> {
    let there = file.metadata().ok()?.len().saturating_sub(at);
    let mut slot = Zeroizing::new(vec![0; usize::try_from(there).unwrap_or(SLOT).min(SLOT)]);
    file.read_exact_at(&mut slot, at).ok().map(|()| slot)
}

fn checksum_of(content: &[u8]) -> [u8; CHECKSUM] {
    let mut digest = PrefixDigest::new(content.len() as u64);
    digest.update(content);
    digest.finish()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The record of a drop, locked against other processes for as long as this is held.
pub(in crate::files) struct Record {
    pub(in crate::files) entry: Entry,
    file: File,
    dir: Dir,
    /// As the caller wrote it, for messages.
    folder: PathBuf,
    name: String,
    /// The number of the latest slot.
    number: u64,
    /// The file system knows locks, so that nobody else is at work on it.
    locked: bool,
}

/// What was found under the name of a record.
pub(in crate::files) enum Found {
    /// A record that no other process is at work on.
    Record(Box<Record>),
    /// Another process is at work on it.
    Locked,
    /// A record of ours that says nothing any more, and that no other process is at work on.
    Damaged,
    /// No record, or none of ours.
    Other,
}

impl Record {
    /// Makes the record of the part file `part`, which is to be made after it.
    pub(in crate::files) fn create(
        dir: &Dir,
        folder: &Path,
        part: &str,
        entry: Entry,
    ) -> Result<Self, std::io::Error> {
        let name = format!("{part}{SUFFIX}");
        let file = platform::make_private(dir, &name)?;
        let locked = file.try_lock().is_ok();
        let mut record =
            Self { entry, file, dir: dir.try_clone()?, folder: folder.to_owned(), name, number: 0, locked };
        let written = if is_named(dir, &record.name, &record.file) {
            record.write()
        } else {
            // Removed as an empty one, before it was locked.
            Err(std::io::ErrorKind::NotFound.into())
        };
        if let Err(error) = written {
            record.remove();
            return Err(error);
        }
        Ok(record)
    }

    /// The same under a new hidden name with the drop's `wanted` name in it; returns the hidden name too.
    pub(in crate::files) fn create_for(
        dir: &Dir,
        folder: &Path,
        wanted: &str,
        entry: Entry,
    ) -> Result<(Self, String), SaveError> {
        let mut hidden = hidden_name(wanted)?;
        let made = match Self::create(dir, folder, &hidden, entry.clone()) {
            // The file system does not take the drop's name, which is said once the drop is to get it.
            Err(error) if error.kind() != std::io::ErrorKind::StorageFull => {
                hidden = hidden_name("")?;
                Self::create(dir, folder, &hidden, entry)
            }
            made => made,
        };
        let record = made.map_err(|error| SaveError::io("make a file in", folder, error))?;
        Ok((record, hidden))
    }

    /// Makes another record of the same fetch, for a part file of this name. This one is to be removed then.
    pub(in crate::files) fn renamed(&self, part: &str) -> Result<Self, std::io::Error> {
        let entry = Entry { journal: 0, ..self.entry.clone() };
        let mut renamed = Self::create(&self.dir, &self.folder, part, entry)?;
        renamed.write_durably()?;
        Ok(renamed)
    }

    /// Opens and locks the record of this name, if it is one, and ours.
    pub(in crate::files) fn open(dir: &Dir, folder: &Path, name: &str) -> Found {
        let Ok(file) = platform::open_file(dir, name) else { return Found::Other };
        if !is_ours(&file) {
            return Found::Other;
        }
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Found::Locked,
            Err(TryLockError::Error(_)) => false,
        };
        // It may have been removed before it was locked.
        if !is_named(dir, name, &file) {
            return Found::Other;
        }
        let has_part = || dir.symlink_metadata(name.strip_suffix(SUFFIX).unwrap_or(name)).is_ok();
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) && !has_part() {
            if locked {
                // Its process ended right after it made the file.
                let _ = dir.remove_file(name);
            }
            return Found::Other;
        }
        let slots = [0, SECOND].map(|at| read_slot(&file, at));
        let there = || slots.iter().flatten();
        let latest = there().filter_map(|slot| Entry::decode(&slot[..])).max_by_key(|(number, _)| *number);
        let Some((number, entry)) = latest else {
            // What cannot be read now may be read later.
            let damaged = slots.iter().all(|slot| slot.as_ref().is_some_and(|slot| !is_later(slot)));
            return if locked && damaged { Found::Damaged } else { Found::Other };
        };
        let Ok(dir) = dir.try_clone() else { return Found::Other };
        Found::Record(Box::new(Self {
            entry,
            file,
            dir,
            folder: folder.to_owned(),
            name: name.into(),
            number,
            locked,
        }))
    }

    /// Writes the entry, over the older slot.
    pub(in crate::files) fn write(&mut self) -> Result<(), std::io::Error> {
        let number = self.number + 1;
        let at = if number.is_multiple_of(2) { SECOND } else { 0 };
        self.file.write_all_at(&self.entry.encode(number)[..], at)?;
        self.number = number;
        Ok(())
    }

    /// The same, and has it on the disk.
    pub(in crate::files) fn write_durably(&mut self) -> Result<(), std::io::Error> {
        self.write()?;
        self.file.sync_data()
    }

    /// Writes a part of the journal, at its offset in that. It counts once the entry says so.
    pub(in crate::files) fn write_journal(&self, bytes: &[u8], offset: u64) -> Result<(), std::io::Error> {
        self.file.write_all_at(bytes, JOURNAL.saturating_add(offset))
    }

    /// Has what was written on the disk.
    pub(in crate::files) fn sync(&self) -> Result<(), std::io::Error> {
        self.file.sync_data()
    }

    /// Sets aside space for so many more bytes of the journal behind `offset`. A file system that cannot promise space is
    /// believed.
    pub(in crate::files) fn reserve_journal(&self, offset: u64, more: u64) -> Result<(), std::io::Error> {
        platform::reserve(&self.file, JOURNAL.saturating_add(offset), more)
    }

    /// The journal as far as it counts.
    pub(in crate::files) fn journal(&self) -> Result<Vec<u8>, std::io::Error> {
        let there = self.file.metadata()?.len().saturating_sub(JOURNAL);
        if there < self.entry.journal {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(self.entry.journal).map_err(std::io::Error::other)?];
        self.file.read_exact_at(&mut bytes, JOURNAL)?;
        Ok(bytes)
    }

    /// Whether no other process can be at work on it.
    pub(in crate::files) fn is_locked(&self) -> bool {
        self.locked
    }

    /// The name of its part file.
    pub(in crate::files) fn part(&self) -> &str {
        self.name.strip_suffix(SUFFIX).unwrap_or(&self.name)
    }

    /// The path of its part file.
    pub(in crate::files) fn path(&self) -> PathBuf {
        self.folder.join(self.part())
    }

    pub(in crate::files) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// How long ago it or its part was written last.
    pub(in crate::files) fn idle(&self) -> Duration {
        let modified = self.file.metadata().and_then(|metadata| metadata.modified());
        modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
    }

    /// Removes it, if its name is still its own.
    pub(in crate::files) fn remove(&self) {
        if is_named(&self.dir, &self.name, &self.file) {
            let _ = self.dir.remove_file(&self.name);
        }
    }
}

/// Whether a file is a regular one of this user, with one name.
pub(in crate::files) fn is_ours(file: &File) -> bool {
    let status = platform::status(file);
    status.is_ok_and(|status| status.kind == FileKind::Regular && status.names == 1)
        && platform::belongs_to_us(file)
}
