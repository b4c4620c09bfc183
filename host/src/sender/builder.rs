//! A drop before it is offered: what it holds, and on which terms.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::offer::Name;

use super::Sender;
use crate::error::Error;
use crate::files::bundle::obstacle::Unsendable;
use crate::files::source::{Source, SourceError};
use crate::lan::advertise::Announcement;
use crate::lan::beacons::BeaconSockets;
use crate::lan::interfaces::InterfaceError;
use crate::network::Network;
use crate::room::Room;
use crate::serve::listen::listen_on;
use crate::serve::server::Server;
use crate::stop::Stopper;

/// How long a drop lives unless something else is said.
const TTL: Duration = Duration::from_secs(300);

/// A drop that is about to be offered. It lives for five minutes and may be fetched once, unless something else is said.
#[derive(Debug)]
#[must_use = "nothing is offered before `offer`"]
pub struct SenderBuilder {
    source: Source,
    name: Name,
    ttl: Duration,
    fetches: Fetches,
    tcp_port: Option<u16>,
    network: Network,
}

impl SenderBuilder {
    pub(super) fn new(source: Source, name: Name) -> Self {
        Self {
            source,
            name,
            ttl: TTL,
            fetches: Fetches::Counted(1),
            tcp_port: None,
            network: Network::default(),
        }
    }

    /// How many bytes the drop has.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// How many files a [bundle](Sender::bundle) has; `None` for other drops.
    pub fn files(&self) -> Option<u32> {
        match &self.source {
            Source::Bundle(bundle) => Some(bundle.files()),
            _ => None,
        }
    }

    /// What a [bundle](Sender::bundle) leaves out because it cannot be sent.
    pub fn left_out(&self) -> &[Unsendable] {
        match &self.source {
            Source::Bundle(bundle) => bundle.left_out(),
            _ => &[],
        }
    }

    /// How long the drop can be fetched, counted from [`offer`](Self::offer): 1 second to 7 days. The time that the
    /// machine sleeps counts.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How many receivers may have the drop, each of them whole: 1 to 64, or [all](Fetches::All) that ask while it can be
    /// fetched, 64 of them at once. A drop for all ends with its TTL.
    pub fn fetches(mut self, fetches: impl Into<Fetches>) -> Self {
        self.fetches = fetches.into();
        self
    }

    /// The name to offer the drop under: 1 to 255 bytes of text without `/` and NUL. A file has its own unless another is
    /// given, a message has none. A folder arrives under this name; several separate files and folders arrive in one folder
    /// of this name.
    ///
    /// # Errors
    /// If a drop may not have this name, or no folder can have it.
    pub fn name(mut self, name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(SourceError::NameEmpty.into());
        }
        if let Source::Bundle(bundle) = &mut self.source {
            bundle.rename(name)?;
        }
        self.name = Name::new(name).map_err(SourceError::Name)?;
        Ok(self)
    }

    /// Serves on this TCP port, rather than on the first free one of 48556 to 48571. With 0 the system chooses one.
    /// Receivers follow no announcement of a port below 1024.
    pub fn tcp_port(mut self, port: u16) -> Self {
        self.tcp_port = Some(port);
        self
    }

    /// Where to announce the drop and to take connections from.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Takes a port, opens the drop to the members of `room`, and announces it. Connections wait until
    /// [`Sender::next_event`] is polled; the TTL runs.
    ///
    /// # Errors
    /// If no port is free, an interface that was named is not there, a file's name is not text, or the TTL or the number
    /// of fetches is out of range.
    pub fn offer(self, room: &Room) -> Result<Sender, Error> {
        let (listeners, port) = listen_on(self.tcp_port)?;
        let (beacons, skipped) = BeaconSockets::open(&self.network)?;
        let server = Arc::new(Server::new(&room.secret));
        let changed = if let Source::Bundle(bundle) = &self.source { Some(bundle.changed()) } else { None };
        let files = self.files();
        let spec = DropSpec {
            kind: self.source.kind(),
            name: self.name,
            size: self.source.size(),
            ttl: self.ttl,
            fetches: self.fetches,
        };
        let token = server.put(spec.clone(), self.source)?;
        let chosen = !self.network.interfaces.is_empty();
        let only = Arc::new(Mutex::new(chosen.then(|| beacons.addresses())));
        let mut announcement =
            Announcement::new(server.clone(), beacons, port).map_err(InterfaceError::Listen)?;
        announcement.send_due();
        let told = announcement.addresses();
        Ok(Sender {
            server,
            listeners: Some(listeners),
            connections: None,
            port,
            announcement,
            skipped,
            told,
            token,
            spec,
            files,
            changed,
            only,
            stopper: Stopper::default(),
            withdrawn: false,
            ended: None,
            untold_end: false,
        })
    }
}
