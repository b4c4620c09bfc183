//! Waiting for events that another task or thread notifies.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use event_listener::{Event, EventListener};

use crate::lock::lock;

/// A listener on several events. It listens between two waits too, so that a notification that comes while its
/// owner is busy ends the next wait.
pub(crate) struct Wakeup(Vec<(Arc<Event>, Mutex<EventListener>)>);

impl Wakeup {
    /// Listens to these events from now on.
    pub(crate) fn new(events: impl IntoIterator<Item = Arc<Event>>) -> Self {
        let listen = |event: Arc<Event>| {
            let listener = Mutex::new(event.listen());
            (event, listener)
        };
        Self(events.into_iter().map(listen).collect())
    }

    /// Waits until one of the events has been notified since the last wait.
    pub(crate) async fn notified(&self) {
        poll_fn(|context| {
            let mut woken = false;
            for (event, listener) in &self.0 {
                let mut listener = lock(listener);
                if Pin::new(&mut *listener).poll(context).is_ready() {
                    *listener = event.listen();
                    woken = true;
                }
            }
            if woken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use smol::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn a_notification_between_two_waits_is_not_missed() {
        let (first, second) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let wakeup = Wakeup::new([first.clone(), second.clone()]);
        for event in [&first, &second, &first] {
            assert_eq!(block_on(poll_once(wakeup.notified())), None);
            event.notify(usize::MAX);
            assert_eq!(block_on(poll_once(wakeup.notified())), Some(()));
        }
    }

    #[test]
    fn every_listener_hears_the_event() {
        let event = Arc::new(Event::new());
        let all: Vec<_> = (0..3).map(|_| Wakeup::new([event.clone()])).collect();
        event.notify(usize::MAX);
        assert!(all.iter().all(|wakeup| block_on(poll_once(wakeup.notified())).is_some()));
    }
}
