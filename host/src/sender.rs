//! Offers a drop and serves it until it ends.

mod builder;
mod event;
mod progress;

use std::future::pending;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::{FAREWELL_EVERY, LINGER, LINGER_INTERRUPTED, LINGER_MIN};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use smol::future;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::clock;
use crate::error::Error;
use crate::files::bundle::source::{BundleOptions, BundleSource, ChangedEntry};
use crate::files::source::{Source, SourceFile, SourceMessage, SourceSpool, file_name};
use crate::lan::advertise::Announcement;
use crate::lan::beacons::SkippedInterface;
use crate::lan::neighbours::Neighbours;
use crate::lock::lock;
use crate::serve::accept::{Only, accept};
use crate::serve::server::{Server, ServerEvent};
use crate::stop::Stopper;
use crate::transport::socket::sleep_until;

pub use builder::SenderBuilder;
use event::ended;
pub use event::{Ended, SenderEvent};
pub use progress::{ReceiverProgress, SenderProgress};

/// A drop that is offered, and the port that it is served on.
///
/// It serves while [`next_event`](Self::next_event) or [`linger`](Self::linger) is polled. Dropping it takes the drop
/// back, and its message is wiped.
///
/// A sender and a receiver in one process:
///
/// ```
/// use std::net::Ipv4Addr;
/// use deaddrop::{Ended, Network, Receiver, Room, Sender, SenderEvent};
///
/// # fn main() -> Result<(), deaddrop::Error> {
/// let room = Room::from_passphrase("copper lantern harbour ninety")?;
/// // Beacons stay on loopback, on a port of their own; the system chooses the TCP port.
/// let network = Network { udp_port: 48_712, interfaces: vec!["lo".into()], mdns: false };
/// let message = b"the door code is 4711".to_vec();
/// let mut sender = Sender::message(message)?.tcp_port(0).network(network).offer(&room)?;
/// let (token, port) = (sender.token(), sender.port());
///
/// let serving = async {
///     loop {
///         if let SenderEvent::Ended(ended) = sender.next_event().await? {
///             break Ok(ended);
///         }
///     }
/// };
/// let fetching = async {
///     let receiver = Receiver::new(&room);
///     let claim = receiver.claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token).await?;
///     claim.message().await
/// };
/// let (ended, received) = smol::block_on(smol::future::zip(serving, fetching));
/// let ended: Result<Ended, deaddrop::Error> = ended;
/// assert_eq!(ended?, Ended::Fetched);
/// assert_eq!(received?.content.as_slice(), b"the door code is 4711");
/// # Ok(())
/// # }
/// ```
pub struct Sender {
    server: Arc<Server>,
    /// `None` once connections are accepted.
    listeners: Option<Vec<TcpListener>>,
    /// Accepts connections and serves them.
    connections: Option<Connections>,
    port: u16,
    announcement: Announcement,
    skipped: Vec<SkippedInterface>,
    /// The addresses that were told last.
    told: Vec<Address>,
    token: Token,
    spec: DropSpec,
    files: Option<u32>,
    /// The file of a bundle that was found to be changed.
    changed: Option<ChangedEntry>,
    only: Only,
    stopper: Stopper,
    withdrawn: bool,
    ended: Option<Ended>,
    /// The end is the next event.
    untold_end: bool,
}

type Connections = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

