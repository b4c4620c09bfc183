//! Ending what waits, from anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

/// Ends a [`Sender`](crate::Sender) or a [`Receiver`](crate::Receiver), from another task, another thread or a signal
/// handler's task. Clones end the same thing.
///
/// ```
/// use deaddrop::Stopper;
///
/// let stopper = Stopper::default();
/// let other = stopper.clone();
/// other.stop();
/// assert!(stopper.is_stopped());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    event: Arc<Event>,
}

impl Stopper {
    /// Ends it, for good. A second call does nothing.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.event.notify(usize::MAX);
    }

    /// Whether it was told to end.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Waits until it is told to end.
    pub async fn stopped(&self) {
        loop {
            let listener = self.0.event.listen();
            if self.is_stopped() {
                return;
            }
            listener.await;
        }
    }

    /// Notified at the end.
    pub(crate) fn event(&self) -> Arc<Event> {
        self.0.event.clone()
    }
}
