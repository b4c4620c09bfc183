//! A non-blocking socket, and a moment in time, that can be waited for in either reactor.

use std::future::pending;
use std::io;
use std::sync::Arc;

use deaddrop_core::time::Instant;
use smol::{Async, Timer, future};
use socket2::SockRef;

use super::poll;
use crate::clock;
use crate::platform::{AsSocket, Readiness};

/// A non-blocking socket. Which reactor it is waited for in is settled when it is made.
pub(crate) enum Socket<T> {
    /// Registered with smol's reactor.
    Smol(Arc<Async<T>>),
    /// Waited for by [`poll::block_on`], which made it.
    Poll(Arc<T>),
}

impl<T: AsSocket + Send + Sync + 'static> Socket<T> {
    /// Makes a socket non-blocking, and fit to be waited for in the reactor that drives the caller.
    pub(crate) fn new(socket: T) -> io::Result<Self> {
        if poll::current().is_some() {
            SockRef::from(&socket).set_nonblocking(true)?;
            return Ok(Self::Poll(Arc::new(socket)));
        }
        Ok(Self::Smol(Arc::new(Async::new(socket)?)))
    }

    /// The socket itself. Operations that would block say so.
    pub(crate) fn get_ref(&self) -> &T {
        match self {
            Self::Smol(socket) => socket.get_ref(),
            Self::Poll(socket) => socket,
        }
    }

    /// Waits until there is something to read, if `read`, or room to write, if `write`; for ever if neither. May return
    /// early.
    pub(crate) async fn ready(&self, read: bool, write: bool) -> io::Result<()> {
        match self {
            Self::Smol(socket) => {
                let reading = async { if read { socket.readable().await } else { pending().await } };
                let writing = async { if write { socket.writable().await } else { pending().await } };
                future::or(reading, writing).await
            }
            Self::Poll(socket) => {
                // A socket from which nothing is wanted is left out: a hang-up would end every wait.
                if !read && !write {
                    return pending().await;
                }
                let reactor = poll::current().ok_or_else(|| {
                    io::Error::other("a socket of a blocking call was waited for outside of one")
                })?;
                reactor.ready(socket.clone(), Readiness { read, write }).await;
                Ok(())
            }
        }
    }
}

/// Waits until this moment.
pub(crate) async fn sleep_until(at: Instant) {
    match poll::current() {
        Some(reactor) => reactor.sleep_until(at).await,
        None => {
            Timer::after(clock::now().until(at)).await;
        }
    }
}
