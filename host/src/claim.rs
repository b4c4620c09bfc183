//! A claimed drop: receive it, then confirm it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_channel::Receiver;
use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::token::Token;
use smol::future;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::fetch::error::{FetchError, ReceiveError};
use crate::fetch::progress::FetchProgress;
use crate::fetch::transfer::{Transfer, Unreceived};
use crate::files::bundle::incoming::SavedBundle;
use crate::files::save::{Destination, Kept, Leftover, SaveError, Spool};
use crate::files::source::MESSAGE_MAX;
use crate::files::target::{Finished, Target};
use crate::receiver::Seeker;

/// A drop that is claimed: its sender gives it to nobody else for 15 seconds, and for as long as it is being received.
///
/// Holding this alone does not renew the lease: call [`receive`](Self::receive) or another of its methods soon. Later
/// they still receive the drop, unless another receiver has claimed it meanwhile.
///
/// Dropping it gives the drop back, as far as that goes without waiting; [`release`](Self::release) makes sure of it.
///
/// ```no_run
/// use deaddrop::{Content, Destination, Receiver, Room};
///
/// # async fn example() -> Result<(), deaddrop::Error> {
/// let room = Room::from_passphrase("copper lantern harbour ninety")?;
/// let receiver = Receiver::new(&room);
/// for offer in receiver.discover(std::time::Duration::from_secs(2)).await? {
///     let claim = receiver.claim(&offer).await?;
///     // Receive, do what has to be done with the drop, and only then let its sender forget it.
///     let unconfirmed = claim.receive(&Destination::path(".")?).await?;
///     if let Content::Saved(path) = unconfirmed.content() {
///         println!("saved as {}", path.display());
///     }
///     unconfirmed.confirm().await;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a claim gives the drop back"]
pub struct Claim {
    transfer: Transfer,
    offer: Offer,
    seeker: Seeker,
    /// What an earlier fetch has received.
    resumed: Option<Target>,
}

/// A drop that is here, whole, durable and confirmed as far as the sender could be told.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<T> {
    /// The message, or where the file is.
    pub content: T,
    /// Whether the sender has noted that. If not, it may say that nobody confirmed.
    pub confirmed: bool,
}

/// A drop that is here, whole and durable, and whose sender does not know it yet.
///
/// Call [`confirm`](Self::confirm) once the drop is where it is to go. If this is dropped instead, nobody else gets the
/// drop, and its sender says in the end that a receiver had all of it and did not confirm.
#[must_use = "the sender does not know that the drop is here unless it is confirmed"]
pub struct Unconfirmed {
    transfer: Transfer,
    seeker: Seeker,
    content: Content,
    leftover: Leftover,
    /// Whether the sender has noted it, once it was told.
    told: Option<bool>,
}

/// The lost connections of a [`Claim`] that its fetch replaces by others. May be awaited beside the fetch, or in
/// another task.
#[derive(Clone, Debug)]
pub struct ConnectionLosses(Receiver<String>);

