//! Sending and receiving for programs without an executor: calls that block.
//!
//! Each call runs the `async` function of the same name to its end on the calling thread, in a reactor of its own over
//! `poll(2)`. No reactor thread and no executor are started.
//!
//! Send a message, from the moment it can be fetched until a receiver has it:
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::time::Duration;
//! use deaddrop::Network;
//! use deaddrop::blocking::{Ended, Receiver, Room, Sender};
//!
//! # fn main() -> Result<(), deaddrop::Error> {
//! let room = Room::from_passphrase("copper lantern harbour ninety")?;
//! // Beacons stay on loopback, on a port of their own; the system chooses the TCP port.
//! let network = Network { udp_port: 48_713, interfaces: vec!["lo".into()], mdns: false };
//! let message = b"the door code is 4711".to_vec();
//! let sender = Sender::message(message)?
//!     .ttl(Duration::from_secs(120))
//!     .tcp_port(0)
//!     .network(network)
//!     .offer(&room)?;
//! let (token, port, stopper) = (sender.token(), sender.port(), sender.stopper());
//! let serving = std::thread::spawn(move || sender.serve(|event| eprintln!("{event:?}")));
//!
//! let receiver = Receiver::new(&room);
//! let claim = receiver.claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token)?;
//! let progress = claim.progress();
//! assert_eq!(claim.message()?.content.as_slice(), b"the door code is 4711");
//! assert_eq!((progress.stored(), progress.size()), (21, 21));
//!
//! // Without this the sender would answer late receivers for three seconds more.
//! stopper.stop();
//! assert_eq!(serving.join().expect("no panic")?, Ended::Fetched);
//! # Ok(())
//! # }
//! ```
//!
//! Take what is offered on the LAN:
//!
//! ```no_run
//! use std::time::Duration;
//! use deaddrop::blocking::{Kind, Receiver, Room};
//!
//! # fn main() -> Result<(), deaddrop::Error> {
//! let room = Room::from_passphrase("copper lantern harbour ninety")?;
//! let receiver = Receiver::new(&room);
//! for found in receiver.discover(Duration::from_secs(2))? {
//!     let claim = receiver.claim(&found)?;
//!     match found.offer.kind {
//!         Kind::Message => println!("{} bytes of message", claim.message()?.content.len()),
//!         _ => println!("saved as {}", claim.save(".")?.content.display()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/blocking.rs` is a small program that does all of it.
//!
//! # Limits
//!
//! - A sender serves every connection on the thread that called [`Sender::serve`]; only the bulk of large drops has
//!   threads of its own. It waits in `poll(2)`, which takes time in proportion to the number of connections: a program
//!   that serves crowds is better off with an executor.
//! - A [`Sender`] holds one drop. Several drops are several senders, each with a thread that serves it.
//! - Signals are the program's own: nothing here listens for them. A [`Stopper`] ends what blocks.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use deaddrop_core::drops::Lapse;
pub use deaddrop_core::offer::{Kind, Name, Offer};
pub use deaddrop_core::token::{Token, TokenPrefix};
pub use zeroize::Zeroizing;

pub use crate::address::{Address, AddressError, Endpoint};
pub use crate::claim::Received;
pub use crate::fetch::progress::FetchProgress;
pub use crate::files::bundle::incoming::{Alteration, SavedBundle};
pub use crate::files::bundle::obstacle::{Obstacle, Unsendable};
pub use crate::files::bundle::source::BundleOptions;
pub use crate::network::Network;
pub use crate::receiver::{FoundOffer, Place};
pub use crate::room::Room;
pub use crate::sender::{Ended, ReceiverProgress, SenderEvent, SenderProgress};
pub use crate::stop::Stopper;

use crate::error::Error;
use crate::files::save::SaveError;
pub use crate::files::save::{Destination, Kept};
pub use crate::files::unfinished::Unfinished;
use crate::lan::beacons::SkippedInterface;
use crate::transport::poll;
use crate::{Fetches, claim, receiver, sender};

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    poll::block_on(future).map_err(Error::Wait)?
}

/// A drop that is about to be offered. It lives for five minutes and may be fetched once, unless something else is said.
#[derive(Debug)]
#[must_use = "nothing is offered before `offer`"]
pub struct SenderBuilder(sender::SenderBuilder);

