//! A claimed drop, taken without an executor.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deaddrop_core::offer::{Kind, Offer};
use smol::future::block_on;
use zeroize::Zeroizing;

use super::link::BlockingLink;
use super::receiver::Receiver;
use crate::exit::Failure;
use crate::fetch::{self, Broken, Refusal, make_room, receive};
use crate::files::receive::{Destination, Finished};
use crate::look::shake_hands;
use crate::stop::Stop;

/// Time to leave a sender alone whose connection broke.
const RECONNECT: Duration = Duration::from_millis(100);

/// A drop that nobody else can have while this is held and its sender is there. Dropping it gives the drop
/// back, and others can fetch it.
#[must_use = "dropping a claim gives the drop back"]
pub struct Claim<'a> {
    receiver: &'a Receiver,
    sender: SocketAddr,
    offer: Offer,
    /// `None` once it is being received.
    claim: Option<fetch::Claim<'a, BlockingLink>>,
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("offer", &self.offer)
            .field("from", &self.sender)
            .finish_non_exhaustive()
    }
}

/// A drop that is here, whole and verified.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<T> {
    /// The message, or where the file is.
    pub content: T,
    /// Whether the sender has noted that. If not, it may say that nobody confirmed.
    pub confirmed: bool,
}

impl<'a> Claim<'a> {
    pub(super) fn new(
        receiver: &'a Receiver,
        sender: SocketAddr,
        claim: fetch::Claim<'a, BlockingLink>,
    ) -> Self {
        Self { receiver, sender, offer: claim.offer.clone(), claim: Some(claim) }
    }

    /// What the sender says the drop is. The name is its words: no part of a path, and not fit for a
    /// terminal as it stands.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the drop comes from.
    pub fn from(&self) -> SocketAddr {
        self.sender
    }

    /// Receives a message into memory, where it is wiped when dropped.
    ///
    /// # Errors
    /// If the drop is a file, the connection breaks, or a [`Stopper`](super::Stopper) says so. The drop is
    /// given back then.
    pub fn message(self) -> Result<Received<Zeroizing<Vec<u8>>>, Failure> {
        if self.offer.kind != Kind::Message {
            return Err(Failure::usage(format!("the drop is a {}: save it in a folder", self.offer.kind)));
        }
        self.receive(&Destination::Stdout, true, |finished| match finished {
            Finished::Spooled(spool) => {
                Ok(Zeroizing::new(spool.in_memory().map(<[u8]>::to_vec).unwrap_or_default()))
            }
            Finished::Saved(_) => Err(fault()),
        })
    }

    /// Receives the drop into a folder under its own name, or into a new file if `out` names none that
    /// exists. Nothing is replaced: a name that is taken gets a number. The file appears when it is whole,
    /// and only its owner can read it. Gives its path.
    ///
    /// # Errors
    /// If there is no such folder or no space in it, the connection breaks, or a
    /// [`Stopper`](super::Stopper) says so. The drop is given back then, and nothing of it is left.
    pub fn save(self, out: impl AsRef<Path>) -> Result<Received<PathBuf>, Failure> {
        let out = out.as_ref();
        // On the command line this word means standard output; here it is a name like any other.
        let dash = (out.as_os_str() == "-").then(|| Path::new("./-"));
        let destination = Destination::resolve(Some(dash.unwrap_or(out)))?;
        self.receive(&destination, false, |finished| match finished {
            Finished::Saved(path) => Ok(path),
            Finished::Spooled(_) => Err(fault()),
        })
    }

    fn receive<T>(
        mut self,
        destination: &Destination,
        shown: bool,
        content: impl FnOnce(Finished) -> Result<T, Failure>,
    ) -> Result<Received<T>, Failure> {
        let incoming = make_room(destination, &self.offer, shown)?;
        let claim = self.claim.take().ok_or_else(fault)?;
        let (receiver, sender) = (self.receiver, self.sender);
        let reconnect = || async {
            std::thread::sleep(RECONNECT);
            // Whoever is to stop is to confirm first what is here.
            let link = BlockingLink::connect(sender, &Stop::default()).map_err(Refusal::from)?;
            Ok(shake_hands(link, &receiver.member, None, None).await?)
        };
        let mut received = None;
        let deliver = |finished| {
            received = Some(content(finished)?);
            Ok(())
        };
        let confirmed = match block_on(receive(claim, incoming, deliver, reconnect, Some(&receiver.stop))) {
            Ok(confirmed) => confirmed,
            Err(Broken::Failed(failure)) => return Err(failure),
            Err(Broken::Refused(refusal)) => return Err(refusal.failure_half_way()),
        };
        Ok(Received { content: received.ok_or_else(fault)?, confirmed })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(claim) = &mut self.claim {
            // If the sender does not hear it, it waits 15 seconds for us and gives us up.
            block_on(claim.pump.release());
        }
    }
}

fn fault() -> Failure {
    Failure::failed("the drop came in another way than was asked for: this is a fault of deaddrop")
}
