//! What is sent: a file that stays open and must stay as it is, or a message in memory.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use deaddrop_core::offer::{Kind, Name};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Most bytes of a message. More is sent as a file.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// What is sent.
#[derive(Debug)]
pub enum Source {
    /// A file.
    File(SourceFile),
    /// A message.
    Message(SourceMessage),
}

impl Source {
    /// What kind of drop it makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Message(_) => Kind::Message,
        }
    }

    /// Its size in bytes, as it was when it was opened.
    pub fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.identity.size,
            Self::Message(message) => u64::try_from(message.bytes().len()).unwrap_or(u64::MAX),
        }
    }

    /// Fills `buffer` with the bytes from `offset` on. Fails with `UnexpectedEof` if there are fewer.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_at(offset, buffer),
            Self::Message(message) => {
                let part = usize::try_from(offset)
                    .ok()
                    .and_then(|start| message.bytes().get(start..start.checked_add(buffer.len())?));
                buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Whether it is still what it was when it was opened.
    pub fn unchanged(&self) -> io::Result<bool> {
        match self {
            Self::File(file) => file.unchanged(),
            Self::Message(_) => Ok(true),
        }
    }
}

/// A file to be sent, open from the start, so that the offer and what is sent are the same file.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    path: PathBuf,
    identity: Identity,
}

/// What tells a file and its contents from another.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl SourceFile {
    /// Opens a file. Folders, pipes and devices are refused.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let refuse = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(format!("there is no file {}", path.display())),
            _ => Failure::file("read", path, &error),
        };
        // Not to wait for the other end if it is a pipe, before that is known.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(refuse)?;
        // Through the handle, so that it is this file whatever happens to the path.
        let metadata = file.metadata().map_err(refuse)?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!(
                "{} is a folder: folders cannot be sent yet, so pack it into one file first",
                path.display()
            )));
        }
        if !metadata.is_file() {
            return Err(Failure::usage(format!("{} is not a regular file", path.display())));
        }
        Ok(Self { file, path: path.to_owned(), identity: Identity::of(&metadata) })
    }

    /// The path it was opened under.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name to offer it under: `chosen`, or its own.
    pub fn name(&self, chosen: Option<&str>) -> Result<Name, Failure> {
        let own = || self.path.file_name().and_then(|name| name.to_str());
        let name = match chosen {
            Some("") => return Err(Failure::usage("the name given with --name is empty")),
            Some(chosen) => chosen,
            None => own().ok_or_else(|| {
                Failure::usage(format!(
                    "{} has no name that is text: give one with --name",
                    self.path.display()
                ))
            })?,
        };
        Name::new(name).map_err(|error| Failure::usage(error.to_string()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn unchanged(&self) -> io::Result<bool> {
        self.file.metadata().map(|metadata| Identity::of(&metadata) == self.identity)
    }
}

/// A message to be sent, wiped when dropped.
#[derive(Default)]
pub struct SourceMessage(Zeroizing<Vec<u8>>);

impl SourceMessage {
    /// Takes a message from the command line over, without another copy of it.
    pub fn from_text(mut text: Zeroizing<String>) -> Result<Self, Failure> {
        Self::from_bytes(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
    }

    /// Takes a message over, without another copy of it.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, Failure> {
        let message = Self(bytes);
        if message.bytes().len() > MESSAGE_MAX { Err(too_long()) } else { Ok(message) }
    }

    /// Reads a message from standard input to its end, past std's buffer, which is never wiped.
    pub fn from_stdin() -> Result<Self, Failure> {
        let unreadable = |error: io::Error| Failure::failed(format!("cannot read standard input: {error}"));
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        Self::from_reader(File::from(stdin))
    }

    fn from_reader(mut reader: impl Read) -> Result<Self, Failure> {
        // Memory for the longest message and one byte more, so that it neither grows and leaves a copy
        // behind nor takes a longer one for whole.
        let mut message = Self(Zeroizing::new(vec![0; MESSAGE_MAX + 1]));
        let mut length = 0;
        while let Some(rest @ [_, ..]) = message.0.get_mut(length..) {
            match reader.read(rest) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::failed(format!("cannot read the message: {error}"))),
            }
        }
        if length > MESSAGE_MAX {
            return Err(too_long());
        }
        // Truncating keeps the memory, and zeroize wipes all of it.
        message.0.truncate(length);
        Ok(message)
    }

    /// The bytes, for the one who has a reason to see them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Wipes it before its time.
    pub fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

fn too_long() -> Failure {
    Failure::usage(format!("a message has at most {MESSAGE_MAX} bytes: put it into a file and use send-file"))
}

impl std::fmt::Debug for SourceMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourceMessage(..)")
    }
}

#[cfg(test)]
mod tests;
