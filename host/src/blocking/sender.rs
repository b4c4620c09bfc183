//! Holding a drop without an executor.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope};
use std::time::Duration;

use deaddrop_core::drops::DropSpec;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::{LINGER, LINGER_INTERRUPTED};
use deaddrop_core::offer::{EndReason, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use event_listener::Event;
use rustix::event::PollFlags;
use smol::future::block_on;
use zeroize::Zeroizing;

use super::doorbell::Doorbell;
use super::ears::Ears;
use super::link::BlockingLink;
use super::{Network, Room, Stopper, broken};
use crate::announce::Announcing;
use crate::clock;
use crate::discover::skipped_message;
use crate::exit::Failure;
use crate::files::source::{Source, SourceFile, SourceMessage};
use crate::net::beacons::{Beacons, Skipped};
use crate::net::listen::serve_on;
use crate::pump::serve_connection;
use crate::serve::{Server, ServingEvent};
use crate::stop::Stop;

/// How long a drop lives unless something else is said.
const TTL: Duration = Duration::from_secs(300);
/// Most connections at once, each a thread. More wait, unaccepted, until one of them ends.
const CONNECTIONS: usize = 512;
/// How long to accept nothing when the system has no more descriptors or threads to give.
const PAUSE: Duration = Duration::from_millis(50);

/// A drop that is about to be offered.
///
/// It lives for five minutes and may be fetched once, unless something else is said.
#[derive(Debug)]
#[must_use = "nothing is offered before `offer`"]
pub struct SenderBuilder {
    source: Source,
    name: Name,
    ttl: Duration,
    fetches: u8,
    tcp_port: Option<u16>,
    network: Network,
}

impl SenderBuilder {
    fn new(source: Source, name: Name) -> Self {
        Self { source, name, ttl: TTL, fetches: 1, tcp_port: None, network: Network::default() }
    }

    /// How long the drop can be fetched, counted from [`offer`](Self::offer): 1 second to 7 days. The time
    /// that the machine sleeps counts.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How many receivers may have the drop, each of them whole: 1 to 64.
    pub fn fetches(mut self, fetches: u8) -> Self {
        self.fetches = fetches;
        self
    }

    /// The name to offer the drop under: at most 255 bytes of text without `/` and NUL. A file has its own
    /// unless another is given, a message has none.
    ///
    /// # Errors
    /// If this is no name that a drop may have.
    pub fn name(mut self, name: &str) -> Result<Self, Failure> {
        self.name = Name::new(name).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(self)
    }

    /// Serves on this TCP port, rather than on the first one free from 48556 to 48571. Receivers follow no
    /// announcement of a port below 1024.
    pub fn tcp_port(mut self, port: u16) -> Self {
        self.tcp_port = Some(port);
        self
    }

    /// Where to announce the drop and to take connections from.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Takes a port and opens the drop to the members of `room`. Their connections wait until
    /// [`Sender::serve`] is called, and nothing is announced before that; the TTL runs.
    ///
    /// # Errors
    /// If no port is free, an interface that was named is not there, or the TTL or the number of fetches is
    /// out of bounds.
    pub fn offer(self, room: &Room) -> Result<Sender, Failure> {
        let (listener, port) = serve_on(self.tcp_port)?;
        let (beacons, skipped) = Beacons::open(self.network.udp_port, &self.network.interfaces)?;
        let server = Arc::new(Server::new(&room.secret));
        let terms = DropSpec {
            kind: self.source.kind(),
            name: self.name,
            size: self.source.size(),
            ttl: self.ttl,
            fetches: self.fetches,
        };
        let token = server.put(terms, self.source).map_err(|e| Failure::usage(e.to_string()))?;
        // Where interfaces were chosen, connections by way of others are none of ours.
        let only = (!self.network.interfaces.is_empty()).then(|| beacons.addresses());
        Ok(Sender { server, listener, port, beacons, skipped, token, only, stop: Stop::default() })
    }
}

/// A drop and the port it is served on. Dropping it takes the drop back.
pub struct Sender {
    server: Arc<Server>,
    listener: TcpListener,
    port: u16,
    beacons: Beacons,
    skipped: Vec<Skipped>,
    token: Token,
    only: Option<Vec<IpAddr>>,
    stop: Stop,
}

/// What happens while a drop is served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// A receiver has confirmed that it holds the whole drop.
    Fetched {
        /// The receiver's address.
        by: IpAddr,
    },
    /// Handshakes with another passphrase fail: a neighbour's room, or somebody guesses.
    Guessing {
        /// Where they come from; `None` if from many places.
        source: Option<IpAddr>,
        /// How many have failed since there was last a minute without.
        failures: u32,
    },
    /// Receivers on one of this machine's networks do not hear of the drop. They can still fetch it by this
    /// machine's address.
    Unannounced {
        /// One line for a person.
        message: String,
    },
}

