//! Commands from the console to the app, and events back.
//!
//! Neither side calls the other. They share a [`Mailbox`] and a [`Store`](crate::store::Store): the console puts a drop
//! into the store and sends the command to offer it; the app puts a fetched drop there and posts an event.

use core::cell::Cell;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use deaddrop_core::drops::PutError;
use deaddrop_core::offer::{EndReason, Kind};
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::token::{Token, TokenPrefix};
use deaddrop_core::wire::ErrorCode;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;

use crate::store::{Label, NoSpace, Slot};

/// Capacity of the queue of commands. A person gives one at a time.
pub const COMMANDS: usize = 2;
/// Capacity of the queue of events that the console has not printed yet.
pub const EVENTS: usize = 4;

/// A command to the app. Each is answered by the events named with it; the console does not wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Fetch a drop. Replies: [`Event::Fetching`] and then [`Event::Received`], or [`Event::Failed`].
    Fetch(FetchRequest),
    /// Offer a complete store entry. Replies: [`Event::Offering`] or [`Event::Failed`].
    /// The entry is removed from the store when it has been fetched or its TTL has passed.
    Offer {
        /// What to offer.
        slot: Slot,
        /// Whether the entry was made for this command (`send`): then it is removed if it cannot be offered.
        sent: bool,
    },
    /// Withdraw a store entry, if it is offered or being fetched, and remove it. Reply: [`Event::Forgotten`].
    Forget {
        /// What to forget.
        slot: Slot,
    },
    /// Whether to fetch messages as they are offered. Reply: [`Event::Auto`].
    Auto(bool),
    /// List all offers. Replies: [`Event::Offer`] for each, then [`Event::Offers`].
    Offers,
    /// Reply: [`Event::Status`].
    Status,
}

/// Which drop to fetch, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// A prefix of its token that no other offer has.
    pub token: TokenPrefix,
    /// The sender's address, if the offer is not to be looked up. Without a port, the port of an offer from that
    /// address, or else the first of the protocol's.
    pub from: Option<(Ipv4Addr, Option<u16>)>,
}

/// An offer, by the room or by this board, without what only a sender needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferSummary {
    /// The drop's token.
    pub token: Token,
    /// What it holds.
    pub kind: Kind,
    /// The beginning of its name; empty for a message.
    pub name: Label,
    /// Its exact size in bytes.
    pub size: u64,
    /// What is left of its TTL.
    pub ttl: Duration,
}

/// Something that happened, or a reply to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A drop can be fetched.
    Appeared {
        /// The drop.
        offer: OfferSummary,
        /// Where its sender is.
        from: SocketAddr,
    },
    /// A drop of another member can no longer be fetched.
    Gone {
        /// Names it.
        token: Token,
        /// Why.
        reason: EndReason,
    },
    /// One of the replies to [`Command::Offers`].
    Offer {
        /// The drop.
        offer: OfferSummary,
        /// Where its sender is.
        from: SocketAddr,
    },
    /// The last of the replies to [`Command::Offers`].
    Offers {
        /// How many there were.
        count: usize,
        /// Whether the room has more than the table holds.
        more: bool,
    },
    /// The sender granted our claim, and the drop is arriving.
    Fetching {
        /// Names the drop.
        token: Token,
        /// What it holds.
        kind: Kind,
        /// The beginning of its name.
        name: Label,
        /// Its size in bytes.
        size: u64,
        /// Where from.
        from: SocketAddr,
    },
    /// A drop has arrived, complete and verified.
    Received {
        /// Names it.
        token: Token,
        /// Its slot in the store.
        slot: Slot,
    },
    /// Others can fetch a drop of this board.
    Offering {
        /// The drop. Its name is its name in the store.
        drop: OfferSummary,
        /// Where to fetch it from.
        at: SocketAddr,
    },
    /// A receiver confirmed that it has the drop. It is removed from the store.
    Fetched {
        /// Names it.
        token: Token,
        /// Its name in the store.
        name: Label,
        /// Its size in bytes.
        size: u64,
        /// The receiver's address.
        by: IpAddr,
    },
    /// A drop of this board expired or was withdrawn. It is removed from the store.
    Ended {
        /// Names it.
        token: Token,
        /// Its name in the store.
        name: Label,
        /// Why: [`EndReason::Expired`] or [`EndReason::Withdrawn`].
        reason: EndReason,
        /// Whether a receiver got all of it without confirming.
        unconfirmed: bool,
    },
    /// The entry is removed from the store, as commanded.
    Forgotten {
        /// The name it had in the store.
        name: Label,
    },
    /// Whether messages are fetched as they are offered.
    Auto(bool),
    /// The board got an address, or lost it or the link.
    Address(Option<Ipv4Addr>),
    /// Another device on the LAN has this address of the board too.
    AddressTaken(Ipv4Addr),
    /// A line of the network's driver, such as a radio's that joins its network.
    Notice(&'static str),
    /// The state of the app.
    Status(Status),
    /// A command failed.
    Failed {
        /// Of which drop, if that is known.
        token: Option<Token>,
        /// Why.
        why: CommandError,
    },
    /// Handshakes keep failing: somebody may be guessing the passphrase.
    Guessing {
        /// From where; `None` if from many places.
        source: Option<IpAddr>,
        /// Failed guesses since the last minute without any.
        failures: u32,
    },
}

