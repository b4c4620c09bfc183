//! A reactor on the calling thread: `block_on` over `poll(2)`, for callers without an executor.
//!
//! It is `poll(2)`, and a self-pipe that lets other threads interrupt it. The `polling` crate, which
//! smol's reactor is made of, registers sockets by an `unsafe` function since its version 3, and this workspace
//! forbids unsafe code. A `poll(2)` over every socket costs time in proportion to their number: microseconds for the
//! handful that such callers have, and a tenth of a millisecond for a thousand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use deaddrop_core::time::Instant;

use crate::clock;
use crate::lock::lock;
use crate::platform::{AsSocket, Readiness, SocketEnd, socket_pair, wait_for_sockets};

thread_local! {
    /// The reactor of the innermost [`block_on`] on this thread.
    static CURRENT: RefCell<Option<Arc<Reactor>>> = const { RefCell::new(None) };
}

/// A socket that the reactor may hold on to while it waits.
pub(crate) type Pollable = Arc<dyn AsSocket + Send + Sync>;

/// Sockets and moments that the futures of one [`block_on`] wait for.
pub(crate) struct Reactor {
    waiting: Mutex<Waiting>,
    interrupt: Arc<SelfPipe>,
}

#[derive(Default)]
struct Waiting {
    next_key: u64,
    sockets: BTreeMap<u64, Registration>,
    timers: BTreeMap<(Instant, u64), Waker>,
}

struct Registration {
    socket: Pollable,
    readiness: Readiness,
    waker: Waker,
    ready: bool,
}

/// Runs a future to its end on this thread. No other thread takes part, and no executor is needed.
///
/// # Errors
/// If the system refuses `poll(2)`, or the descriptors of the self-pipe.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let interrupt = Arc::new(SelfPipe::new()?);
    let waker = Waker::from(interrupt.clone());
    let reactor = Arc::new(Reactor { waiting: Mutex::default(), interrupt });
    let _entered = Entered::new(reactor.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        reactor.wait()?;
    }
}

/// Something to read.
const READ: Readiness = Readiness { read: true, write: false };

/// The reactor that drives the calling code, if that is one of this module.
pub(crate) fn current() -> Option<Arc<Reactor>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Makes a reactor the current one, and the one before it current again when dropped: an event handler that runs
/// inside a blocking call may make another blocking call.
struct Entered(Option<Arc<Reactor>>);

impl Entered {
    fn new(reactor: Arc<Reactor>) -> Self {
        Self(CURRENT.replace(Some(reactor)))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Reactor {
    /// Waits until a socket is ready or a moment has come, and wakes the futures that wait for it. Returns early when
    /// a waker was used.
    fn wait(&self) -> io::Result<()> {
        let interrupted = self.interrupt.before_poll();
        let sockets: Vec<(u64, Pollable, Readiness)> = lock(&self.waiting)
            .sockets
            .iter()
            .map(|(key, entry)| (*key, entry.socket.clone(), entry.readiness))
            .collect();
        let next = lock(&self.waiting).timers.keys().next().map(|(at, _)| *at);
        let until = if interrupted { Some(clock::now()) } else { next };
        let timeout = until.map(|at| clock::now().until(at));
        let interrupt: (&dyn AsSocket, Readiness) = (&self.interrupt.receiver, READ);
        let polled = sockets.iter().map(|(_, socket, readiness)| (&**socket as &dyn AsSocket, *readiness));
        let outcome = wait_for_sockets(polled.chain([interrupt]), timeout);
        self.interrupt.after_poll();
        let ready = outcome?;
        let mut woken = Vec::new();
        let mut waiting = lock(&self.waiting);
        for ((key, ..), ready) in sockets.iter().zip(ready) {
            if ready && let Some(entry) = waiting.sockets.get_mut(key) {
                entry.ready = true;
                woken.push(entry.waker.clone());
            }
        }
        let now = clock::now();
        while let Some(entry) = waiting.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            woken.push(entry.remove());
        }
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Waits until the socket has one of these events, an error or a hang-up included.
    pub(crate) fn ready(self: Arc<Self>, socket: Pollable, readiness: Readiness) -> Ready {
        Ready { reactor: self, socket, readiness, key: None }
    }

    /// Waits until this moment.
    pub(crate) fn sleep_until(self: Arc<Self>, at: Instant) -> Sleep {
        Sleep { reactor: self, at, key: None }
    }
}

/// A wait for a socket.
pub(crate) struct Ready {
    reactor: Arc<Reactor>,
    socket: Pollable,
    readiness: Readiness,
    key: Option<u64>,
}

impl Future for Ready {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut waiting = lock(&this.reactor.waiting);
        let waker = context.waker().clone();
        match this.key.and_then(|key| waiting.sockets.get_mut(&key)) {
            Some(entry) if entry.ready => return Poll::Ready(()),
            Some(entry) => entry.waker = waker,
            None => {
                let key = waiting.key();
                let (socket, readiness) = (this.socket.clone(), this.readiness);
                waiting.sockets.insert(key, Registration { socket, readiness, waker, ready: false });
                this.key = Some(key);
            }
        }
        Poll::Pending
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.reactor.waiting).sockets.remove(&key);
        }
    }
}