/// How a drop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The last receiver it was meant for has confirmed that it holds the whole drop.
    Fetched,
    /// The TTL passed.
    Expired {
        /// A receiver was given the whole drop and never confirmed it: it may have it.
        unconfirmed: bool,
    },
    /// The file changed while it was offered, so it was withdrawn: nobody gets a mixture.
    Changed,
    /// A [`Stopper`] took it back.
    Stopped {
        /// A receiver was given the whole drop and had not confirmed it yet: it may have it.
        unconfirmed: bool,
    },
}

impl Sender {
    /// A message of at most 64 KiB: any bytes. They are wiped from memory when the drop ends; a copy that
    /// the caller keeps is the caller's to wipe.
    ///
    /// # Errors
    /// If it is longer.
    pub fn message(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<SenderBuilder, Failure> {
        let message = SourceMessage::from_bytes(bytes.into())?;
        Ok(SenderBuilder::new(Source::Message(message), Name::default()))
    }

    /// A file. It stays open, and has to stay as it is until the drop ends.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or its name is not text.
    pub fn file(path: impl AsRef<Path>) -> Result<SenderBuilder, Failure> {
        let file = SourceFile::open(path.as_ref())?;
        let name = file.name(None)?;
        Ok(SenderBuilder::new(Source::File(file), name))
    }

    /// Names the drop: what a receiver asks for.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The TCP port the drop is served on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The addresses under which others reach this machine, loopback last.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.beacons.addresses()
    }

    /// Ends [`serve`](Self::serve) from another thread, or from its own events.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Announces the drop and serves it until it has ended, then for three seconds more, so that those who
    /// come late hear what became of it. Returns earlier when a [`Stopper`] says so: within a second if it
    /// took the drop back, at once if the drop had ended already.
    ///
    /// `on_event` runs on this thread, and everything but connections waits for it.
    ///
    /// # Errors
    /// If the system refuses what serving takes, descriptors for example. The drop is taken back then.
    pub fn serve(self, mut on_event: impl FnMut(SenderEvent)) -> Result<Ended, Failure> {
        for skipped in &self.skipped {
            on_event(SenderEvent::Unannounced { message: skipped_message(skipped) });
        }
        std::thread::scope(|scope| {
            let _end = EndConnections(&self.server);
            let mut desk = Desk {
                scope,
                server: &self.server,
                listener: &self.listener,
                only: self.only.clone(),
                threads: Arc::default(),
                room: Arc::default(),
                accept_at: None,
            };
            let rung = [self.server.bell.clone(), self.stop.bell(), desk.room.clone()];
            let bell = Doorbell::new(rung).map_err(broken)?;
            let mut ears = Ears::of(&self.beacons).map_err(broken)?;
            let mut announcing = Announcing::new(self.server.clone(), self.beacons, self.port);
            let mut ending = None;
            loop {
                while let Some(event) = self.server.next_event() {
                    match event {
                        ServingEvent::Fetched { by, .. } => on_event(SenderEvent::Fetched { by }),
                        ServingEvent::Warning(Warning::Guessing { source, failures }) => {
                            on_event(SenderEvent::Guessing { source, failures });
                        }
                        ServingEvent::Warning(_) => {}
                        ServingEvent::Ended { reason, unconfirmed, changed, .. } => {
                            let ended = ended(reason, unconfirmed, changed);
                            ending = Some(Ending::new(ended, self.stop.asked().is_some()));
                        }
                    }
                }
                match &ending {
                    Some(ending) if ending.is_over(self.stop.asked().is_some()) => return Ok(ending.ended),
                    // Its end is an event, which is told on the next turn.
                    None if self.stop.asked().is_some() => self.server.withdraw_all(),
                    _ => {}
                }
                if announcing.refresh() {
                    ears = Ears::of(&announcing.beacons).map_err(broken)?;
                    desk.only = desk.only.map(|_| announcing.beacons.addresses());
                }
                let due =
                    [Some(announcing.speak()), ending.map(|ending| ending.until), ears.due(), desk.due()];
                let due = due.into_iter().fold(None, Instant::earliest);
                bell.wait(desk.socket().into_iter().chain(ears.sockets()), due).map_err(broken)?;
                desk.accept();
                ears.hear(|arrival, beacon| announcing.handle_beacon(arrival, beacon));
            }
        })
    }
}

fn ended(reason: EndReason, unconfirmed: bool, changed: bool) -> Ended {
    match reason {
        EndReason::Fetched => Ended::Fetched,
        EndReason::Expired => Ended::Expired { unconfirmed },
        EndReason::Withdrawn if changed => Ended::Changed,
        // The core knows no other reason to end a drop of ours.
        _ => Ended::Stopped { unconfirmed },
    }
}