impl Sender {
    /// A message of at most 64 KiB: any bytes. They are wiped from memory when the drop ends; a copy that the caller keeps
    /// is the caller's to wipe.
    ///
    /// # Errors
    /// If it is longer.
    pub fn message(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<SenderBuilder, Error> {
        Ok(Self::source_message(SourceMessage::from_bytes(bytes.into())?))
    }

    /// A message that is read to its end now, straight into memory that is wiped when the drop ends. Standard input has a
    /// buffer that is never wiped: pass a [`File`](std::fs::File) of its descriptor.
    ///
    /// # Errors
    /// If it is longer than 64 KiB or cannot be read.
    pub fn message_from(reader: impl Read) -> Result<SenderBuilder, Error> {
        Ok(Self::source_message(SourceMessage::from_reader(reader)?))
    }

    fn source_message(message: SourceMessage) -> SenderBuilder {
        SenderBuilder::new(Source::Message(message), Name::default())
    }

    /// A file, under its own name. It stays open, and has to stay as it is until the drop ends.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or its name is not text.
    pub fn file(path: impl AsRef<Path>) -> Result<SenderBuilder, Error> {
        Self::file_as(path, None)
    }

    /// A file under this name, or its own without one.
    ///
    /// # Errors
    /// As [`file`](Self::file); and if a drop may not have this name.
    pub fn file_as(path: impl AsRef<Path>, name: Option<&str>) -> Result<SenderBuilder, Error> {
        let file = SourceFile::open(path.as_ref())?;
        let name = file.name(name)?;
        Ok(SenderBuilder::new(Source::File(file), name))
    }

    /// A file under this name whose content is read to its end now, such as the output of another program. The call takes
    /// as long as the reader does. Standard input has a buffer that is never wiped: pass a [`File`](std::fs::File) of its
    /// descriptor.
    ///
    /// Up to 1 MiB is held in memory, and wiped when the drop ends. More goes into a file without a name in the
    /// [folder for temporary files](std::env::temp_dir), sealed under a key that is in memory alone and is wiped with the
    /// drop. That file leaves a tenth of its file system free, at most 1 GiB: a reader without an end fills no disk.
    ///
    /// ```
    /// use deaddrop::Sender;
    ///
    /// # fn main() -> Result<(), deaddrop::Error> {
    /// let drop = Sender::file_from(&b"made by a program"[..], "report.txt")?;
    /// assert_eq!(drop.size(), 17);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a drop may not have this name, before anything is read; if the reader fails; or if there is no room for what it
    /// gives ([`SourceError::SpoolFull`](crate::SourceError::SpoolFull)).
    pub fn file_from(reader: impl Read, name: &str) -> Result<SenderBuilder, Error> {
        let name = file_name(name)?;
        Ok(SenderBuilder::new(Source::Spool(SourceSpool::from_reader(reader)?), name))
    }

    /// A folder, under its own name, or several files and folders, as one drop: a bundle. What is at each path is looked
    /// through now, and has to stay as it is until the drop ends: a file that is changed, gone or grown when its turn comes
    /// withdraws the drop. What is added to a folder later is not part of it.
    ///
    /// Symbolic links are not followed, except those given as `paths`. Owners, groups, other permissions than the
    /// owner's right to execute, and extended attributes are not sent.
    ///
    /// # Errors
    /// If there is nothing at a path, two have the same last name, or, unless the options say otherwise, something below
    /// them cannot be sent.
    pub fn bundle(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
        options: &BundleOptions,
    ) -> Result<SenderBuilder, Error> {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        let (bundle, name) = BundleSource::walk(&paths, *options)?;
        Ok(SenderBuilder::new(Source::Bundle(Box::new(bundle)), name))
    }

    /// Names the drop: what a receiver asks for.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The TCP port that the drop is served on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What kind of drop it is.
    pub fn kind(&self) -> Kind {
        self.spec.kind
    }

    /// The name it is offered under; empty for a message.
    pub fn name(&self) -> &Name {
        &self.spec.name
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.spec.size
    }

    /// How many files a bundle has; `None` for other drops.
    pub fn files(&self) -> Option<u32> {
        self.files
    }

    /// How long it can be fetched, counted from the offer.
    pub fn ttl(&self) -> Duration {
        self.spec.ttl
    }

    /// How many receivers may have it, each of them whole.
    pub fn fetches(&self) -> Fetches {
        self.spec.fetches
    }

    /// The addresses at which others reach this machine, the best first.
    pub fn addresses(&self) -> Vec<Address> {
        self.announcement.addresses()
    }

    /// Interfaces on which the drop is not announced, or no solicit for it is received. Receivers there can still fetch it
    /// by this machine's address.
    pub fn skipped(&self) -> &[SkippedInterface] {
        &self.skipped
    }

    /// How far its receivers have come, while it is served.
    pub fn progress(&self) -> SenderProgress {
        SenderProgress::new(&self.server, self.token)
    }

    /// Takes the drop back, from anywhere: the next event is then [`SenderEvent::Ended`]. After the end it shortens
    /// [`linger`](Self::linger).
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Has this stopper take the drop back, instead of one of its own.
    pub fn stopped_by(mut self, stopper: &Stopper) -> Self {
        self.stopper = stopper.clone();
        self
    }

    /// Takes the drop back.
    pub fn withdraw(&mut self) {
        self.withdrawn = true;
        self.server.withdraw_all();
    }

    /// Serves until something happens. Dropping the future loses nothing. After [`SenderEvent::Ended`] it waits for ever.
    ///
    /// # Errors
    /// If the system refuses what serving takes. Drop the sender then.
    pub async fn next_event(&mut self) -> Result<SenderEvent, Error> {
        loop {
            if let Some(event) = self.poll_event() {
                return Ok(event);
            }
            if self.stopper.is_stopped() && self.ended.is_none() {
                self.server.withdraw_all();
                continue;
            }
            self.step(None).await?;
        }
    }

    /// Goes on answering for a while after the end, so that a receiver that comes late hears what became of the drop: for
    /// 3 s, or until the [`Stopper`] is used; 0.4 s if every fetch was confirmed and nobody is connected or expected back;
    /// 0.8 s if the drop was taken back.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub async fn linger(&mut self) -> Result<(), Error> {
        while self.poll_event().is_some() {}
        let early = !matches!(self.ended, Some(Ended::Fetched | Ended::Expired { .. }));
        let withdrawn = self.withdrawn || early;
        let begun = clock::now();
        let until = begun + if withdrawn { LINGER_INTERRUPTED } else { LINGER };
        loop {
            let now = clock::now();
            let needless = self.ended == Some(Ended::Fetched)
                && now >= begun + LINGER_MIN
                && !self.server.expects_receivers();
            if now >= until || (!withdrawn && (needless || self.stopper.is_stopped())) {
                return Ok(());
            }
            // A connection that closes does not end a step.
            self.step(Some(until.min(now + FAREWELL_EVERY))).await?;
        }
    }

