//! Liveness of the app's tasks: the watchdog is fed only while every one of them checks in.

use core::cell::Cell;
use core::time::Duration;

use deaddrop_core::time::Instant;

/// The longest a task waits before it checks in again.
pub(super) const CHECK_IN_EVERY: Duration = Duration::from_secs(1);
/// A task that has not checked in for this long is stuck.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The tasks that check in. The status task is not among them: it feeds the watchdog, which bites if that one is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Sends and receives beacons.
    Beacons,
    /// Probes senders and fetches drops.
    Client,
    /// Carries out console commands.
    Command,
    /// Follows link and address.
    Network,
    /// Answers `busy` when all server slots are in use.
    BusyResponder,
    /// Not a task: the network is heard, see `silence`.
    Wire,
    /// One of the server slots, counted from 0.
    Server(u8),
}

const TASKS: usize = 6 + super::memory::SERVERS;

impl Task {
    const fn index(self) -> usize {
        match self {
            Self::Beacons => 0,
            Self::Client => 1,
            Self::Command => 2,
            Self::Network => 3,
            Self::BusyResponder => 4,
            Self::Wire => 5,
            Self::Server(number) => 6 + number as usize,
        }
    }
}

/// When each task last checked in.
pub(super) struct Liveness([Cell<Instant>; TASKS]);

impl Liveness {
    /// With every task checked in at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self(core::array::from_fn(|_| Cell::new(now)))
    }

    /// `task` is alive at `now`.
    pub(super) fn check_in(&self, task: Task, now: Instant) {
        if let Some(last) = self.0.get(task.index()) {
            last.set(now);
        }
    }

    /// Whether no task is stuck.
    pub(super) fn all_alive(&self, now: Instant) -> bool {
        self.0.iter().all(|last| now.since(last.get()) < STUCK_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_that_is_stuck_is_enough() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let last = u8::try_from(super::super::memory::SERVERS - 1).unwrap();
        let single =
            [Task::Beacons, Task::Client, Task::Command, Task::Network, Task::BusyResponder, Task::Wire];
        for stuck in single.into_iter().chain([Task::Server(last)]) {
            let liveness = Liveness::new(at(0));
            for task in single.into_iter().chain((0..=last).map(Task::Server)).filter(|task| *task != stuck) {
                liveness.check_in(task, at(9));
            }
            assert!(liveness.all_alive(at(9)), "{stuck:?}");
            assert!(!liveness.all_alive(at(10)), "{stuck:?}");
            liveness.check_in(stuck, at(10));
            assert!(liveness.all_alive(at(11)), "{stuck:?}");
        }
    }
}