/// The state of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether the link is up.
    pub link: bool,
    /// The board's address.
    pub address: Option<Ipv4Addr>,
    /// The TCP port that its drops are served at.
    pub port: u16,
    /// Drops that can be fetched.
    pub offers: usize,
    /// Members whose beacons are received.
    pub members: usize,
    /// Drops of its own that it offers.
    pub drops: usize,
    /// Whether messages are fetched as they are offered.
    pub auto: bool,
    /// Time since the start.
    pub up: Duration,
}

/// Why a command failed. `Display` says what happened and what to do, for the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No link, or no address yet.
    NoNetwork,
    /// No offer that is known has such a token.
    Unknown,
    /// More than one has.
    Ambiguous,
    /// It is a drop of this board.
    Own,
    /// Another drop is being fetched.
    Fetching,
    /// It is a folder, which a board cannot store.
    Folder,
    /// It does not fit into the store.
    NoSpace(NoSpace),
    /// The sender could not be connected to.
    Unreachable,
    /// The connection to the sender failed.
    Client(ClientError),
    /// The sender refused.
    Refused(ErrorCode),
    /// The store entry was forgotten at the console meanwhile.
    Forgotten,
    /// It is in the store, and could not be made durable. Its sender is not told that it was received.
    NotPersisted,
    /// It cannot be offered.
    Put(PutError),
    /// It is offered already.
    Offered,
    /// It is not in the store, or not all of it is.
    NotWhole,
}

/// One text for every kind of it: a board has no flash for more.
const PROTOCOL: &str = "its sender and this board disagree on the protocol: update one of them";

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "there is no network: check cable or Wi-Fi, then status",
            Self::Unknown => "no offer has that token: see offers, or say: fetch TOKEN from IP",
            Self::Ambiguous => "more than one offer begins like that: give more of the token",
            Self::Own => "that is a drop of this board: show prints it",
            Self::Fetching => "another drop is being fetched: try again when it is here",
            Self::Folder => "it is a folder, which only a computer can fetch",
            Self::Unreachable => "its sender cannot be reached: check the address, then try again",
            Self::Refused(ErrorCode::Gone) => "it is gone: ask its sender for another",
            Self::Refused(ErrorCode::Expired) => "it has expired: ask its sender for another",
            Self::Refused(ErrorCode::Busy { .. }) => "another receiver is fetching it: try again",
            Self::Refused(ErrorCode::Unknown) => "its sender has no such drop: see offers",
            Self::Refused(ErrorCode::Changed) => "its source changed: have it sent again",
            Self::Refused(_) => PROTOCOL,
            Self::Forgotten => "it was forgotten",
            Self::NotPersisted => "it is here, and could not be kept for longer: show prints it",
            Self::Offered => "it is offered already: list shows its token",
            Self::NotWhole => "not all of it is in the store: list shows what is",
            Self::Put(PutError::Full) => "too many drops are offered: forget one first",
            Self::Put(PutError::Randomness) => "the random source repeats itself: start the board again",
            Self::NoSpace(no_space) => return no_space.fmt(f),
            Self::Client(ClientError::NotMember) => {
                "its sender is not in this room: check the passphrase of both"
            }
            Self::Client(ClientError::Busy | ClientError::Handshake(HandshakeError::Busy { .. })) => {
                "its sender is busy: try again"
            }
            Self::Client(ClientError::Reset) => "the connection broke off: try again",
            Self::Client(ClientError::Silent | ClientError::Slow) => {
                "its sender stopped answering: try again"
            }
            Self::Client(ClientError::NoBudget) => {
                "too many failed handshakes with that address: wait a minute"
            }
            Self::Client(ClientError::Handshake(HandshakeError::OtherInstance)) => {
                "another process answers there now: see offers"
            }
            Self::Client(ClientError::Handshake(HandshakeError::OwnInstance)) => {
                "that is this very board: see list"
            }
            Self::Client(_) => PROTOCOL,
            Self::Put(_) => "the board does not allow such a drop: report it",
        })
    }
}