impl SenderBuilder {
    /// How many files a bundle has, as [`crate::SenderBuilder::files`].
    pub fn files(&self) -> Option<u32> {
        self.0.files()
    }

    /// What a bundle leaves out, as [`crate::SenderBuilder::left_out`].
    pub fn left_out(&self) -> &[Unsendable] {
        self.0.left_out()
    }

    /// As [`crate::SenderBuilder::ttl`].
    pub fn ttl(self, ttl: Duration) -> Self {
        Self(self.0.ttl(ttl))
    }

    /// As [`crate::SenderBuilder::fetches`].
    pub fn fetches(self, fetches: impl Into<Fetches>) -> Self {
        Self(self.0.fetches(fetches))
    }

    /// As [`crate::SenderBuilder::name`].
    ///
    /// # Errors
    /// If a drop may not have this name.
    pub fn name(self, name: &str) -> Result<Self, Error> {
        self.0.name(name).map(Self)
    }

    /// As [`crate::SenderBuilder::tcp_port`].
    pub fn tcp_port(self, port: u16) -> Self {
        Self(self.0.tcp_port(port))
    }

    /// As [`crate::SenderBuilder::network`].
    pub fn network(self, network: Network) -> Self {
        Self(self.0.network(network))
    }

    /// Takes a port, opens the drop to the members of `room`, and announces it. Connections wait until
    /// [`Sender::serve`] is called; the TTL runs.
    ///
    /// # Errors
    /// As [`crate::SenderBuilder::offer`].
    pub fn offer(self, room: &Room) -> Result<Sender, Error> {
        // Inside, so that its sockets are made for the reactor that will wait for them.
        block_on(async { self.0.offer(room) }).map(Sender)
    }
}

/// A drop that is offered, and the port that it is served on. Dropping it takes the drop back.
#[derive(Debug)]
pub struct Sender(sender::Sender);