impl ConnectionLosses {
    /// Waits until a connection is lost, and returns how it ended. Never returns once the claim has ended.
    pub async fn next(&self) -> String {
        match self.0.recv().await {
            Ok(how) => how,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Where a received drop is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Under this path.
    Saved(PathBuf),
    /// In memory, or in a file without a name. A folder or several files are a tar archive here.
    Spooled(Spool),
    /// A folder, or several files and folders, under their own names.
    Bundle(SavedBundle),
}

impl Claim {
    /// Of a transfer whose drop is claimed.
    pub(crate) fn new(
        transfer: Transfer,
        seeker: impl FnOnce(&Transfer, Token) -> Seeker,
    ) -> Result<Self, Error> {
        let offer = transfer.offer().cloned().ok_or(FetchError::Unknown)?;
        let seeker = seeker(&transfer, offer.token);
        Ok(Self { transfer, offer, seeker, resumed: None })
    }

    /// Of a transfer that goes on with what an earlier fetch has received.
    pub(crate) fn resumed(
        transfer: Transfer,
        mut incoming: Target,
        seeker: impl FnOnce(&Transfer, Token) -> Seeker,
    ) -> Result<Self, Error> {
        if !incoming.is_whole() {
            // Both sides have agreed from where it goes on.
            incoming.rewind(transfer.stored());
        }
        transfer.count_resumed(incoming.stored());
        Ok(Self { resumed: Some(incoming), ..Self::new(transfer, seeker)? })
    }

    /// How many bytes an earlier fetch has received, after which this one goes on; 0 without one.
    pub fn resumed_from(&self) -> u64 {
        self.resumed.as_ref().map_or(0, Target::stored)
    }

    /// The drop as its sender lists it. The name is the sender's words: no part of a path, and not fit for a terminal as
    /// it stands.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the drop comes from.
    pub fn from(&self) -> SocketAddr {
        self.transfer.sender()
    }

    /// The connections that are lost, and replaced, while the drop is received.
    pub fn losses(&self) -> ConnectionLosses {
        ConnectionLosses(self.transfer.losses())
    }

    /// How far it has come while the drop is received.
    pub fn progress(&self) -> FetchProgress {
        self.transfer.progress(self.offer.size)
    }

    /// Receives a message into memory, where it is wiped when dropped, and confirms it.
    ///
    /// # Errors
    /// If the drop is a file, the connection breaks, or the receiver's [`Stopper`](crate::Stopper) is used. The drop is given back then.
    pub async fn message(self) -> Result<Received<Zeroizing<Vec<u8>>>, Error> {
        if self.offer.kind != Kind::Message {
            let kind = self.offer.kind;
            self.release().await;
            return Err(FetchError::WrongKind(kind).into());
        }
        let unconfirmed = self.receive(&Destination::spool()).await?;
        let Content::Spooled(spool) = &unconfirmed.content else { return Err(SaveError::Bug.into()) };
        let content = Zeroizing::new(spool.in_memory().map(<[u8]>::to_vec).unwrap_or_default());
        Ok(Received { content, confirmed: unconfirmed.confirm().await })
    }

    /// Receives the drop into a folder under its own name, made safe, or into a new file, and confirms it. Nothing is
    /// replaced: a name that is taken gets a number. The file appears when it is whole, and only its owner can read it.
    /// Returns its path.
    ///
    /// A folder is saved in the same way. Of several separate files and folders the path is that of the first;
    /// [`save_all`](Self::save_all) returns all of them.
    ///
    /// # Errors
    /// If there is no such folder or no space in it, the connection breaks, or the receiver's [`Stopper`](crate::Stopper) is used. The
    /// drop is given back then, and nothing of it is left, unless it is [kept](Error::Kept).
    pub async fn save(self, out: impl AsRef<Path>) -> Result<Received<PathBuf>, Error> {
        let Received { content, confirmed } = self.save_all(out).await?;
        let content = content.paths.into_iter().next().ok_or(SaveError::Bug)?;
        Ok(Received { content, confirmed })
    }

    /// Receives the drop as [`save`](Self::save), and returns all paths of it, how many files it has, and what could not be
    /// saved as it was sent. A file or a message has one path.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn save_all(self, out: impl AsRef<Path>) -> Result<Received<SavedBundle>, Error> {
        let destination = match Destination::path(out) {
            Ok(destination) => destination,
            Err(error) => {
                self.release().await;
                return Err(error.into());
            }
        };
        let unconfirmed = self.receive(&destination).await?;
        let content = match &unconfirmed.content {
            Content::Saved(path) => {
                SavedBundle { paths: vec![path.clone()], files: 1, entries: 1, alterations: Vec::new() }
            }
            Content::Bundle(saved) => saved.clone(),
            Content::Spooled(_) => return Err(SaveError::Bug.into()),
        };
        Ok(Received { content, confirmed: unconfirmed.confirm().await })
    }

    /// Receives the drop until it is whole and durable, without confirming it.
    ///
    /// A claim that [resumes](crate::Receiver::resume) goes on where what is here of the drop lies, whatever the
    /// destination.
    ///
    /// A connection that breaks is replaced, and the drop goes on after the last record that is stored, until nothing
    /// has come for a minute. While nothing comes, the sender is looked for as a [`Browser`](crate::Browser) does, so that
    /// the drop goes on also if its address or this machine's changes.
    ///
    /// # Errors
    /// If the drop is more or other than this version can save, there is no space for it, its sender is lost, or the
    /// receiver's [`Stopper`](crate::Stopper) is used. The drop is given back then, and nothing of it is left, unless it
    /// is [kept](Error::Kept) for a later fetch: 8 MiB or more, and any drop that nobody else can have any
    /// more. When what is kept made the receiver stop, the claim lasts until its lease lapses.
    pub async fn receive(mut self, destination: &Destination) -> Result<Unconfirmed, Error> {
        let made = match self.resumed.take() {
            Some(incoming) => Ok(incoming),
            None => make_room(destination, &self.transfer, &self.offer),
        };
        let incoming = match made {
            Ok(incoming) => incoming,
            Err(error) => {
                self.release().await;
                return Err(error.into());
            }
        };
        let (finished, leftover) = future::or(self.transfer.receive(incoming), self.seeker.seek()).await?;
        let content = match finished {
            Finished::Saved(path) => Content::Saved(path),
            Finished::Spooled(spool) => Content::Spooled(spool),
            Finished::Bundle(saved) => Content::Bundle(saved),
        };
        let told = leftover.is_told().then_some(true);
        Ok(Unconfirmed { transfer: self.transfer, seeker: self.seeker, content, leftover, told })
    }

    /// Gives the drop back. If its sender cannot be told, it gives the claim up after 15 seconds.
    pub async fn release(mut self) {
        self.transfer.release().await;
    }
}

/// Makes room for the drop, unless it is more or other than its kind may be.
fn make_room(destination: &Destination, transfer: &Transfer, offer: &Offer) -> Result<Target, ReceiveError> {
    match offer.kind {
        Kind::Message if offer.size > MESSAGE_MAX as u64 => {
            Err(FetchError::MessageTooLong(offer.size).into())
        }
        Kind::Message | Kind::File | Kind::Directory => {
            Ok(Target::create(destination, &transfer.claimed(offer))?)
        }
        kind => Err(FetchError::Unsupported(kind).into()),
    }
}

impl Unconfirmed {
    /// Where the drop is.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Tells the sender that the drop is here, and removes what an earlier fetch has left of it: true if the sender has
    /// noted it. If the connection broke, another one is tried, for five seconds in all; less than a second once the
    /// receiver's [`Stopper`](crate::Stopper) was used.
    pub async fn confirm(mut self) -> bool {
        let told = self.tell_once().await;
        self.leftover.remove();
        told
    }

