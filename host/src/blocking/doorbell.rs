//! Events made to be heard in `poll(2)`, so that a thread that waits for its socket hears at once when
//! another thread rings.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use deaddrop_core::time::Instant;
use event_listener::{Event, EventListener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clock;

/// One thread's end of some events.
pub(super) struct Doorbell {
    events: Vec<(Arc<Event>, RefCell<EventListener>)>,
    /// Readable once an event has come.
    ear: UnixStream,
    waker: Waker,
}

/// Writes a byte when an event comes.
struct Ringer(UnixStream);

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        // If it is full there are bytes to hear in it already.
        let _ = (&self.0).write(&[1]);
    }
}

impl Doorbell {
    /// Hears these events from now on.
    pub(super) fn new(events: impl IntoIterator<Item = Arc<Event>>) -> io::Result<Self> {
        let (ear, ringer) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        let listen = |event: Arc<Event>| {
            let listener = RefCell::new(event.listen());
            (event, listener)
        };
        let waker = Waker::from(Arc::new(Ringer(ringer)));
        Ok(Self { events: events.into_iter().map(listen).collect(), ear, waker })
    }

    /// Waits until one of these sockets is ready, an event has come since the last call, or it is `until`.
    /// May return early.
    ///
    /// Whoever looks at what the events are about between two calls misses nothing.
    pub(super) fn wait<'fd>(
        &'fd self,
        sockets: impl IntoIterator<Item = (BorrowedFd<'fd>, PollFlags)>,
        until: Option<Instant>,
    ) -> io::Result<()> {
        if self.has_rung() {
            return Ok(());
        }
        let sockets = sockets.into_iter().chain([(self.ear.as_fd(), PollFlags::IN)]);
        let mut sockets: Vec<PollFd<'fd>> =
            sockets.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        // A wait too long for the system's type is as good as one without end.
        let timeout = until.and_then(|at| Timespec::try_from(clock::now().until(at)).ok());
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an event has come since the last call. Hears it again from before the answer is given.
    fn has_rung(&self) -> bool {
        let mut bytes = [0; 64];
        while matches!((&self.ear).read(&mut bytes), Ok(1..)) {}
        let mut rung = false;
        for (event, listener) in &self.events {
            let mut listener = listener.borrow_mut();
            if Pin::new(&mut *listener).poll(&mut Context::from_waker(&self.waker)).is_ready() {
                *listener = event.listen();
                rung = true;
            }
        }
        rung
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Long past the end of any test: a wait that returns was rung.
    const NEVER: Duration = Duration::from_secs(3600);

    fn never() -> Option<Instant> {
        Some(clock::now() + NEVER)
    }

    #[test]
    fn an_event_that_came_before_the_wait_is_heard() {
        let event = Arc::new(Event::new());
        let bell = Doorbell::new([event.clone()]).unwrap();
        event.notify(usize::MAX);
        bell.wait([], never()).unwrap();
        // And again, for what was heard once is listened for anew.
        event.notify(usize::MAX);
        bell.wait([], never()).unwrap();
        assert!(!bell.has_rung());
    }

    #[test]
    fn an_event_from_another_thread_ends_the_wait() {
        let (other, event) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let bell = Doorbell::new([other, event.clone()]).unwrap();
        for _ in 0..100 {
            let done = Arc::new(AtomicBool::new(false));
            let ringing = {
                let (done, event) = (done.clone(), event.clone());
                std::thread::spawn(move || {
                    done.store(true, Ordering::SeqCst);
                    event.notify(usize::MAX);
                })
            };
            // Were the event lost between the look and the wait, this would last an hour.
            while !done.load(Ordering::SeqCst) {
                bell.wait([], never()).unwrap();
            }
            ringing.join().unwrap();
        }
    }

    #[test]
    fn every_bell_hears_the_event() {
        let event = Arc::new(Event::new());
        let bells: Vec<_> = (0..3).map(|_| Doorbell::new([event.clone()]).unwrap()).collect();
        assert!(bells.iter().all(|bell| !bell.has_rung()));
        event.notify(usize::MAX);
        assert!(bells.iter().all(Doorbell::has_rung));
    }

    #[test]
    fn a_socket_or_the_time_ends_the_wait() {
        let bell = Doorbell::new([]).unwrap();
        bell.wait([], Some(clock::now())).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        (&far).write_all(b"x").unwrap();
        bell.wait([(near.as_fd(), PollFlags::IN)], never()).unwrap();
    }
}
