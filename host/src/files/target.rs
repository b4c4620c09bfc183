//! Where the bytes of a drop go while it is received: to one file or to memory, or to the files of a bundle.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use deaddrop_core::offer::Kind;
use deaddrop_core::wire::Attributes;

use super::bundle::incoming::{BundleIncoming, FinishedBundle, SavedBundle};
use super::bundle::stream::{OrderedWriter, Turn};
use super::save::{
    Claimed, Destination, FinishedFile, Incoming, Kept, Leftover, Place, PositionedWriter, SaveError,
    SealedTurn, SealedWriter, Spool, Unplaced,
};
use crate::lock::lock;

/// A drop that is being received. Dropping it before [`finish`](Self::finish) removes all traces of it, unless [they are
/// kept](Self::keeps).
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one in each transfer, never in a collection")]
pub(crate) enum Target {
    /// A message or a file.
    One(Incoming),
    /// The files of a bundle, and where its archive is kept if it cannot be put out.
    Bundle(BundleIncoming, Option<PathBuf>),
}

/// Where a drop is that has arrived whole.
#[derive(Debug)]
pub(crate) enum Finished {
    /// Under this path.
    Saved(PathBuf),
    /// In memory or in a file without a name.
    Spooled(Spool),
    /// A bundle, under its own names.
    Bundle(SavedBundle),
}

/// Stores parts of a drop from several threads.
pub(crate) enum Writer {
    /// Anywhere in one file. The lock is held while a thread stores: the kernel's own lets one thread write and has the
    /// others spin; with this one they decrypt another record meanwhile.
    Anywhere(PositionedWriter, Mutex<()>),
    /// One part after the other, into a sealed file.
    Sealed(SealedWriter),
    /// One part after the other, into the files of a bundle.
    Ordered(OrderedWriter),
}

