//! Waiting for several sockets at once.

use std::io;
pub(crate) use std::os::fd::AsFd as AsSocket;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// What [`wait_for_sockets`] waits for at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Something to read, or the peer's close.
    pub(crate) read: bool,
    /// Room to write.
    pub(crate) write: bool,
}

/// One of two sockets of this process that are connected with each other.
pub(crate) type SocketEnd = UnixStream;

/// Two connected sockets. What is written to the first is read from the second.
pub(crate) fn socket_pair() -> io::Result<(SocketEnd, SocketEnd)> {
    UnixStream::pair()
}

/// Waits until one of the sockets has what is waited for there, an error or a hang-up; no longer than `timeout`, if
/// there is one. A signal ends the wait. Says of each socket, in order, whether it was that.
pub(crate) fn wait_for_sockets<'a>(
    sockets: impl Iterator<Item = (&'a dyn AsSocket, Readiness)>,
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    // A wait too long for the system's type is as good as one without end.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut polled: Vec<PollFd<'_>> = sockets
        .map(|(socket, readiness)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, readiness.read);
            flags.set(PollFlags::OUT, readiness.write);
            PollFd::from_borrowed_fd(socket.as_fd(), flags)
        })
        .collect();
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.iter().map(|polled| !polled.revents().is_empty()).collect())
}