impl core::error::Error for CommandError {}

/// Hears events beside the console: [`Mailbox::observe_with`].
pub trait Observer {
    /// An event was posted. Called in the midst of the app: copy what you need, and return.
    fn hear(&self, event: &Event);
}

/// Two bounded queues: commands to the app, events to the console. Not for interrupts: both sides run on one executor.
pub struct Mailbox {
    commands: Channel<NoopRawMutex, Command, COMMANDS>,
    events: Channel<NoopRawMutex, Event, EVENTS>,
    dropped: Cell<u16>,
    observer: Cell<Option<&'static (dyn Observer + Sync)>>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Mailbox {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            commands: Channel::new(),
            events: Channel::new(),
            dropped: Cell::new(0),
            observer: Cell::new(None),
        }
    }

    /// Sends a command; waits while the queue is full.
    pub async fn send(&self, command: Command) {
        self.commands.send(command).await;
    }

    /// The next command. Cancelling this loses none.
    pub async fn next_command(&self) -> Command {
        self.commands.receive().await
    }

    /// Has all events from now on heard by `observer` too, replies included: [`Events`](crate::events::Events) passes them
    /// on to several listeners.
    pub fn observe_with(&self, observer: &'static (dyn Observer + Sync)) {
        self.observer.set(Some(observer));
    }

    // Not inlined, into every place that posts.
    #[inline(never)]
    fn tell(&self, event: &Event) {
        if let Some(observer) = self.observer.get() {
            observer.hear(event);
        }
    }

    /// Posts an event that is not a reply. If the queue is full it is dropped and counted: a peer that causes events
    /// faster than the console prints them must not block the network.
    pub fn post(&self, event: Event) {
        self.tell(&event);
        if self.events.try_send(event).is_err() {
            self.dropped.set(self.dropped.get().saturating_add(1));
        }
    }

    /// Replies to a command; waits while the queue is full. Not for the server tasks, which must not wait for a console.
    // Not an `async fn`, whose future would hold the event twice.
    pub fn reply(&self, event: Event) -> impl Future<Output = ()> {
        self.tell(&event);
        self.events.send(event)
    }

    /// The next event. Cancelling this loses none.
    pub async fn next_event(&self) -> Event {
        self.events.receive().await
    }

    /// How many events were dropped since this was last called.
    pub fn take_dropped(&self) -> u16 {
        self.dropped.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_does_not_fit_is_counted_and_the_queue_stays() {
        let mailbox = Mailbox::new();
        for n in 0..EVENTS + 3 {
            mailbox.post(Event::Auto(n == 0));
        }
        assert_eq!(mailbox.events.try_receive(), Ok(Event::Auto(true)), "the oldest is kept");
        assert_eq!(mailbox.take_dropped(), 3);
        assert_eq!(mailbox.take_dropped(), 0);
        mailbox.post(Event::Auto(true));
        assert_eq!(mailbox.take_dropped(), 0, "there is room again");
    }

    #[test]
    fn commands_and_events_stay_small() {
        assert!(size_of::<Command>() <= 48, "{}", size_of::<Command>());
        assert!(size_of::<Event>() <= 160, "{}", size_of::<Event>());
    }
}