/// The turn of a thread to store.
pub(crate) enum WriteTurn<'a> {
    Anywhere(
        &'a PositionedWriter,
        #[expect(dead_code, reason = "held until the turn is over")] MutexGuard<'a, ()>,
    ),
    Sealed(SealedTurn<'a>),
    Ordered(Turn<'a>),
}

impl Target {
    /// Makes room for a drop. Nothing shows under its name yet.
    pub(crate) fn create(destination: &Destination, claimed: &Claimed<'_>) -> Result<Self, SaveError> {
        let offer = claimed.offer;
        if offer.kind != Kind::Directory {
            return Incoming::create(destination, claimed).map(Self::One);
        }
        let kept_in = match &destination.0 {
            Place::Spool(folder) => folder.clone(),
            Place::Folder(_) => None,
        };
        Ok(Self::Bundle(BundleIncoming::create(destination, claimed)?, kept_in))
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        match self {
            Self::One(one) => one.append(bytes),
            Self::Bundle(bundle, _) => bundle.append(bytes),
        }
    }

    /// What `begin` says of a file that is sent by itself.
    pub(crate) fn set_attributes(&mut self, attributes: Option<Attributes>) {
        if let Self::One(one) = self {
            one.set_attributes(attributes);
        }
    }

    /// For threads that store parts of it; `None` if that is not possible.
    pub(crate) fn writer(&self) -> Option<Writer> {
        match self {
            Self::One(one) => one.writer(),
            Self::Bundle(bundle, _) => Some(Writer::Ordered(bundle.writer())),
        }
    }

    /// Counts the next `bytes` bytes as stored: a [writer](Self::writer) has stored all of them.
    pub(crate) fn advance(&mut self, bytes: u64) {
        match self {
            Self::One(one) => one.advance(bytes),
            Self::Bundle(bundle, _) => bundle.advance(bytes),
        }
    }

    /// All that is stored came in data records: a later fetch can resume after it.
    pub(crate) fn checkpoint(&mut self) -> Result<(), SaveError> {
        match self {
            Self::One(one) => one.checkpoint(),
            Self::Bundle(bundle, _) => bundle.checkpoint(),
        }
    }

    /// Goes back to the first `stored` bytes: what comes next belongs after them.
    pub(crate) fn rewind(&mut self, stored: u64) {
        match self {
            Self::One(one) => one.rewind(stored),
            Self::Bundle(bundle, _) => bundle.rewind(stored),
        }
    }

    /// The digest by which a sender tells that the first `offset` bytes are its drop's.
    pub(crate) fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        match self {
            Self::One(one) => one.prefix_digest(offset),
            Self::Bundle(bundle, _) => bundle.prefix_digest(offset),
        }
    }

    /// How many bytes have been added.
    pub(crate) fn stored(&self) -> u64 {
        match self {
            Self::One(one) => one.stored(),
            Self::Bundle(bundle, _) => bundle.stored(),
        }
    }

    /// How many files of a bundle have been added, whole.
    pub(crate) fn files(&self) -> u32 {
        match self {
            Self::One(_) => 0,
            Self::Bundle(bundle, _) => bundle.files(),
        }
    }

    /// The size of the drop.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::One(one) => one.size(),
            Self::Bundle(bundle, _) => bundle.size(),
        }
    }

    /// Whether there are many things to make durable.
    pub(crate) fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle(_, _))
    }

    /// Whether an earlier process began it.
    pub(crate) fn is_resumed(&self) -> bool {
        match self {
            Self::One(one) => one.is_resumed(),
            Self::Bundle(bundle, _) => bundle.is_resumed(),
        }
    }

    /// Whether an earlier process has received all of it.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::One(one) => one.is_whole(),
            Self::Bundle(bundle, _) => bundle.is_whole(),
        }
    }

    /// Whether what is here stays when this is dropped, for a later fetch to go on with.
    pub(crate) fn keeps(&self) -> bool {
        match self {
            Self::One(one) => one.keeps(),
            Self::Bundle(bundle, _) => bundle.keeps(),
        }
    }

    /// What stays when this is dropped.
    pub(crate) fn kept(&self) -> Option<Kept> {
        match self {
            Self::One(one) => one.kept(),
            Self::Bundle(bundle, _) => bundle.kept(),
        }
    }

    /// Begins to make durable what is to be kept, in another thread. The receiver is closed once that is done.
    pub(crate) fn sync(&mut self) -> async_channel::Receiver<()> {
        match self {
            Self::One(one) => one.sync(),
            Self::Bundle(bundle, _) => bundle.sync(),
        }
    }

    /// Forgets it: nothing is kept.
    pub(crate) fn discard(self) {
        match self {
            Self::One(one) => one.discard(),
            Self::Bundle(bundle, _) => bundle.discard(),
        }
    }

    /// Tries what can still fail before the sender is asked for the last `length` bytes.
    pub(crate) fn reserve_tail(&mut self, length: u64) -> Result<(), SaveError> {
        match self {
            Self::One(one) => one.reserve_tail(length),
            Self::Bundle(bundle, _) => bundle.reserve_tail(length),
        }
    }

    /// Puts the drop in its place, durable. If that fails, what is here is kept.
    pub(crate) fn finish(self) -> Result<(Finished, Leftover), Unplaced> {
        match self {
            Self::One(one) => {
                let (finished, leftover) = one.finish()?;
                let finished = match finished {
                    FinishedFile::Saved(path) => Finished::Saved(path),
                    FinishedFile::Spooled(spool) => Finished::Spooled(spool),
                };
                Ok((finished, leftover))
            }
            Self::Bundle(bundle, kept_in) => {
                let (finished, leftover) = bundle.finish()?;
                let finished = match finished {
                    FinishedBundle::Saved(saved) => Finished::Bundle(saved),
                    FinishedBundle::Spooled(spool) => Finished::Spooled(spool),
                };
                Ok((finished, leftover.kept_in(kept_in)))
            }
        }
    }
}

impl Writer {
    /// The turn to store the bytes at `offset`, at once or after a wait. `None` if there is none without waiting, or none
    /// will come.
    pub(crate) fn turn(&self, offset: u64, wait: bool) -> Option<WriteTurn<'_>> {
        match self {
            Self::Anywhere(writer, storing) => {
                let guard = if wait { Some(lock(storing)) } else { storing.try_lock().ok() };
                guard.map(|guard| WriteTurn::Anywhere(writer, guard))
            }
            Self::Sealed(writer) => writer.turn(offset, wait).map(WriteTurn::Sealed),
            Self::Ordered(writer) => writer.turn(offset, wait).map(WriteTurn::Ordered),
        }
    }

    /// Says that a thread does not store what it has, so that no other waits for it.
    pub(crate) fn break_off(&self) {
        match self {
            Self::Anywhere(..) => {}
            Self::Sealed(writer) => writer.break_off(),
            Self::Ordered(writer) => writer.break_off(),
        }
    }
}

impl WriteTurn<'_> {
    /// Stores the bytes at `offset`.
    pub(crate) fn store(&mut self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        match self {
            Self::Anywhere(writer, _) => writer.write_at(bytes, offset),
            Self::Sealed(turn) => turn.store(bytes, offset),
            Self::Ordered(turn) => turn.store(bytes, offset),
        }
    }
}
