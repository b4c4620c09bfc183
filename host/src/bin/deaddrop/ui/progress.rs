//! How far transfers have come, and when a script is told.

use std::time::{Duration, Instant};

use deaddrop::Address;

/// How often progress is shown. A script gets at most one event each time, and none of a transfer that ends sooner.
pub(crate) const EVERY: Duration = Duration::from_millis(250);

/// How far one transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tells it from the other transfers of the drop.
    pub(crate) id: u32,
    /// The receiver's address, at a sender.
    pub(crate) by: Option<Address>,
    /// How many bytes are stored.
    pub(crate) stored: u64,
    /// How many files are stored, if the drop has several and it is known.
    pub(crate) files: Option<u32>,
}

/// Chooses which transfer a script is told of next.
#[derive(Default)]
pub(crate) struct Pace {
    last: Option<Instant>,
    seen: Vec<Seen>,
}

/// A transfer, when it was first there, and what was told of it last.
struct Seen {
    id: u32,
    since: Instant,
    told: Instant,
    stored: u64,
}

impl Pace {
    /// The transfer to tell of, if one is due: of those that have moved on since they were told the one that was told
    /// the longest ago. A whole drop of `size` bytes has an event of its own.
    pub(crate) fn next(&mut self, now: Instant, size: u64, transfers: &[Progress]) -> Option<Progress> {
        self.seen.retain(|seen| transfers.iter().any(|transfer| transfer.id == seen.id));
        for Progress { id, stored, .. } in transfers {
            if !self.seen.iter().any(|seen| seen.id == *id) {
                self.seen.push(Seen { id: *id, since: now, told: now, stored: *stored });
            }
        }
        if self.last.is_some_and(|last| now < last + EVERY) {
            return None;
        }
        let moved = |seen: &Seen| transfers.iter().find(|it| it.id == seen.id && it.stored != seen.stored);
        let due = self.seen.iter_mut().filter(|seen| now >= seen.since + EVERY);
        let due = due.filter_map(|seen| Some((moved(seen).filter(|it| it.stored < size)?, seen)));
        let (transfer, seen) = due.min_by_key(|(_, seen)| seen.told)?;
        (seen.told, seen.stored) = (now, transfer.stored);
        self.last = Some(now);
        Some(*transfer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `count` transfers that get a byte in each millisecond, until they have `size`.
    fn told(count: u32, size: u64) -> Vec<(u64, Progress)> {
        let (begun, mut pace) = (Instant::now(), Pace::default());
        let at = |ms| {
            let transfers =
                (0..count).map(|id| Progress { id, by: None, stored: ms, files: None }).collect::<Vec<_>>();
            let told = pace.next(begun + Duration::from_millis(ms), size, &transfers)?;
            Some((ms, told))
        };
        (0..=size).filter_map(at).collect()
    }

    #[test]
    fn a_script_is_told_four_times_a_second_however_many_transfers_there_are() {
        for count in [1, 5] {
            let told = told(count, 5_000);
            assert_eq!(told.len(), 19);
            for pair in told.windows(2) {
                assert!(pair[0].0 + 250 <= pair[1].0, "{pair:?}");
            }
            // One after the other, and each with what is stored then.
            for (turn, (ms, progress)) in told.iter().enumerate() {
                assert_eq!((progress.id as usize, progress.stored), (turn % count as usize, *ms));
            }
        }
    }

    #[test]
    fn nothing_is_told_of_what_ends_soon_or_stands_still() {
        assert_eq!(told(1, 250), []);
        assert_eq!(told(1, 251).len(), 1);
        let (now, mut pace) = (Instant::now(), Pace::default());
        let still = [Progress { id: 0, by: None, stored: 7, files: None }];
        for seconds in 0..5 {
            assert_eq!(pace.next(now + Duration::from_secs(seconds), 100, &still), None);
        }
    }

    #[test]
    fn a_transfer_that_goes_back_is_told_of() {
        let (now, mut pace) = (Instant::now(), Pace::default());
        let at = |stored| [Progress { id: 0, by: None, stored, files: None }];
        assert_eq!(pace.next(now, 100, &at(50)), None);
        assert_eq!(pace.next(now + EVERY, 100, &at(40)), Some(at(40)[0]));
    }
}
