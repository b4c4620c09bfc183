//! Inputs, results and events of the table of drops.

use core::fmt;
use core::time::Duration;

use crate::offer::{EndReason, Kind, Name, Offer};
use crate::token::{ConnId, Token};

/// The spec of a drop to put on the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropSpec {
    /// Its kind.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// Its TTL: how long it can be claimed.
    pub ttl: Duration,
    /// How many receivers may have it.
    pub fetches: Fetches,
}

/// How many receivers may have a drop, each of them whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetches {
    /// So many: 1 to [`FETCHES_MAX`](crate::limits::FETCHES_MAX).
    Counted(u8),
    /// All that ask before the TTL ends. Takes a table of several fetches a drop: as many receivers are served at once.
    All,
}

impl From<u8> for Fetches {
    fn from(count: u8) -> Self {
        Self::Counted(count)
    }
}

/// The description of a drop in `begin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The kind of the drop.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// The end of the data records of it that were handed out so far, to any receiver: below `size`, or 0.
    pub given: u64,
}

/// The result of a `commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// This fetch is burned now.
    Burned {
        /// Whether it was the last fetch, so that the drop has ended.
        ended: bool,
    },
    /// This fetch id had committed before: answer `burned` again; nothing has changed.
    Already,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum Listed {
    /// A drop that can be claimed.
    Offer(Offer),
    /// A drop that has ended recently.
    Ending {
        /// The drop.
        token: Token,
        /// Why it ended.
        reason: EndReason,
    },
}

impl Listed {
    /// The token of its drop.
    pub const fn token(&self) -> Token {
        match self {
            Self::Offer(offer) => offer.token,
            Self::Ending { token, .. } => *token,
        }
    }
}

/// The number of fetches of a drop in each state. While the drop is live they add up to the fetches it
/// allows; of a drop for all receivers, to the places it has for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchCounts {
    /// Unclaimed.
    pub available: u8,
    /// Held by receivers that cannot have the whole drop yet; may lapse.
    pub claimed: u8,
    /// Held by receivers that may have the whole drop; never lapse.
    pub r#final: u8,
    /// Confirmed; of a drop for all receivers, those that are remembered.
    pub burned: u8,
}

/// Why a claim lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Lapse {
    /// Its receiver sent `release`.
    Released,
    /// No sign of life of its receiver for [`LEASE`](crate::limits::LEASE). Of a drop for all receivers a final claim ends
    /// so too, when another receiver wants its place.
    Silent,
    /// Its receiver stored less than [`SLOW_BYTES`](crate::limits::SLOW_BYTES) in
    /// [`SLOW_WINDOW`](crate::limits::SLOW_WINDOW).
    Slow,
    /// No `ready` within [`READY_TIMEOUT`](crate::limits::READY_TIMEOUT) of the last data record.
    NotReady,
    /// The drop's TTL and grace have passed.
    Grace,
    /// Its receiver asked to resume after bytes of the drop that it does not hold, or that were never handed
    /// out: it guesses at the content, or its copy is damaged.
    WrongPrefix,
}

impl Lapse {
    /// The word for it in events of programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::NotReady => "not-ready",
            Self::Grace => "grace",
            Self::WrongPrefix => "wrong-prefix",
        }
    }

    /// A phrase that completes "the claim lapsed: ".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Released => "its receiver gave up",
            Self::Silent => "its receiver fell silent",
            Self::Slow => "its receiver was too slow",
            Self::NotReady => "its receiver did not get ready to finish",
            Self::Grace => "its time was over",
            Self::WrongPrefix => "its receiver asked to resume after bytes that it does not hold",
        }
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// An event of a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropEvent {
    /// A receiver claimed one of its fetches. A takeover by the same receiver is no event.
    Claimed {
        /// The drop.
        token: Token,
        /// The latest connection of its receiver.
        conn: ConnId,
    },
    /// A claim lapsed. Its fetch is available again, unless the TTL has passed.
    Lapsed {
        /// The drop.
        token: Token,
        /// The latest connection of its receiver.
        conn: ConnId,
        /// Why.
        why: Lapse,
    },
    /// A receiver has committed.
    Burned {
        /// The drop.
        token: Token,
        /// Number of fetches not burned then. Of a drop for all receivers always
        /// [`FETCHES_MAX`](crate::limits::FETCHES_MAX).
        left: u8,
    },
    /// The drop ended, and with it every claim that was left. Its last event.
    Ended {
        /// The drop.
        token: Token,
        /// Why.
        reason: EndReason,
        /// Whether a final claim was not committed: its receiver may have the drop.
        unconfirmed: bool,
    },
}

/// Why a drop cannot be put on the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// The TTL is out of range.
    Ttl,
    /// No fetch, or more than this table supports.
    Fetches {
        /// The most that it supports.
        most: u8,
    },
    /// Every entry is in use by a live drop, or by one with unpolled events.
    Full,
    /// The generator returned the same token twice.
    Randomness,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ttl => f.write_str("a drop lives from 1 second to 7 days: give another TTL"),
            Self::Fetches { most } => {
                write!(f, "a drop allows 1 to {most} fetches here: give another number of fetches")
            }
            Self::Full => {
                f.write_str("there is no place for another drop: wait for one to end or withdraw one")
            }
            Self::Randomness => f.write_str("the random source repeats itself: do not send with it"),
        }
    }
}

impl core::error::Error for PutError {}

/// Why a request of a receiver is refused. Each maps to one error code of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The drop was fetched or withdrawn, or this fetch id has committed.
    Gone,
    /// Its TTL passed.
    Expired,
    /// Every fetch left is claimed, and one of the claims may still lapse.
    Busy {
        /// When that may happen, unless its receiver renews the lease.
        retry_after: Duration,
    },
    /// No such drop, or no such claim on this connection: it lapsed, or a newer connection took it over.
    Unknown,
    /// The source of the drop changed while it was offered.
    Changed,
    /// The request breaks the protocol.
    Malformed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the drop is gone: ask its sender for another"),
            Self::Expired => f.write_str("the drop has expired: ask its sender for another"),
            Self::Busy { retry_after } => {
                write!(
                    f,
                    "another receiver is fetching the drop: try again in {} ms",
                    retry_after.as_millis()
                )
            }
            Self::Unknown => f.write_str("there is no such drop or claim: list again, then fetch again"),
            Self::Changed => {
                f.write_str("the drop's source changed while it was offered: have it sent again")
            }
            Self::Malformed => f.write_str("the request breaks the protocol: the other side has a bug"),
        }
    }
}

impl core::error::Error for Refusal {}
