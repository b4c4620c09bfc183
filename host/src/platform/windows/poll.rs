//! Waiting for several sockets at once.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
pub(crate) use std::os::windows::io::AsSocket;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// What [`wait_for_sockets`] waits for at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Something to read, or the peer's close.
    pub(crate) read: bool,
    /// Room to write.
    pub(crate) write: bool,
}

/// One of two sockets of this process that are connected with each other.
pub(crate) type SocketEnd = TcpStream;

/// Two connected sockets. What is written to the first is read from the second. std has no others here than those of TCP,
/// on loopback.
pub(crate) fn socket_pair() -> io::Result<(SocketEnd, SocketEnd)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let first = TcpStream::connect(listener.local_addr()?)?;
    let own = first.local_addr()?;
    // Another program may have been faster, and is not to wake this one.
    loop {
        let (second, from) = listener.accept()?;
        if from == own {
            first.set_nodelay(true)?;
            return Ok((first, second));
        }
    }
}

/// Waits until one of the sockets has what is waited for there, an error or a hang-up; no longer than `timeout`, if
/// there is one. Says of each socket, in order, whether it was that.
pub(crate) fn wait_for_sockets<'a>(
    sockets: impl Iterator<Item = (&'a dyn AsSocket, Readiness)>,
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    // A wait too long for the system's type is as good as one without end.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut polled: Vec<PollFd<'_>> = sockets
        .map(|(socket, readiness)| {
            // Of the flags for reading, this system takes those without urgent data alone.
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::RDNORM, readiness.read);
            flags.set(PollFlags::WRNORM, readiness.write);
            PollFd::from_borrowed_fd(socket.as_socket(), flags)
        })
        .collect();
    rustix::event::poll(&mut polled, timeout.as_ref())?;
    Ok(polled.iter().map(|polled| !polled.revents().is_empty()).collect())
}