/// A wait for a moment.
pub(crate) struct Sleep {
    reactor: Arc<Reactor>,
    at: Instant,
    key: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.at <= clock::now() {
            return Poll::Ready(());
        }
        let this = &mut *self;
        let mut waiting = lock(&this.reactor.waiting);
        let key = *this.key.get_or_insert_with(|| waiting.key());
        waiting.timers.insert((this.at, key), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.reactor.waiting).timers.remove(&(self.at, key));
        }
    }
}

impl Waiting {
    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

/// Lets a waker interrupt `poll(2)`: a byte is written to one end of a socket pair whose other end is polled.
struct SelfPipe {
    woken: AtomicBool,
    /// The reactor's thread is in `poll(2)`, or about to enter it.
    polling: AtomicBool,
    sender: SocketEnd,
    receiver: SocketEnd,
}

impl SelfPipe {
    fn new() -> io::Result<Self> {
        let (sender, receiver) = socket_pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        let (woken, polling) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { woken, polling, sender, receiver })
    }

    /// Announces that the thread enters `poll(2)`: true if it was woken already and must not block there.
    fn before_poll(&self) -> bool {
        self.polling.store(true, Ordering::SeqCst);
        self.woken.load(Ordering::SeqCst)
    }

    fn after_poll(&self) {
        self.polling.store(false, Ordering::SeqCst);
        // Every future is polled after this, so that what was woken for is seen.
        self.woken.store(false, Ordering::SeqCst);
        let mut bytes = [0; 64];
        while matches!((&self.receiver).read(&mut bytes), Ok(1..)) {}
    }
}

impl Wake for SelfPipe {
    fn wake(self: Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) && self.polling.load(Ordering::SeqCst) {
            // When the pipe is full it holds bytes that interrupt the poll already.
            let _ = (&self.sender).write(&[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use event_listener::Event;
    use smol::future;

    use super::*;
    use crate::transport::wakeup::Wakeup;

    /// Long past the end of any test: a wait that returns was interrupted.
    const NEVER: Duration = Duration::from_secs(3600);

    async fn notified_or_never(wakeup: &Wakeup) -> bool {
        let reactor = current().unwrap();
        let late = async {
            reactor.sleep_until(clock::now() + NEVER).await;
            false
        };
        let notified = async {
            wakeup.notified().await;
            true
        };
        future::or(notified, late).await
    }

    #[test]
    fn an_event_that_came_before_the_wait_is_heard() {
        let event = Arc::new(Event::new());
        let wakeup = Wakeup::new([event.clone()]);
        for _ in 0..2 {
            event.notify(usize::MAX);
            assert!(block_on(notified_or_never(&wakeup)).unwrap());
        }
    }

    #[test]
    fn an_event_from_another_thread_ends_the_wait() {
        let (other, event) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let wakeup = Wakeup::new([other, event.clone()]);
        for _ in 0..100 {
            let done = Arc::new(AtomicBool::new(false));
            let notifying = {
                let (done, event) = (done.clone(), event.clone());
                std::thread::spawn(move || {
                    done.store(true, Ordering::SeqCst);
                    event.notify(usize::MAX);
                })
            };
            // Were the event lost between the look and the wait, this would last an hour.
            while !done.load(Ordering::SeqCst) {
                assert!(block_on(notified_or_never(&wakeup)).unwrap());
            }
            notifying.join().unwrap();
        }
    }

    #[test]
    fn a_socket_or_the_time_ends_the_wait() {
        block_on(async { current().unwrap().sleep_until(clock::now()).await }).unwrap();
        let (near, far) = socket_pair().unwrap();
        (&far).write_all(b"x").unwrap();
        block_on(async { current().unwrap().ready(Arc::new(near), READ).await }).unwrap();
    }

    #[test]
    fn a_blocking_call_inside_another_waits_in_a_reactor_of_its_own() {
        block_on(async {
            let outer = current().unwrap();
            block_on(async { assert!(!Arc::ptr_eq(&outer, &current().unwrap())) }).unwrap();
            assert!(Arc::ptr_eq(&outer, &current().unwrap()));
        })
        .unwrap();
        assert!(current().is_none());
    }

    #[test]
    fn a_future_that_yields_does_not_keep_sockets_from_being_seen() {
        let (near, far) = socket_pair().unwrap();
        (&far).write_all(b"x").unwrap();
        let yielding = async {
            loop {
                future::yield_now().await;
            }
        };
        let ready = async { current().unwrap().ready(Arc::new(near), READ).await };
        block_on(future::or(yielding, ready)).unwrap();
    }

    #[test]
    fn what_is_no_longer_waited_for_is_forgotten() {
        block_on(async {
            let reactor = current().unwrap();
            let (near, _far) = socket_pair().unwrap();
            let never = reactor.clone().ready(Arc::new(near), READ);
            let later = reactor.clone().sleep_until(clock::now() + NEVER);
            assert!(future::poll_once(future::or(never, later)).await.is_none());
            let waiting = lock(&reactor.waiting);
            assert!(waiting.sockets.is_empty() && waiting.timers.is_empty());
        })
        .unwrap();
    }
}