impl Sender {
    /// A message of at most 64 KiB: any bytes. They are wiped from memory when the drop ends; a copy that the caller keeps
    /// is the caller's to wipe.
    ///
    /// # Errors
    /// If it is longer.
    pub fn message(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<SenderBuilder, Error> {
        sender::Sender::message(bytes).map(SenderBuilder)
    }

    /// A file, under its own name. It stays open, and has to stay as it is until the drop ends.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or its name is not text.
    pub fn file(path: impl AsRef<Path>) -> Result<SenderBuilder, Error> {
        sender::Sender::file(path).map(SenderBuilder)
    }

    /// A file under this name whose content is read to its end now, as [`crate::Sender::file_from`].
    ///
    /// # Errors
    /// As there.
    pub fn file_from(reader: impl Read, name: &str) -> Result<SenderBuilder, Error> {
        sender::Sender::file_from(reader, name).map(SenderBuilder)
    }

    /// A folder, under its own name, or several files and folders, as one drop, as [`crate::Sender::bundle`].
    ///
    /// A sender and a receiver of a folder in one process:
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use deaddrop::blocking::{BundleOptions, Ended, Receiver, Room, Sender};
    /// use deaddrop::Network;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let here = std::env::temp_dir().join(format!("deaddrop-blocking-doc-{}", std::process::id()));
    /// std::fs::create_dir_all(here.join("photos/2026"))?;
    /// std::fs::write(here.join("photos/2026/a.jpg"), b"a picture")?;
    /// std::fs::create_dir(here.join("received"))?;
    ///
    /// let room = Room::from_passphrase("copper lantern harbour ninety")?;
    /// let network = Network { udp_port: 48_714, interfaces: vec!["lo".into()], mdns: false };
    /// let drop = Sender::bundle([here.join("photos")], &BundleOptions::default())?;
    /// let sender = drop.tcp_port(0).network(network).offer(&room)?;
    /// let (token, port, stopper) = (sender.token(), sender.port(), sender.stopper());
    /// let serving = std::thread::spawn(move || sender.serve(|_| ()));
    ///
    /// let claim = Receiver::new(&room).claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token)?;
    /// let saved = claim.save_all(here.join("received"))?.content;
    /// assert_eq!((saved.paths, saved.files), (vec![here.join("received/photos")], 1));
    /// assert_eq!(std::fs::read(here.join("received/photos/2026/a.jpg"))?, b"a picture");
    ///
    /// stopper.stop();
    /// assert_eq!(serving.join().expect("no panic")?, Ended::Fetched);
    /// # std::fs::remove_dir_all(here)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`crate::Sender::bundle`].
    pub fn bundle(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
        options: &BundleOptions,
    ) -> Result<SenderBuilder, Error> {
        sender::Sender::bundle(paths, options).map(SenderBuilder)
    }

    /// Names the drop: what a receiver asks for.
    pub fn token(&self) -> Token {
        self.0.token()
    }

    /// The TCP port that the drop is served on.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The addresses at which others reach this machine, the best first.
    pub fn addresses(&self) -> Vec<Address> {
        self.0.addresses()
    }

    /// Interfaces on which the drop is not announced, as [`crate::Sender::skipped`].
    pub fn skipped(&self) -> &[SkippedInterface] {
        self.0.skipped()
    }

    /// How far its receivers have come, to be read in another thread, as [`crate::Sender::progress`].
    pub fn progress(&self) -> SenderProgress {
        self.0.progress()
    }

    /// Ends [`serve`](Self::serve) from another thread, or from its own events.
    pub fn stopper(&self) -> Stopper {
        self.0.stopper()
    }

    /// Serves the drop until it has ended, and then for three seconds more, so that a receiver that comes late hears what
    /// became of it. Returns earlier when a [`Stopper`] says so: within a second if it took the drop back, at once if the
    /// drop had ended already.
    ///
    /// `on_event` runs on this thread, and every connection waits for it.
    ///
    /// # Errors
    /// If the system refuses what serving takes. The drop is taken back then.
    pub fn serve(mut self, mut on_event: impl FnMut(SenderEvent)) -> Result<Ended, Error> {
        block_on(async {
            loop {
                match self.0.next_event().await? {
                    SenderEvent::Ended(ended) => {
                        self.0.linger().await?;
                        return Ok(ended);
                    }
                    event => on_event(event),
                }
            }
        })
    }
}

/// A member of a room that looks for drops and takes them. Keep one for as long as drops are looked for, as
/// [`crate::Receiver`] explains.
#[derive(Clone, Debug)]
pub struct Receiver(receiver::Receiver);

impl Receiver {
    /// A receiver in this room. It asks a sender that is busy or does not answer again for 5 seconds.
    pub fn new(room: &Room) -> Self {
        Self(receiver::Receiver::new(room))
    }

    /// Where to receive beacons.
    #[must_use]
    pub fn network(self, network: Network) -> Self {
        Self(self.0.network(network))
    }

    /// For how long to ask a sender again, as [`crate::Receiver::wait`].
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self(self.0.wait(wait))
    }

    /// Ends what this receiver and its clones are doing from another thread, for good: the call fails with
    /// [`Error::Stopped`], as does every later one. A drop that is whole already is still confirmed.
    pub fn stopper(&self) -> Stopper {
        self.0.stopper()
    }

    /// Browses for as long as `span`, and returns what members of the room offer then.
    ///
    /// # Errors
    /// As [`crate::Receiver::discover`].
    pub fn discover(&self, span: Duration) -> Result<Vec<FoundOffer>, Error> {
        block_on(self.0.discover(span))
    }

    /// What the members of the room at this address offer, as [`crate::Receiver::list`].
    ///
    /// # Errors
    /// If nobody answers, everybody there is in another room, or all are busy.
    pub fn list(&self, ip: IpAddr, port: Option<u16>) -> Result<Vec<FoundOffer>, Error> {
        block_on(self.0.list(ip, port))
    }

    /// What the members of the room at these places offer, as [`crate::Receiver::list_at`].
    ///
    /// # Errors
    /// As [`crate::Receiver::list_at`].
    pub fn list_at(&self, places: &[Place]) -> Result<Vec<FoundOffer>, Error> {
        block_on(self.0.list_at(places))
    }

