//! Between the person at the console and the network: the one gives orders, the other brings news.
//!
//! Neither side calls the other. Both share a [`Desk`] and a [`Store`](crate::store::Store): the console puts what is to
//! be sent into the store and orders that it be offered; the network side puts what it fetches there and says so.

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

use crate::store::{Label, NoRoom, Slot};

/// Orders that may wait. A person gives one at a time.
pub const ORDERS: usize = 2;
/// News that may wait for the console to print it.
pub const NEWS: usize = 4;

/// What the person asks of the network side.
///
/// Each is answered by news, named with it; the console goes on without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Fetch a drop: the one offer with this prefix, or, from an address, without looking at offers.
    /// [`News::Fetching`] and then [`News::Received`], or [`News::Failed`].
    Fetch {
        /// The beginning of its token.
        token: TokenPrefix,
        /// Where its sender is, if the person said so. Without a port, at the port of an offer from there, or
        /// else at the first of the protocol's.
        from: Option<(Ipv4Addr, Option<u16>)>,
    },
    /// Offer what is in this slot, which is whole. [`News::Offering`] or [`News::Failed`].
    /// When it is fetched or its TTL passes, it is removed from the store.
    Offer {
        /// What to offer.
        slot: Slot,
        /// Whether it came with the same command, and is of no use if it cannot be offered: then it is removed.
        sent: bool,
    },
    /// Take back what is in this slot, if it is offered or being fetched, and remove it from the store.
    /// [`News::Forgotten`].
    Forget {
        /// What to forget.
        slot: Slot,
    },
    /// Whether to fetch messages as they are offered. [`News::Auto`].
    Auto(bool),
    /// Say what can be fetched: [`News::Offer`] for each, and then [`News::Offers`].
    Offers,
    /// Say how things stand: [`News::Status`].
    Status,
}

/// An offer of the room, or of this board, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Names the drop.
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

/// What the network side tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A drop can be fetched.
    Appeared {
        /// The drop.
        offer: Brief,
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
    /// One of the answers to [`Order::Offers`].
    Offer {
        /// The drop.
        offer: Brief,
        /// Where its sender is.
        from: SocketAddr,
    },
    /// The end of the answer to [`Order::Offers`].
    Offers {
        /// How many there were.
        count: usize,
        /// Whether the room has more than the board can keep.
        more: bool,
    },
    /// A claim is granted, and the drop is coming.
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
    /// A drop is here, whole and verified.
    Received {
        /// Names it.
        token: Token,
        /// Where in the store it is.
        slot: Slot,
    },
    /// Others can fetch a drop of this board.
    Offering {
        /// The drop. Its name is its name in the store.
        drop: Brief,
        /// Where to fetch it from.
        at: SocketAddr,
    },
    /// A receiver has confirmed that it holds the drop. The store no longer does.
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
    /// A drop of this board ended otherwise. The store no longer holds it.
    Ended {
        /// Names it.
        token: Token,
        /// Its name in the store.
        name: Label,
        /// Why: [`EndReason::Expired`] or [`EndReason::Withdrawn`].
        reason: EndReason,
        /// Whether a receiver had been given all of it and had not confirmed.
        unconfirmed: bool,
    },
    /// The store no longer holds this, as ordered.
    Forgotten {
        /// The name it had in the store.
        name: Label,
    },
    /// Messages are fetched as they are offered, or not.
    Auto(bool),
    /// The board has an address, or has lost it.
    Address(Option<Ipv4Addr>),
    /// How things stand.
    Status(Status),
    /// An order came to nothing.
    Failed {
        /// Of which drop, if that is known.
        token: Option<Token>,
        /// Why.
        why: Failure,
    },
    /// Someone seems to be guessing the room's passphrase.
    Guessing {
        /// From where; `None` if from many places.
        source: Option<IpAddr>,
        /// How many guesses have failed since there was last a minute without.
        failures: u32,
    },
}

/// How the network side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether the cable is in.
    pub link: bool,
    /// The board's address.
    pub address: Option<Ipv4Addr>,
    /// The TCP port that its drops are served at.
    pub port: u16,
    /// Drops that can be fetched.
    pub offers: usize,
    /// Members that are heard.
    pub members: usize,
    /// Drops of its own that it offers.
    pub drops: usize,
    /// Whether messages are fetched as they are offered.
    pub auto: bool,
    /// How long it has been on.
    pub up: Duration,
}

