//! Wakes the tasks of the app when shared state changes.
//!
//! All of them are polled together, by one executor task, so one waker is enough. A generation counter keeps a change
//! from being missed between looking at the state and waiting.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::waitqueue::WakerRegistration;

/// A broadcast notification without a payload.
pub(super) struct Notify {
    waker: RefCell<WakerRegistration>,
    generation: Cell<u32>,
}

impl Notify {
    pub(super) const fn new() -> Self {
        Self { waker: RefCell::new(WakerRegistration::new()), generation: Cell::new(0) }
    }

    /// Wakes every waiting task.
    pub(super) fn notify(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
        self.waker.borrow_mut().wake();
    }

    /// The current generation: take it before looking at the state, then wait with [`Self::changed_since`].
    pub(super) const fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Waits until [`Self::notify`] is called; returns at once if it was since `generation` was taken.
    pub(super) async fn changed_since(&self, generation: u32) {
        poll_fn(|cx| if self.poll_changed(generation, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// [`Self::changed_since`] for a hand-written future: false, with the waker registered, if nothing has changed.
    pub(super) fn poll_changed(&self, generation: u32, cx: &Context<'_>) -> bool {
        let changed = self.generation.get() != generation;
        if !changed {
            self.waker.borrow_mut().register(cx.waker());
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::pin::pin;
    use core::sync::atomic::{AtomicBool, Ordering};
    use core::task::Waker;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_change_wakes_a_waiting_task_and_is_not_missed_before_it_waits() {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let cx = &mut Context::from_waker(&waker);
        let notify = Notify::new();
        let seen = notify.generation();
        let mut waiting = pin!(notify.changed_since(seen));
        assert!(waiting.as_mut().poll(cx).is_pending());
        assert!(!flag.0.load(Ordering::Relaxed));
        notify.notify();
        assert!(flag.0.load(Ordering::Relaxed));
        assert!(waiting.poll(cx).is_ready());
        assert!(pin!(notify.changed_since(seen)).poll(cx).is_ready(), "it changed before this one waited");
        assert!(pin!(notify.changed_since(notify.generation())).poll(cx).is_pending());
    }
}