    fn poll_event(&mut self) -> Option<SenderEvent> {
        if std::mem::take(&mut self.untold_end) {
            return self.ended.map(SenderEvent::Ended);
        }
        if self.ended.is_none()
            && let Some(addresses) = Address::others(&mut self.told, self.announcement.addresses())
        {
            return Some(SenderEvent::Moved { addresses });
        }
        loop {
            match self.server.next_event()? {
                ServerEvent::Claimed { by, .. } => return Some(SenderEvent::Claimed { by }),
                ServerEvent::Lapsed { by, why, .. } => return Some(SenderEvent::Lapsed { by, why }),
                ServerEvent::Fetched { by, .. } => return Some(SenderEvent::Fetched { by }),
                ServerEvent::Warning(Warning::Guessing { source, failures }) => {
                    let source = source.map(Address::from_source);
                    return Some(SenderEvent::Guessing { source, failures });
                }
                ServerEvent::Warning(_) => {}
                ServerEvent::Ended { reason, unconfirmed, changed, .. } => {
                    let ended = ended(reason, unconfirmed, changed);
                    self.ended = Some(ended);
                    let path = self.changed.take().and_then(|entry| entry.get()).filter(|_| changed);
                    self.untold_end = path.is_some();
                    let changed = path.map(|path| SenderEvent::Changed { path });
                    return Some(changed.unwrap_or(SenderEvent::Ended(ended)));
                }
            }
        }
    }

    /// Does what is due, then waits for one thing to happen.
    async fn step(&mut self, until: Option<Instant>) -> Result<(), Error> {
        if let Some(listeners) = self.listeners.take() {
            let mut neighbours = Neighbours::default();
            let source = move |from| neighbours.source(from);
            self.connections =
                Some(Box::pin(accept(listeners, self.server.clone(), self.only.clone(), source)));
        }
        let changed = self.server.changed.listen();
        if self.announcement.refresh() {
            let mut only = lock(&self.only);
            if only.is_some() {
                *only = Some(self.announcement.addresses());
            }
        }
        let due = self.announcement.send_due();
        let due = Instant::earliest(due, until);
        // A stop that has been answered by the end does not end a wait again.
        let stop = self.ended.is_none_or(|ended| !matches!(ended, Ended::Stopped { .. }));
        let stop = stop.then(|| self.stopper.clone());

        let connections = async {
            match &mut self.connections {
                Some(connections) => connections.as_mut().await.map_err(Error::Wait),
                None => pending().await,
            }
        };
        let beacons = async {
            self.announcement.ready().await;
            Ok(())
        };
        let late = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
            Ok(())
        };
        let changed = async {
            changed.await;
            Ok(())
        };
        let stopped = async {
            match &stop {
                Some(stop) if !stop.is_stopped() => stop.stopped().await,
                _ => pending().await,
            }
            Ok(())
        };
        let own = future::or(changed, future::or(beacons, future::or(late, stopped)));
        future::or(connections, own).await?;
        self.announcement.receive();
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Connections close as their sessions say, rather than by a reset.
        self.server.stop();
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("token", &self.token).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
