//! A connection that is waited for in `poll(2)`. Its futures are never pending.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use deaddrop_core::limits::CONNECT_TIMEOUT;
use event_listener::Event;
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::doorbell::Doorbell;
use crate::clock;
use crate::net::link::{Interest, Link};
use crate::pump::PumpError;
use crate::stop::Stop;

/// A link of the blocking front end.
pub(super) struct BlockingLink {
    stream: TcpStream,
    /// What concerns the connection beside its socket.
    bell: Doorbell,
    /// One of what the bell hears: another thread has done something for this connection.
    knock: Arc<Event>,
}

impl BlockingLink {
    /// A connection that was accepted; `event` rings when the server has something to say to it.
    pub(super) fn accepted(stream: TcpStream, event: Arc<Event>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Small messages go back and forth: none of them should wait for another.
        stream.set_nodelay(true)?;
        let knock = Arc::new(Event::new());
        Ok(Self { stream, bell: Doorbell::new([event, knock.clone()])?, knock })
    }

    /// Connects within the protocol's deadline, or until it is to stop.
    pub(super) fn connect(to: SocketAddr, stop: &Stop) -> Result<Self, PumpError> {
        let knock = Arc::new(Event::new());
        let bell = Doorbell::new([stop.bell(), knock.clone()])?;
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let until = clock::now() + CONNECT_TIMEOUT;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => loop {
                if let Some(failure) = stop.asked() {
                    return Err(PumpError::Stopped(failure));
                }
                if let Some(error) = socket.take_error()? {
                    return Err(error.into());
                }
                if socket.peer_addr().is_ok() {
                    break;
                }
                if clock::now() >= until {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                bell.wait([(socket.as_fd(), PollFlags::OUT)], Some(until))?;
            },
            Err(error) => return Err(error.into()),
        }
        Ok(Self { stream: socket.into(), bell, knock })
    }
}

impl Link for BlockingLink {
    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn knock(&self) -> &Arc<Event> {
        &self.knock
    }

    async fn wait(&self, interest: Interest) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.read);
        flags.set(PollFlags::OUT, interest.write);
        // A socket from which nothing is wanted is left out: a peer that hung up would end every wait.
        let socket = (!flags.is_empty()).then(|| (self.stream.as_fd(), flags));
        self.bell.wait(socket, interest.until)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    use smol::future::block_on;

    use super::*;

    fn pair(stop: &Stop) -> (BlockingLink, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = BlockingLink::connect(listener.local_addr().unwrap(), stop).unwrap();
        (link, listener.accept().unwrap().0)
    }

    fn hour() -> Option<deaddrop_core::time::Instant> {
        Some(clock::now() + Duration::from_secs(3600))
    }

    #[test]
    fn bytes_and_stops_end_the_wait() {
        let stop = Stop::default();
        let (link, mut far) = pair(&stop);
        far.write_all(b"x").unwrap();
        block_on(link.wait(Interest { read: true, write: false, until: hour() })).unwrap();
        block_on(link.wait(Interest { read: false, write: true, until: hour() })).unwrap();
        stop.ask();
        block_on(link.wait(Interest { read: false, write: false, until: hour() })).unwrap();
    }

    #[test]
    fn a_peer_that_hung_up_does_not_end_a_wait_for_something_else() {
        let stop = Stop::default();
        let (link, far) = pair(&stop);
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let start = clock::now();
        let until = start + Duration::from_millis(30);
        block_on(link.wait(Interest { read: false, write: false, until: Some(until) })).unwrap();
        assert!(clock::now() >= until);
    }

    #[test]
    fn where_nobody_listens_the_connection_is_refused() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let stop = Stop::default();
        let refused = BlockingLink::connect(closed, &stop).err().expect("a refusal");
        assert!(matches!(&refused, PumpError::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused));
    }
}
