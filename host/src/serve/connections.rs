//! The connections of a sender: futures that are polled in place, each when it is woken.
//!
//! No executor, because that would run a connection whose place went to another some time later, and a flood would
//! hold a descriptor for each connection of that time. Here the accepter polls the evicted connection before it
//! accepts the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use deaddrop_core::token::ConnId;

use crate::lock::lock;

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The connections. Dropping them closes each.
#[derive(Default)]
pub(crate) struct Connections {
    entries: BTreeMap<ConnId, Entry>,
    woken: Arc<Mutex<Woken>>,
}

struct Entry {
    serving: Serving,
    waker: Waker,
}

#[derive(Default)]
struct Woken {
    /// Those to poll.
    conns: BTreeSet<ConnId>,
    /// Waits in [`Connections::any_woken`].
    waiting: Option<Waker>,
}

/// Wakes one connection.
struct ConnWaker {
    conn: ConnId,
    woken: Arc<Mutex<Woken>>,
}

impl Wake for ConnWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = lock(&self.woken);
        woken.conns.insert(self.conn);
        let waiting = woken.waiting.take();
        drop(woken);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Connections {
    /// Starts to serve a connection: polls it once.
    pub(crate) fn start(&mut self, conn: ConnId, serving: impl Future<Output = ()> + Send + 'static) {
        let waker = Waker::from(Arc::new(ConnWaker { conn, woken: self.woken.clone() }));
        self.entries.insert(conn, Entry { serving: Box::pin(serving), waker });
        self.poll(conn);
    }

    /// Polls one connection. One that has ended is closed when this returns.
    pub(crate) fn poll(&mut self, conn: ConnId) {
        lock(&self.woken).conns.remove(&conn);
        let Some(entry) = self.entries.get_mut(&conn) else { return };
        let mut context = Context::from_waker(&entry.waker);
        if entry.serving.as_mut().poll(&mut context).is_ready() {
            self.entries.remove(&conn);
        }
    }

    /// Polls each connection that has been woken, once.
    pub(crate) fn poll_woken(&mut self) {
        let conns = std::mem::take(&mut lock(&self.woken).conns);
        conns.into_iter().for_each(|conn| self.poll(conn));
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Waits until a connection has been woken.
    pub(crate) async fn any_woken(&mut self) {
        poll_fn(|context| {
            let mut woken = lock(&self.woken);
            if !woken.conns.is_empty() {
                return Poll::Ready(());
            }
            woken.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use event_listener::Event;
    use smol::future::{block_on, poll_once};

    use super::*;

    /// Counts its polls, and ends when `end` is notified.
    fn counting(polls: &Arc<AtomicU32>, end: &Event) -> impl Future<Output = ()> + Send + 'static {
        let (polls, mut end) = (polls.clone(), end.listen());
        poll_fn(move |context| {
            polls.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut end).poll(context)
        })
    }

    #[test]
    fn only_the_connection_that_is_woken_is_polled_and_it_is_gone_when_it_has_ended() {
        let mut connections = Connections::default();
        let ends: Vec<Event> = (0..3).map(|_| Event::new()).collect();
        let polls: Vec<Arc<AtomicU32>> = ends.iter().map(|_| Arc::default()).collect();
        for (conn, (polls, end)) in (0..).zip(polls.iter().zip(&ends)) {
            connections.start(ConnId(conn), counting(polls, end));
        }
        assert!(block_on(poll_once(connections.any_woken())).is_none());
        ends[1].notify(1);
        assert!(block_on(poll_once(connections.any_woken())).is_some());
        connections.poll_woken();
        let counts: Vec<u32> = polls.iter().map(|polls| polls.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 2, 1]);
        assert_eq!(Arc::strong_count(&polls[1]), 1, "its future is dropped");
        assert!(block_on(poll_once(connections.any_woken())).is_none());
    }

    #[test]
    fn a_wake_that_comes_during_the_wait_ends_it() {
        let mut connections = Connections::default();
        let end = Event::new();
        connections.start(ConnId(7), counting(&Arc::default(), &end));
        let notifying = async { end.notify(1) };
        block_on(smol::future::zip(connections.any_woken(), notifying));
        connections.poll_woken();
        assert_eq!(connections.len(), 0);
    }
}
