//! The journal of a bundle: how its stream was taken apart, for a later process (decision 0039).
//!
//! It holds all of the stream but the contents of files, which are in the hidden folder; which entries have another name
//! there; and once all of the bundle is durable, which inodes its top-level entries have. It stands in the record, behind
//! the slots, and only grows.

use std::io;

use crate::files::save::record::Record;

const STREAM: u8 = 0;
const NAME: u8 = 1;
const TOP: u8 = 2;

/// One thing that the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note<'a> {
    /// The next bytes of the stream that are no content of a file.
    Stream(&'a [u8]),
    /// The entry that ended last has this name and not its own.
    Name(&'a str),
    /// The next top-level entry has this inode.
    Top(u64),
}

/// The journal as it is written.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pending: Vec<u8>,
    written: u64,
}

impl Journal {
    /// That of an earlier process, which has so many bytes.
    pub(super) fn after(written: u64) -> Self {
        Self { pending: Vec::new(), written }
    }

    pub(super) fn add(&mut self, note: Note<'_>) {
        let inode;
        let (tag, bytes): (u8, &[u8]) = match note {
            Note::Stream(bytes) => (STREAM, bytes),
            Note::Name(name) => (NAME, name.as_bytes()),
            Note::Top(number) => {
                inode = number.to_be_bytes();
                (TOP, &inode)
            }
        };
        // A header and a name are much shorter than that.
        let length = u16::try_from(bytes.len()).unwrap_or(0);
        self.pending.push(tag);
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(bytes.get(..length.into()).unwrap_or_default());
    }

    /// Writes what is new into the record; returns how long the journal is then.
    pub(super) fn write(&mut self, record: &Record) -> io::Result<u64> {
        record.write_journal(&self.pending, self.written)?;
        self.written = self.written.saturating_add(self.pending.len() as u64);
        self.pending.clear();
        Ok(self.written)
    }

    /// How long it is going to be.
    pub(super) fn length(&self) -> u64 {
        self.written.saturating_add(self.pending.len() as u64)
    }
}

/// The next note of a journal; `None` if it has ended, or makes no sense from here on.
pub(super) fn next<'a>(journal: &mut &'a [u8]) -> Option<Note<'a>> {
    let ([tag, high, low], rest) = journal.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    let note = match *tag {
        STREAM => Note::Stream(bytes),
        NAME => Note::Name(std::str::from_utf8(bytes).ok()?),
        TOP => Note::Top(u64::from_be_bytes(bytes.try_into().ok()?)),
        _ => return None,
    };
    *journal = rest;
    Some(note)
}