    /// Tells the sender as [`confirm`](Self::confirm) does, once, while the drop can still be [kept](Self::keep): for a
    /// drop that is still being put out at the end of its TTL.
    pub async fn tell(&mut self) -> bool {
        let told = self.tell_once().await;
        if told {
            self.leftover.note_told();
        }
        told
    }

    async fn tell_once(&mut self) -> bool {
        if self.told.is_none() {
            self.told = Some(future::or(self.transfer.confirm(), self.seeker.seek()).await);
        }
        self.told == Some(true)
    }

    /// Keeps a spooled drop that cannot be put out: in a file that only its owner can read, in the folder of
    /// [`Destination::spool_in`]. It is found by [`Destination::unfinished`] until it has been put out and confirmed, or
    /// is discarded. Its sender is told that the drop is here.
    ///
    /// # Errors
    /// If it cannot be kept: there is no folder, or it takes no file. The drop is not confirmed then.
    pub async fn keep(mut self) -> Result<Kept, Error> {
        let Content::Spooled(spool) = &self.content else { return Err(SaveError::Bug.into()) };
        let kept = self.leftover.keep(spool)?;
        self.tell().await;
        Ok(kept)
    }
}

impl From<Unreceived> for Error {
    fn from(Unreceived { error, kept }: Unreceived) -> Self {
        let error = Self::from(error);
        match kept {
            Some(kept) => Self::Kept { kept, error: Box::new(error) },
            None => error,
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("offer", &self.offer)
            .field("from", &self.transfer.sender())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unconfirmed")
            .field("content", &self.content)
            .field("from", &self.transfer.sender())
            .finish_non_exhaustive()
    }
}
