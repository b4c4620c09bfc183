//! Events for several listeners, beside the console.
//!
//! The console takes each event away from its queue, so it has room for one reader. [`Events`] gets a copy of each event
//! from the mailbox and passes it on to every [`Listener`]. It is a static of its own: a board that does not use it pays
//! nothing for it.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pubsub::{DynSubscriber, PubSubBehavior, PubSubChannel, WaitResult};

use crate::mailbox::{Event, Observer};

/// Events that a listener may be behind.
pub const BACKLOG: usize = 8;

/// Passes events on to up to `LISTENERS` listeners. Give it to [`Mailbox::observe_with`](crate::mailbox::Mailbox::observe_with).
/// A plain static: tasks of any executor may listen.
pub struct Events<const LISTENERS: usize> {
    channel: PubSubChannel<CriticalSectionRawMutex, Event, BACKLOG, LISTENERS, 0>,
}

/// Hears every event from its start on.
pub struct Listener<'a> {
    subscriber: DynSubscriber<'a, Event>,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// The listener was behind, and so many events are lost to it.
    Missed(u64),
}

impl<const LISTENERS: usize> Default for Events<LISTENERS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LISTENERS: usize> Events<LISTENERS> {
    /// Without listeners.
    pub const fn new() -> Self {
        Self { channel: PubSubChannel::new() }
    }

    /// Another listener; `None` if there are `LISTENERS` already. Dropping one makes room.
    pub fn listen(&self) -> Option<Listener<'_>> {
        self.channel.dyn_subscriber().ok().map(|subscriber| Listener { subscriber })
    }
}

impl<const LISTENERS: usize> Observer for Events<LISTENERS> {
    fn hear(&self, event: &Event) {
        // Nobody waits for a listener: one that is behind loses the oldest, and is told.
        self.channel.publish_immediate(event.clone());
    }
}

impl Listener<'_> {
    /// The next event. Cancelling this loses none.
    pub async fn next(&mut self) -> Heard {
        match self.subscriber.next_message().await {
            WaitResult::Message(event) => Heard::Event(event),
            WaitResult::Lagged(missed) => Heard::Missed(missed),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::boxed::Box;

    use super::*;
    use crate::mailbox::Mailbox;

    fn heard(listener: &mut Listener<'_>) -> Option<Heard> {
        match pin!(listener.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    #[test]
    fn every_listener_and_the_console_hear_every_event() {
        let events: &'static Events<2> = Box::leak(Box::new(Events::new()));
        let mailbox = Mailbox::new();
        mailbox.observe_with(events);
        let (mut one, mut other) = (events.listen().unwrap(), events.listen().unwrap());
        assert!(events.listen().is_none(), "there is room for two");
        mailbox.post(Event::Auto(true));
        let reply = pin!(mailbox.reply(Event::Auto(false)));
        assert!(reply.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        for listener in [&mut one, &mut other] {
            assert_eq!(heard(listener), Some(Heard::Event(Event::Auto(true))));
            assert_eq!(heard(listener), Some(Heard::Event(Event::Auto(false))));
            assert_eq!(heard(listener), None);
        }
        for expected in [true, false] {
            let next = pin!(mailbox.next_event());
            assert_eq!(
                next.poll(&mut Context::from_waker(Waker::noop())),
                Poll::Ready(Event::Auto(expected))
            );
        }
    }

    #[test]
    fn a_listener_that_is_behind_is_told_how_many_events_it_missed_and_holds_nobody_up() {
        let events = Events::<1>::new();
        let mut listener = events.listen().unwrap();
        for n in 0..BACKLOG + 3 {
            events.hear(&Event::Auto(n >= 3));
        }
        assert_eq!(heard(&mut listener), Some(Heard::Missed(3)));
        for _ in 0..BACKLOG {
            assert_eq!(heard(&mut listener), Some(Heard::Event(Event::Auto(true))));
        }
        assert_eq!(heard(&mut listener), None);
    }
}
