//! A claimed drop: receive it, then confirm it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::session::ClientError;
use deaddrop_core::token::{FetchId, Token};
use smol::future;
use zeroize::Zeroizing;

use crate::clock;
use crate::error::Error;
use crate::fetch::claim::ClaimedConnection;
use crate::fetch::connection::ClientConnection;
use crate::fetch::credentials::Credentials;
use crate::fetch::error::{ConnectionError, FetchError};
use crate::fetch::receive::{commit, make_room, receive};
use crate::files::save::{Destination, Finished, SaveError, Spool};
use crate::stop::Stopper;
use crate::transport::socket::sleep_until;

/// How long to leave a sender alone whose connection broke.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long a new connection for the confirmation may take once a [`Stopper`] was used.
const RECONNECT_STOPPED: Duration = Duration::from_millis(500);

/// A drop that nobody else can have while this is held and its sender is there.
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
    /// `None` once it is released or being received.
    claimed: Option<ClaimedConnection>,
    offer: Offer,
    sender: SocketAddr,
    credentials: Arc<Credentials>,
    stopper: Stopper,
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
/// Call [`confirm`](Self::confirm) once the drop is where it is to go. If it is dropped instead, its sender gives the
/// claim up and offers the drop again.
#[must_use = "the sender offers the drop again unless it is confirmed"]
pub struct Unconfirmed {
    connection: ClientConnection,
    content: Content,
    token: Token,
    id: FetchId,
    sender: SocketAddr,
    credentials: Arc<Credentials>,
    stopper: Stopper,
}

/// Where a received drop is.
#[derive(Debug)]
pub enum Content {
    /// Under this path.
    Saved(PathBuf),
    /// In memory, or in a file without a name.
    Spooled(Spool),
}

impl Claim {
    pub(crate) fn new(
        claimed: ClaimedConnection,
        credentials: &Arc<Credentials>,
        stopper: &Stopper,
    ) -> Result<Self, Error> {
        // A socket that has no peer any more was reset.
        let sender = claimed.connection.peer().map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let offer = claimed.offer.clone();
        let (credentials, stopper) = (credentials.clone(), stopper.clone());
        Ok(Self { claimed: Some(claimed), offer, sender, credentials, stopper })
    }

    /// The drop as its sender lists it. The name is the sender's words: no part of a path, and not fit for a terminal as
    /// it stands.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the drop comes from.
    pub fn from(&self) -> SocketAddr {
        self.sender
    }

    /// Receives a message into memory, where it is wiped when dropped, and confirms it.
    ///
    /// # Errors
    /// If the drop is a file, the connection breaks, or the receiver's [`Stopper`] is used. The drop is given back then.
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
    /// # Errors
    /// If there is no such folder or no space in it, the connection breaks, or the receiver's [`Stopper`] is used. The
    /// drop is given back then, and nothing of it is left.
    pub async fn save(self, out: impl AsRef<Path>) -> Result<Received<PathBuf>, Error> {
        let destination = match Destination::path(out) {
            Ok(destination) => destination,
            Err(error) => {
                self.release().await;
                return Err(error.into());
            }
        };
        let unconfirmed = self.receive(&destination).await?;
        let Content::Saved(path) = &unconfirmed.content else { return Err(SaveError::Bug.into()) };
        let content = path.clone();
        Ok(Received { content, confirmed: unconfirmed.confirm().await })
    }

    /// Receives the drop until it is whole and durable, without confirming it.
    ///
    /// # Errors
    /// If the drop is more or other than this version can save, there is no space for it, the connection breaks, or the
    /// receiver's [`Stopper`] is used. The drop is given back then, and nothing of it is left.
    pub async fn receive(mut self, destination: &Destination) -> Result<Unconfirmed, Error> {
        let incoming = match make_room(destination, &self.offer) {
            Ok(incoming) => incoming,
            Err(error) => {
                self.release().await;
                return Err(error.into());
            }
        };
        let Some(ClaimedConnection { mut connection, id, offer }) = self.claimed.take() else {
            return Err(SaveError::Bug.into());
        };
        let content = match receive(&mut connection, incoming).await? {
            Finished::Saved(path) => Content::Saved(path),
            Finished::Spooled(spool) => Content::Spooled(spool),
        };
        Ok(Unconfirmed {
            connection,
            content,
            token: offer.token,
            id,
            sender: self.sender,
            credentials: self.credentials.clone(),
            stopper: self.stopper.clone(),
        })
    }

    /// Gives the drop back. If its sender cannot be told, it gives the claim up after 15 seconds.
    pub async fn release(mut self) {
        if let Some(mut claimed) = self.claimed.take() {
            claimed.connection.release().await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claimed) = &mut self.claimed {
            claimed.connection.release_now();
        }
    }
}

impl Unconfirmed {
    /// Where the drop is.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Where the drop is, to be read from its start.
    pub fn content_mut(&mut self) -> &mut Content {
        &mut self.content
    }

    /// Tells the sender that the drop is here: true if it has noted that. If the connection broke, another one is tried,
    /// for five seconds in all; less than a second once the receiver's [`Stopper`] was used.
    pub async fn confirm(self) -> bool {
        let Self { connection, token, id, sender, credentials, stopper, .. } = self;
        let reconnect = || reconnect(sender, &credentials, &stopper);
        commit(connection, token, id, reconnect, &stopper).await
    }
}

/// Another connection to a sender, for the confirmation alone.
async fn reconnect(
    sender: SocketAddr,
    credentials: &Arc<Credentials>,
    stopper: &Stopper,
) -> Result<ClientConnection, ConnectionError> {
    sleep_until(clock::now() + RECONNECT_PAUSE).await;
    let connected = async {
        let connection = ClientConnection::open(sender, credentials, None, None).await?;
        connection.woken_by(stopper).shake_hands().await
    };
    // A caller that stops us does not wait long for a sender that may be gone.
    let hurried = async {
        stopper.stopped().await;
        sleep_until(clock::now() + RECONNECT_STOPPED).await;
        Err(ClientError::Silent.into())
    };
    future::or(connected, hurried).await
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("offer", &self.offer)
            .field("from", &self.sender)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unconfirmed")
            .field("content", &self.content)
            .field("from", &self.sender)
            .finish_non_exhaustive()
    }
}
