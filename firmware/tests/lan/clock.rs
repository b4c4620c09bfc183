//! Time that only the test moves. Each test thread has its own.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use embassy_time_driver::{Driver, TICK_HZ};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static ALARMS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
}

struct Clock;

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        NOW.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        ALARMS.with_borrow_mut(|alarms| {
            // One task waits for many moments; each counts.
            if !alarms.iter().any(|(when, other)| *when == at && other.will_wake(waker)) {
                alarms.push((at, waker.clone()));
            }
        });
    }
}

/// Time since the test began.
pub(crate) fn now() -> Duration {
    Duration::from_micros(NOW.get() * 1_000_000 / TICK_HZ)
}

/// Moves on to the next moment that somebody waits for, but not past `limit`. False if nothing is left before it.
pub(crate) fn advance(limit: Duration) -> bool {
    let limit = u64::try_from(limit.as_micros()).unwrap() * TICK_HZ / 1_000_000;
    let due = ALARMS.with_borrow_mut(|alarms| {
        let next = alarms.iter().map(|(at, _)| *at).min().unwrap_or(u64::MAX).max(NOW.get());
        NOW.set(next.min(limit));
        let (due, later): (Vec<_>, Vec<_>) = alarms.drain(..).partition(|(at, _)| *at <= NOW.get());
        *alarms = later;
        due
    });
    due.into_iter().for_each(|(_, waker)| waker.wake());
    NOW.get() < limit
}
