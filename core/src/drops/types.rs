//! What the table of drops is told, answers and reports.

use core::fmt;
use core::time::Duration;

use crate::offer::{EndReason, Kind, Name, Offer};
use crate::token::Token;

/// What an owner asks for when putting a drop on the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropSpec {
    /// What it holds.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
    /// How long it may be claimed.
    pub ttl: Duration,
    /// How many receivers may take it.
    pub fetches: u8,
}

/// What `begin` tells a receiver whose claim was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What the drop holds.
    pub kind: Kind,
    /// Its name; empty for a message.
    pub name: Name,
    /// Its exact size in bytes.
    pub size: u64,
}

/// What became of a `commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// This fetch is burned now.
    Burned {
        /// Whether the drop ended with it.
        ended: bool,
    },
    /// This fetch id had committed before: say `burned` again, nothing changed.
    Already,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub enum Listed {
    /// A drop that may be claimed.
    Offer(Offer),
    /// A drop that ended lately.
    Ending {
        /// Names the drop.
        token: Token,
        /// Why it is no longer there.
        reason: EndReason,
    },
}

impl Listed {
    /// The token of the drop it is about.
    pub const fn token(&self) -> Token {
        match self {
            Self::Offer(offer) => offer.token,
            Self::Ending { token, .. } => *token,
        }
    }
}

/// Where the fetches of a drop stand. While the drop is live the four add up to the fetches it allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchCounts {
    /// Nobody holds them.
    pub available: u8,
    /// Held by a receiver that cannot have the whole drop yet; may lapse.
    pub claimed: u8,
    /// Held by a receiver that may have the whole drop; never lapses.
    pub r#final: u8,
    /// Confirmed.
    pub burned: u8,
}

/// Why a claim was lost before its receiver could have the whole drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Lapse {
    /// Its receiver gave up.
    Released,
    /// No sign of its receiver for [`LEASE`](crate::limits::LEASE).
    Silent,
    /// Its receiver stored less than [`SLOW_BYTES`](crate::limits::SLOW_BYTES) in
    /// [`SLOW_WINDOW`](crate::limits::SLOW_WINDOW).
    Slow,
    /// No `ready` within [`READY_TIMEOUT`](crate::limits::READY_TIMEOUT) of the last data record.
    NotReady,
    /// The drop's TTL and the grace after it passed.
    Grace,
}

impl Lapse {
    /// It in words that complete "the claim lapsed: ".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Released => "its receiver gave up",
            Self::Silent => "its receiver fell silent",
            Self::Slow => "its receiver was too slow",
            Self::NotReady => "its receiver did not get ready to finish",
            Self::Grace => "its time was over",
        }
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What happened to a drop, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropEvent {
    /// A receiver claimed one of its fetches. A receiver that comes back to its claim is no event.
    Claimed {
        /// Names the drop.
        token: Token,
    },
    /// A claim was lost. Its fetch is available again, unless the TTL has passed.
    Lapsed {
        /// Names the drop.
        token: Token,
        /// Why.
        why: Lapse,
    },
    /// A receiver confirmed that it holds the whole drop.
    Burned {
        /// Names the drop.
        token: Token,
        /// How many fetches were not burned then.
        left: u8,
    },
    /// The drop ended, and with it every claim that was left. The last event about it.
    Ended {
        /// Names the drop.
        token: Token,
        /// Why.
        reason: EndReason,
        /// Whether a receiver had been given all of it and had not confirmed.
        unconfirmed: bool,
    },
}

/// Why an owner cannot put a drop on the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// The TTL is shorter or longer than allowed.
    Ttl,
    /// No fetch at all, or more than this side keeps account of.
    Fetches {
        /// The most it keeps account of.
        most: u8,
    },
    /// Every place is taken by a live drop, or by one whose events nobody has polled.
    Full,
    /// The random source gave one token twice.
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

/// Why a receiver's request is refused. Each is one error of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The drop was taken or withdrawn, or this fetch id has committed.
    Gone,
    /// Its TTL passed.
    Expired,
    /// Every fetch left is claimed, and one of the claims may still lapse.
    Busy {
        /// When that may happen, if no sign of its receiver comes before.
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
