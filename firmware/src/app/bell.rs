//! Tells the parts of the app that something of interest to another part has changed.
//!
//! All parts are polled together, as one task, so it is enough to have that task polled once more.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::waitqueue::WakerRegistration;

/// Rung by one part, heard by all.
pub(super) struct Bell {
    task: RefCell<WakerRegistration>,
    rung: Cell<u32>,
}

impl Bell {
    pub(super) const fn new() -> Self {
        Self { task: RefCell::new(WakerRegistration::new()), rung: Cell::new(0) }
    }

    /// Has every part that waits for the bell look around.
    pub(super) fn ring(&self) {
        self.rung.set(self.rung.get().wrapping_add(1));
        self.task.borrow_mut().wake();
    }

    /// How often it has been rung: what [`Self::since`] compares with.
    pub(super) const fn count(&self) -> u32 {
        self.rung.get()
    }

    /// Waits until it is rung again, or was since `count` was taken.
    pub(super) async fn since(&self, count: u32) {
        poll_fn(|context| if self.is_since(count, context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// The same for a future of one's own: whether it was rung; if not, its ringing wakes the task.
    pub(super) fn is_since(&self, count: u32, context: &Context<'_>) -> bool {
        let rung = self.rung.get() != count;
        if !rung {
            self.task.borrow_mut().register(context.waker());
        }
        rung
    }
}