/// Why an order came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No cable, or no address yet.
    NoNetwork,
    /// No offer that is known has such a token.
    Unknown,
    /// More than one has.
    Ambiguous,
    /// It is one of this board's own.
    Own,
    /// Another drop is being fetched.
    Fetching,
    /// It is a folder, which a board has no use for.
    Folder,
    /// It does not fit into the store.
    NoRoom(NoRoom),
    /// The sender could not be connected to.
    Unreachable,
    /// The conversation with the sender broke off.
    Client(ClientError),
    /// The sender refused.
    Refused(ErrorCode),
    /// The person forgot it meanwhile.
    Forgotten,
    /// It cannot be offered.
    Put(PutError),
    /// It is offered already.
    Offered,
    /// It is not in the store, or not all of it is.
    NotWhole,
}

impl fmt::Display for Failure {
    /// What happened and what to do, for the console.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "there is no network: check the cable, then status",
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
            Self::Refused(_) => "its sender did not understand: it may run another version",
            Self::Forgotten => "it was forgotten",
            Self::Offered => "it is offered already: list shows its token",
            Self::NotWhole => "not all of it is in the store: list shows what is",
            Self::Put(PutError::Full) => "too many drops are offered: forget one first",
            Self::Put(PutError::Randomness) => "the random source repeats itself: start the board again",
            Self::NoRoom(no_room) => return no_room.fmt(f),
            Self::Client(ClientError::NotMember) => {
                "its sender is not in this room: check the passphrase of both"
            }
            Self::Client(ClientError::Busy | ClientError::Handshake(HandshakeError::Busy { .. })) => {
                "its sender is busy: try again"
            }
            Self::Client(ClientError::Reset) => "the connection broke off: try again",
            Self::Client(ClientError::Silent) => "its sender stopped answering: try again",
            Self::Client(ClientError::NoBudget) => {
                "too many handshakes with that address came to nothing: wait a minute, then try again"
            }
            Self::Client(ClientError::Handshake(HandshakeError::OtherInstance)) => {
                "another process answers there now: see offers"
            }
            Self::Client(ClientError::Handshake(HandshakeError::OwnInstance)) => {
                "that is this very board: see list"
            }
            Self::Client(_) => "its sender broke the protocol: it may run another version",
            Self::Put(_) => {
                "the board does not allow such a drop: report it, with the version of the firmware"
            }
        })
    }
}

impl core::error::Error for Failure {}

/// Where orders and news wait. Not for interrupts: both sides run on one executor.
pub struct Desk {
    orders: Channel<NoopRawMutex, Order, ORDERS>,
    news: Channel<NoopRawMutex, News, NEWS>,
    lost: Cell<u16>,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// Nothing waits.
    pub const fn new() -> Self {
        Self { orders: Channel::new(), news: Channel::new(), lost: Cell::new(0) }
    }

    /// Gives an order; waits while the network side is behind.
    pub async fn order(&self, order: Order) {
        self.orders.send(order).await;
    }

    /// The next order.
    pub async fn next_order(&self) -> Order {
        self.orders.receive().await
    }

    /// Brings news that happened by itself. Where the console is so far behind that there is no room, it is dropped and
    /// counted: a peer that makes news faster than the console prints it must not hold up the network.
    pub fn tell(&self, news: News) {
        if self.news.try_send(news).is_err() {
            self.lost.set(self.lost.get().saturating_add(1));
        }
    }

    /// Answers an order; waits until there is room. Not from where connections are served.
    // Not an `async fn`, which would keep the news twice.
    pub fn answer(&self, news: News) -> impl Future<Output = ()> {
        self.news.send(news)
    }

    /// The next news. Cancelling it loses none.
    pub async fn next_news(&self) -> News {
        self.news.receive().await
    }

    /// How many news were dropped since this was last called.
    pub fn take_lost(&self) -> u16 {
        self.lost.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_that_finds_no_room_is_counted_and_what_waits_stays() {
        let desk = Desk::new();
        for n in 0..NEWS + 3 {
            desk.tell(News::Auto(n == 0));
        }
        assert_eq!(desk.news.try_receive(), Ok(News::Auto(true)), "the oldest is kept");
        assert_eq!(desk.take_lost(), 3);
        assert_eq!(desk.take_lost(), 0);
        desk.tell(News::Auto(true));
        assert_eq!(desk.take_lost(), 0, "there is room again");
    }

    #[test]
    fn news_stay_small() {
        assert!(size_of::<Order>() <= 48, "{}", size_of::<Order>());
        assert!(size_of::<News>() <= 160, "{}", size_of::<News>());
    }
}