    /// Claims a drop at one of these places, as [`crate::Receiver::claim_at`].
    ///
    /// # Errors
    /// As [`crate::Receiver::claim_at`].
    pub fn claim_at(&self, places: &[Place], token: impl Into<TokenPrefix>) -> Result<Claim, Error> {
        block_on(self.0.claim_at(places, token)).map(Claim::new)
    }

    /// Claims the drop whose token is this, or begins like this, as [`crate::Receiver::claim_from`].
    ///
    /// # Errors
    /// If nobody answers there, nobody is in the room, nobody has the drop, or somebody else holds it.
    pub fn claim_from(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        token: impl Into<TokenPrefix>,
    ) -> Result<Claim, Error> {
        block_on(self.0.claim_from(ip, port, token)).map(Claim::new)
    }

    /// Claims a drop again that an earlier fetch has begun to receive, as [`crate::Receiver::resume`].
    ///
    /// # Errors
    /// As there. Whatever the error, `unfinished` can be used again.
    pub fn resume(&self, unfinished: &mut Unfinished, places: &[Place]) -> Result<Claim, Error> {
        block_on(self.0.resume(unfinished, places)).map(Claim::new)
    }

    /// Removes what an earlier fetch has left of a drop, and gives its claim back if it may still stand, as
    /// [`crate::Receiver::discard`].
    ///
    /// # Errors
    /// If the system refuses what waiting takes.
    pub fn discard(&self, unfinished: Unfinished, places: &[Place]) -> Result<(), Error> {
        block_on(async {
            self.0.discard(unfinished, places).await;
            Ok(())
        })
    }

    /// Claims a drop that was found.
    ///
    /// # Errors
    /// As [`crate::Receiver::claim`].
    pub fn claim(&self, found: &FoundOffer) -> Result<Claim, Error> {
        block_on(self.0.claim(found)).map(Claim::new)
    }
}

/// A drop that nobody else can have while this is held and its sender is there. Dropping it gives the drop back, and
/// others can fetch it.
#[must_use = "dropping a claim gives the drop back"]
pub struct Claim {
    offer: Offer,
    from: SocketAddr,
    progress: FetchProgress,
    /// `None` once it is being received.
    claim: Option<claim::Claim>,
}

impl Claim {
    fn new(claim: claim::Claim) -> Self {
        let (offer, from, progress) = (claim.offer().clone(), claim.from(), claim.progress());
        Self { offer, from, progress, claim: Some(claim) }
    }

    /// The drop as its sender lists it, as [`crate::Claim::offer`].
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the drop comes from.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// How many bytes an earlier fetch has received, after which this one goes on; 0 without one.
    pub fn resumed_from(&self) -> u64 {
        self.claim.as_ref().map_or(0, claim::Claim::resumed_from)
    }

    /// How far it has come while the drop is received, to be read in another thread, as [`crate::Claim::progress`].
    pub fn progress(&self) -> FetchProgress {
        self.progress.clone()
    }

    /// Receives a message into memory, where it is wiped when dropped.
    ///
    /// # Errors
    /// If the drop is a file, the connection breaks, or the receiver's [`Stopper`] is used. The drop is given back then.
    pub fn message(mut self) -> Result<Received<Zeroizing<Vec<u8>>>, Error> {
        block_on(self.take()?.message())
    }

    /// Receives the drop into a folder or a new file, as [`crate::Claim::save`]. Returns its path.
    ///
    /// # Errors
    /// If there is no such folder or no space in it, the connection breaks, or the receiver's [`Stopper`] is used. The
    /// drop is given back then, and nothing of it is left, unless it is [kept](Error::Kept).
    pub fn save(mut self, out: impl AsRef<Path>) -> Result<Received<PathBuf>, Error> {
        block_on(self.take()?.save(out))
    }

    /// The same with all paths of a bundle, as [`crate::Claim::save_all`].
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_all(mut self, out: impl AsRef<Path>) -> Result<Received<SavedBundle>, Error> {
        block_on(self.take()?.save_all(out))
    }

    fn take(&mut self) -> Result<claim::Claim, Error> {
        // It is there until the one call that takes it.
        self.claim.take().ok_or(Error::Save(SaveError::Bug))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            // If the sender cannot be told, it gives the claim up after 15 seconds.
            let _ = poll::block_on(claim.release());
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.claim.fmt(f)
    }
}