/// A drop that has ended, and how long its sender goes on answering.
#[derive(Clone, Copy)]
struct Ending {
    ended: Ended,
    until: Instant,
    /// It was to stop already when the drop ended.
    stopped: bool,
}

impl Ending {
    fn new(ended: Ended, stopped: bool) -> Self {
        let linger = if stopped { LINGER_INTERRUPTED } else { LINGER };
        Self { ended, until: clock::now() + linger, stopped }
    }

    fn is_over(&self, stop: bool) -> bool {
        clock::now() >= self.until || (stop && !self.stopped)
    }
}

/// Ends all connections when dropped, so that the threads that serve them end, whatever happens.
struct EndConnections<'a>(&'a Server);

impl Drop for EndConnections<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Takes connections in.
struct Desk<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    server: &'env Server,
    listener: &'env TcpListener,
    /// The addresses of ours to take them at; `None` for all.
    only: Option<Vec<IpAddr>>,
    /// Connections there are now.
    threads: Arc<AtomicUsize>,
    /// Rings when a connection has ended.
    room: Arc<Event>,
    accept_at: Option<Instant>,
}

impl Desk<'_, '_> {
    /// When to accept again, after a pause.
    fn due(&self) -> Option<Instant> {
        self.accept_at
    }

    /// What to wait for; nothing while there is no place for another connection.
    fn socket(&self) -> Option<(std::os::fd::BorrowedFd<'_>, PollFlags)> {
        let open = self.accept_at.is_none() && self.threads.load(Ordering::Acquire) < CONNECTIONS;
        open.then(|| (self.listener.as_fd(), PollFlags::IN))
    }

    /// Accepts all connections that have come.
    fn accept(&mut self) {
        if self.accept_at.is_some_and(|at| clock::now() < at) {
            return;
        }
        self.accept_at = None;
        while self.threads.load(Ordering::Acquire) < CONNECTIONS {
            let taken = match self.listener.accept() {
                Ok((stream, from)) => self.take(stream, from),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => Ok(()),
                    _ => Err(error),
                },
            };
            if taken.is_err() {
                // Out of descriptors or threads, most likely: some come back when connections end.
                self.accept_at = Some(clock::now() + PAUSE);
                return;
            }
        }
    }

    fn take(&self, stream: std::net::TcpStream, from: SocketAddr) -> io::Result<()> {
        let by = stream.local_addr().map(|address| address.ip());
        if !self.only.as_ref().is_none_or(|only| by.is_ok_and(|by| only.contains(&by))) {
            return Ok(());
        }
        let link = BlockingLink::accepted(stream, self.server.bell.clone())?;
        let place = Place::new(self.threads.clone(), self.room.clone());
        let server = self.server;
        let serve = move || {
            let _place = place;
            block_on(serve_connection(server, link, from.ip()));
        };
        Builder::new().name("deaddrop serve".into()).spawn_scoped(self.scope, serve)?;
        Ok(())
    }
}

/// One of the places for connections, free again when dropped.
struct Place {
    threads: Arc<AtomicUsize>,
    room: Arc<Event>,
}

impl Place {
    fn new(threads: Arc<AtomicUsize>, room: Arc<Event>) -> Self {
        threads.fetch_add(1, Ordering::AcqRel);
        Self { threads, room }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only at the limit does somebody wait for a place.
        if self.threads.fetch_sub(1, Ordering::AcqRel) == CONNECTIONS {
            self.room.notify(usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_word() {
        let table = [
            (ended(EndReason::Fetched, false, false), Ended::Fetched),
            (ended(EndReason::Expired, true, false), Ended::Expired { unconfirmed: true }),
            (ended(EndReason::Withdrawn, false, true), Ended::Changed),
            (ended(EndReason::Withdrawn, true, false), Ended::Stopped { unconfirmed: true }),
        ];
        for (told, expected) in table {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_stop_ends_the_linger_unless_it_has_shortened_it_already() {
        let ending = Ending::new(Ended::Fetched, false);
        assert!(!ending.is_over(false) && ending.is_over(true));
        let ending = Ending::new(Ended::Stopped { unconfirmed: false }, true);
        assert!(!ending.is_over(true));
        assert!(Ending { until: clock::now(), ..ending }.is_over(true));
    }

    #[test]
    fn a_place_that_becomes_free_rings_only_where_somebody_waits() {
        use event_listener::Listener as _;
        let (threads, room) = (Arc::new(AtomicUsize::new(CONNECTIONS - 2)), Arc::new(Event::new()));
        let places = [0, 1].map(|_| Place::new(threads.clone(), room.clone()));
        let listener = room.listen();
        let [last, other] = places;
        drop(last);
        assert!(listener.wait_timeout(Duration::ZERO).is_some());
        let listener = room.listen();
        drop(other);
        assert!(listener.wait_timeout(Duration::ZERO).is_none());
        assert_eq!(threads.load(Ordering::Acquire), CONNECTIONS - 2);
    }
}
