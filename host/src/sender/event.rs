//! What happens while a drop is served, and how it ends.

use std::path::PathBuf;

use deaddrop_core::drops::Lapse;
use deaddrop_core::offer::EndReason;

use crate::address::Address;

/// Something that happened while a drop was served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// A receiver has claimed the drop: it is about to receive it.
    Claimed {
        /// The receiver's address.
        by: Address,
    },
    /// A claim lapsed. The drop can be fetched again, unless its TTL has passed.
    Lapsed {
        /// The address of the receiver that held it.
        by: Address,
        /// Why.
        why: Lapse,
    },
    /// A receiver has confirmed that it holds the whole drop.
    Fetched {
        /// The receiver's address.
        by: Address,
    },
    /// Handshakes with another passphrase fail: a neighbour's room, or somebody guesses.
    Guessing {
        /// Where they come from; `None` if from many places.
        source: Option<Address>,
        /// How many have failed since there was last a minute without.
        failures: u32,
    },
    /// This file of a [bundle](crate::Sender::bundle) is no longer what it was. The end of the drop follows.
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// This machine has other addresses than before, at which the drop is offered: interfaces and addresses come and go.
    Moved {
        /// All of them, the best first; of loopback alone if there is no network.
        addresses: Vec<Address>,
    },
    /// The drop has ended. The last event.
    Ended(Ended),
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
    /// The file, or one of a bundle, changed while it was offered, so it was withdrawn: nobody gets a mixture of the two.
    Changed {
        /// A receiver was given the whole drop and never confirmed it: it may have it.
        unconfirmed: bool,
    },
    /// A [`Stopper`](crate::Stopper) or [`Sender::withdraw`](crate::Sender::withdraw) took it back.
    Stopped {
        /// A receiver was given the whole drop and had not confirmed it yet: it may have it.
        unconfirmed: bool,
    },
}

/// How a drop of ours ended, from the core's reason.
pub(super) fn ended(reason: EndReason, unconfirmed: bool, changed: bool) -> Ended {
    match reason {
        EndReason::Fetched => Ended::Fetched,
        EndReason::Expired => Ended::Expired { unconfirmed },
        EndReason::Withdrawn if changed => Ended::Changed { unconfirmed },
        // The core knows no other reason to end a drop of ours.
        _ => Ended::Stopped { unconfirmed },
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
            (ended(EndReason::Withdrawn, false, true), Ended::Changed { unconfirmed: false }),
            (ended(EndReason::Withdrawn, true, false), Ended::Stopped { unconfirmed: true }),
        ];
        for (told, expected) in table {
            assert_eq!(told, expected);
        }
    }
}
