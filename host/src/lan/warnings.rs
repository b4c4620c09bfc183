//! What keeps a browser from showing offers in time, or from showing them all: told once while it lasts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use deaddrop_core::limits::WARN_WINDOW;
use deaddrop_core::time::Instant;

use super::catalogue::Catalogue;

/// How often the tables are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A probe that has been due for this long is late.
const LATE: Duration = Duration::from_secs(1);
/// Beacons within [`EVERY`] without a place, or late probes, that are many. A network without a flood has few: room for
/// 1,024 senders, and probes take milliseconds.
const MANY: usize = 32;
/// Warnings that wait to be read. There are two kinds, each at most once a minute.
const WAITING: usize = 4;

/// Something that keeps a [`Browser`](crate::Browser) from showing offers in time, or from showing them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrowserWarning {
    /// More senders are announced than can be probed. Beacons are not authenticated: somebody may be forging them.
    Flooded {
        /// Announced senders that have waited for their probe for a second or longer.
        waiting: usize,
        /// Beacons of the last second or so that found no room.
        turned_away: usize,
    },
    /// Members of the room offer more drops than there is room for.
    Crowded {
        /// How many are shown.
        shown: usize,
        /// The address that has most of them.
        most: IpAddr,
        /// How many of them are from there.
        share: usize,
    },
}

/// The warnings of a [`Browser`](crate::Browser). May be awaited beside it, or in another task.
#[derive(Clone, Debug)]
pub struct BrowserWarnings(Receiver<BrowserWarning>);

impl BrowserWarnings {
    /// Waits for the next warning. What is warned of is warned of again only after a minute without it. Never returns
    /// once the browser is gone.
    pub async fn next(&self) -> BrowserWarning {
        match self.0.recv().await {
            Ok(warning) => warning,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Looks for what to warn of.
pub(super) struct Watch {
    warnings: (Sender<BrowserWarning>, Receiver<BrowserWarning>),
    next: Instant,
    turned_away: u32,
    flooded: Folded,
    crowded: Folded,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        let (flooded, crowded) = (Folded::default(), Folded::default());
        Self { warnings: bounded(WAITING), next: now + EVERY, turned_away: 0, flooded, crowded }
    }

    pub(super) fn warnings(&self) -> BrowserWarnings {
        BrowserWarnings(self.warnings.1.clone())
    }

    /// Warns of what is new. Call it whenever something has happened.
    pub(super) fn look(&mut self, now: Instant, catalogue: &Catalogue) {
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        let before = std::mem::replace(&mut self.turned_away, catalogue.turned_away());
        let turned_away = usize::try_from(self.turned_away.wrapping_sub(before)).unwrap_or(usize::MAX);
        let waiting = catalogue.overdue(now, LATE);
        if self.flooded.is_news(now, waiting >= MANY || turned_away >= MANY) {
            self.warn(BrowserWarning::Flooded { waiting, turned_away });
        }
        if self.crowded.is_news(now, catalogue.is_crowded())
            && let Some((shown, most, share)) = shares(catalogue.offers().map(|known| known.from.ip()))
        {
            self.warn(BrowserWarning::Crowded { shown, most, share });
        }
    }

    fn warn(&self, warning: BrowserWarning) {
        // Those that are not read yet say the same.
        let _ = self.warnings.0.try_send(warning);
    }
}

/// A state that is told when it begins, and again only after a minute without it.
#[derive(Default)]
struct Folded {
    last: Option<Instant>,
}

impl Folded {
    fn is_news(&mut self, now: Instant, holds: bool) -> bool {
        let quiet = self.last.is_none_or(|last| now.since(last) >= WARN_WINDOW);
        if holds {
            self.last = Some(now);
        }
        holds && quiet
    }
}

/// How many there are, which is the most frequent, and how often it occurs.
fn shares(addresses: impl Iterator<Item = IpAddr>) -> Option<(usize, IpAddr, usize)> {
    let mut shares = BTreeMap::<IpAddr, usize>::new();
    addresses.for_each(|address| *shares.entry(address).or_default() += 1);
    let (most, share) = shares.iter().max_by_key(|(_, share)| **share)?;
    Some((shares.values().sum(), *most, *share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_once_until_it_was_away_for_a_minute() {
        let mut folded = Folded::default();
        let told =
            |folded: &mut Folded, s: u64, holds| folded.is_news(Instant::from_millis(s * 1_000), holds);
        assert!(!told(&mut folded, 0, false));
        assert!(told(&mut folded, 1, true));
        assert!((2..200).all(|s| !told(&mut folded, s, s % 50 == 0)), "a day of it is one line");
        assert!(!told(&mut folded, 209, true), "59 s after the last time");
        assert!(told(&mut folded, 269, true));
    }

    #[test]
    fn the_address_with_most_offers_is_named() {
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        assert_eq!(shares([ip(1), ip(2), ip(3), ip(2)].into_iter()), Some((4, ip(2), 2)));
        assert_eq!(shares(std::iter::empty()), None);
    }
}
