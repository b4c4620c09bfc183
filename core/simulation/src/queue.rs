//! Virtual time, and the event queue.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use deaddrop_core::time::Instant;

/// Microseconds since the start of the run.
pub(crate) type Micros = u64;

/// A millisecond.
pub(crate) const MILLI: Micros = 1_000;
/// A second.
pub(crate) const SECOND: Micros = 1_000_000;

/// Core's clock at that time. It does not start at zero, as real clocks do not.
pub(crate) fn instant(at: Micros) -> Instant {
    Instant::from_millis(1_000_000 + at / MILLI)
}

/// The simulation time of a time of core's clock.
pub(crate) fn micros(at: Instant) -> Micros {
    at.as_millis().saturating_sub(1_000_000).saturating_mul(MILLI)
}

struct Entry<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// Reversed for a max-heap: the earliest event first; FIFO among events at one time.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// Events in the order of their times.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    count: u64,
}

impl<E> Queue<E> {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    /// Schedules an event.
    pub(crate) fn push(&mut self, at: Micros, event: E) {
        self.count += 1;
        self.heap.push(Entry { at, number: self.count, event });
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(Micros, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// Number of events so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}
