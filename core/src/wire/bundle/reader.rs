//! Takes the stream of a bundle apart.

use core::cmp::Ordering;

use super::{BundleEntry, BundleError, BundleHead, EntryKind, LENGTH};
use crate::limits::{BUNDLE_HEADER_MAX, BUNDLE_PATH_MAX};
use crate::offer::Name;

/// The shortest header: a folder with a name of one byte.
const SHORTEST: u64 = (LENGTH + 6) as u64;

/// What comes next in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundlePart<'a> {
    /// What the bundle promises. Comes first.
    Head(BundleHead),
    /// An entry.
    Entry(BundleEntry<'a>),
    /// The next bytes of the last entry, a file: at least one.
    Content(&'a [u8]),
}

/// Takes a bundle apart, in pieces of any length, and checks all that its head and its offer promise: the order,
/// the number of entries, the sum of their sizes, and the length of the stream.
///
/// An entry that it returns is in a folder that it returned before, so that nothing can lead through a link.
#[derive(Clone, Debug)]
pub struct BundleReader {
    /// Bytes of the stream that have not been read.
    left: u64,
    name: Name,
    head: Option<BundleHead>,
    entries_left: u32,
    bytes_left: u64,
    /// Bytes of the last file that have not been read.
    content_left: u64,
    /// The header that is being read, behind its length.
    header: [u8; LENGTH + BUNDLE_HEADER_MAX],
    filled: usize,
    /// The path of the last entry.
    last: [u8; BUNDLE_PATH_MAX],
    last_len: usize,
    last_is_folder: bool,
}

impl BundleReader {
    /// Of a drop with this name and so many bytes.
    pub const fn new(name: Name, size: u64) -> Self {
        Self {
            left: size,
            name,
            head: None,
            entries_left: 0,
            bytes_left: 0,
            content_left: 0,
            header: [0; LENGTH + BUNDLE_HEADER_MAX],
            filled: 0,
            last: [0; BUNDLE_PATH_MAX],
            last_len: 0,
            last_is_folder: false,
        }
    }

    /// What the bundle promises, once that is known.
    pub const fn head(&self) -> Option<&BundleHead> {
        self.head.as_ref()
    }

    /// How many entries are still to come, once that is known.
    pub const fn entries_left(&self) -> Option<u32> {
        if self.head.is_some() { Some(self.entries_left) } else { None }
    }

    /// The most entries that so many bytes of a bundle can hold.
    pub const fn most_entries(bytes: u64) -> u64 {
        bytes / SHORTEST
    }

    /// Takes the next part off the front of `input`; `None` if it takes more than there is.
    ///
    /// # Errors
    /// If the stream is no bundle, or not the one that was promised. Every later call fails too.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<BundlePart<'a>>, BundleError> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.content_left > 0 {
            let len = usize::try_from(self.content_left).unwrap_or(usize::MAX).min(input.len());
            let Some(content) = self.take(input, len) else { return Err(BundleError::Length) };
            self.content_left -= content.len() as u64;
            return Ok(Some(BundlePart::Content(content)));
        }
        if self.head.is_some() && self.entries_left == 0 {
            return Err(BundleError::Length);
        }
        if !self.fill(input)? {
            return Ok(None);
        }
        // A failure leaves the header where it is: the next call fails in the same way.
        let body = self.header.get(LENGTH..self.filled).unwrap_or_default();
        let Some(head) = self.head else {
            let head = BundleHead::parse(body)?;
            let least = u64::from(head.entries).checked_mul(SHORTEST).and_then(|n| n.checked_add(head.bytes));
            if least.is_none_or(|least| least > self.left) {
                return Err(BundleError::Promise);
            }
            (self.head, self.entries_left, self.bytes_left) = (Some(head), head.entries, head.bytes);
            self.filled = 0;
            return Ok(Some(BundlePart::Head(head)));
        };
        let entry = BundleEntry::parse(body)?;
        self.place(&entry, &head)?;
        let size = if let EntryKind::File { size, .. } = entry.kind { size } else { 0 };
        let bytes_left = self.bytes_left.checked_sub(size).ok_or(BundleError::Sum)?;
        let entries_left = self.entries_left.saturating_sub(1);
        let rest = u64::from(entries_left).checked_mul(SHORTEST).and_then(|n| n.checked_add(bytes_left));
        if entries_left == 0 && bytes_left != 0 {
            return Err(BundleError::Sum);
        }
        // The last entry ends with the stream, and behind any other there is room for the rest.
        let least = rest.and_then(|rest| rest.checked_add(size)).ok_or(BundleError::Length)?;
        if least > self.left || (entries_left == 0 && least != self.left) {
            return Err(BundleError::Length);
        }
        let path = entry.path.as_bytes();
        self.last.get_mut(..path.len()).unwrap_or_default().copy_from_slice(path);
        self.last_len = path.len();
        self.last_is_folder = entry.kind == EntryKind::Folder;
        (self.entries_left, self.bytes_left, self.content_left) = (entries_left, bytes_left, size);
        self.filled = 0;
        Ok(Some(BundlePart::Entry(entry)))
    }

    /// Passes over content of the last file that need not be read again, at most `length` bytes of it, and says how many
    /// these are.
    ///
    /// # Errors
    /// If the stream should have ended before.
    pub fn skip_content(&mut self, length: u64) -> Result<u64, BundleError> {
        let skipped = length.min(self.content_left);
        self.left = self.left.checked_sub(skipped).ok_or(BundleError::Length)?;
        self.content_left -= skipped;
        Ok(skipped)
    }

    /// Checks that the bundle has ended.
    ///
    /// # Errors
    /// If something that was promised has not come.
    pub fn finish(&self) -> Result<(), BundleError> {
        let whole = self.head.is_some() && self.entries_left == 0 && self.content_left == 0 && self.left == 0;
        if whole { Ok(()) } else { Err(BundleError::Length) }
    }

    /// Takes bytes off the input, unless the stream should have ended before.
    fn take<'a>(&mut self, input: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = input.split_at_checked(len)?;
        self.left = self.left.checked_sub(len as u64)?;
        *input = rest;
        Some(taken)
    }

    /// Reads the length of a header, then the header: true once it is whole.
    fn fill(&mut self, input: &mut &[u8]) -> Result<bool, BundleError> {
        loop {
            let wanted = match self.header.first_chunk::<LENGTH>() {
                Some(length) if self.filled >= LENGTH => {
                    let len = usize::from(u16::from_be_bytes(*length));
                    if !(1..=BUNDLE_HEADER_MAX).contains(&len) {
                        return Err(BundleError::HeaderLength);
                    }
                    LENGTH + len
                }
                _ => LENGTH,
            };
            let missing = wanted.saturating_sub(self.filled);
            if missing == 0 {
                return Ok(true);
            }
            let len = missing.min(input.len());
            if len == 0 {
                return Ok(false);
            }
            let taken = self.take(input, len).ok_or(BundleError::Length)?;
            let to = self.header.get_mut(self.filled..self.filled + len).ok_or(BundleError::HeaderLength)?;
            to.copy_from_slice(taken);
            self.filled += len;
        }
    }

    /// Checks that an entry may come here: after the last one, and in a folder that has come.
    fn place(&self, entry: &BundleEntry<'_>, head: &BundleHead) -> Result<(), BundleError> {
        let last = self.last.get(..self.last_len).unwrap_or_default();
        let path = entry.path.as_bytes();
        if compare(last, path) != Ordering::Less {
            return Err(BundleError::Order);
        }
        let Some((folder, _)) = entry.path.rsplit_once('/') else {
            let is_it =
                last.is_empty() && entry.kind == EntryKind::Folder && entry.path == self.name.as_str();
            return if head.separate || is_it { Ok(()) } else { Err(BundleError::Top) };
        };
        // Whatever else the last entry is in has been checked when that came.
        match last.strip_prefix(folder.as_bytes()) {
            Some([]) if self.last_is_folder => Ok(()),
            Some([b'/', ..]) => Ok(()),
            _ => Err(BundleError::NoFolder),
        }
    }
}

/// Compares two paths name by name: what is in a folder comes right behind it. NUL is in no path.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(key).cmp(b.iter().map(key))
}
