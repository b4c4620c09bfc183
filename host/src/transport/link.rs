//! One TCP connection.

use std::future::pending;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use event_listener::Event;
use log::debug;
use smol::future;
use socket2::{Domain, Protocol, SockRef, Type};

use super::socket::{Socket, sleep_until};
use super::wakeup::Wakeup;
use crate::address::Endpoint;
use crate::platform;
use crate::stop::Stopper;

/// Reads of what has come, before a clean close: no peer holds one up for longer.
const DRAINED: usize = 64;

/// What to wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interest {
    /// Bytes from the peer, or its close.
    pub(crate) read: bool,
    /// Room for bytes to the peer.
    pub(crate) write: bool,
    /// When to stop waiting.
    pub(crate) until: Option<Instant>,
}

/// The way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Its address and port.
    pub(crate) to: SocketAddr,
    /// The interface to take, by its number; `None` for the one that the system takes.
    pub(crate) via: Option<NonZeroU32>,
}

impl From<SocketAddr> for Route {
    fn from(to: SocketAddr) -> Self {
        Self { to, via: None }
    }
}

/// A non-blocking TCP connection that can be waited for.
pub(crate) struct Link {
    socket: Socket<TcpStream>,
    notify: Arc<Event>,
    wakeup: Wakeup,
}

impl Link {
    fn new(socket: Socket<TcpStream>, also: Option<Arc<Event>>) -> io::Result<Self> {
        // Small messages go back and forth: Nagle's algorithm would have each wait for the last one's acknowledgement.
        socket.get_ref().set_nodelay(true)?;
        let notify = Arc::new(Event::new());
        let wakeup = Wakeup::new([notify.clone()].into_iter().chain(also));
        Ok(Self { socket, notify, wakeup })
    }

    /// A connection that was accepted.
    pub(crate) fn accepted(stream: TcpStream) -> io::Result<Self> {
        Self::new(Socket::new(stream)?, None)
    }

    /// Connects by `deadline`, or fails with `TimedOut`. Fails with `Interrupted` when `stop` asks for the end before;
    /// later it ends waits early.
    pub(crate) async fn connect(route: Route, deadline: Instant, stop: Option<&Stopper>) -> io::Result<Self> {
        let to = Endpoint(route.to);
        let late = async {
            sleep_until(deadline).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let stopped = async {
            match stop {
                Some(stop) => stop.stopped().await,
                None => pending().await,
            }
            Err(io::ErrorKind::Interrupted.into())
        };
        let opened = future::or(open(route), future::or(late, stopped)).await;
        match &opened {
            Ok(_) => debug!("transport: connected to {to}"),
            Err(error) => debug!("transport: no connection to {to}: {error}"),
        }
        let socket = opened?;
        Self::new(socket, stop.map(Stopper::event))
    }

    /// Has `stop` end waits early, on a connection that was made without regard to it.
    pub(crate) fn woken_by(mut self, stop: &Stopper) -> Self {
        self.wakeup = Wakeup::new([self.notify.clone(), stop.event()]);
        self
    }

    /// The socket; reads and writes that would block say so.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// Notified by others to end a wait: the current one, or else the next.
    pub(crate) fn notify(&self) -> &Arc<Event> {
        &self.notify
    }

    /// Waits for any of these, or for a notification. May return early.
    pub(crate) async fn wait(&self, interest: Interest) -> io::Result<()> {
        let ready = self.socket.ready(interest.read, interest.write);
        let notified = async {
            self.wakeup.notified().await;
            Ok(())
        };
        let late = async {
            match interest.until {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
            Ok(())
        };
        future::or(future::or(ready, notified), late).await
    }

    /// Closes the connection as the session says.
    pub(crate) fn close(&self, how: Close) {
        // Both fail only on a connection that is broken already and needs no closing.
        match how {
            Close::Clean => {
                let _ = self.stream().shutdown(std::net::Shutdown::Write);
                // Bytes left unread would make it a reset, with which the peer may lose what was written last.
                let mut rest = [0; 1_024];
                for _ in 0..DRAINED {
                    if !matches!(self.stream().read(&mut rest), Ok(1..)) {
                        break;
                    }
                }
            }
            Close::Reset => {
                let _ = SockRef::from(self.stream()).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

async fn open(route: Route) -> io::Result<Socket<TcpStream>> {
    let Route { to, via } = route;
    let socket = socket2::Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match to {
        _ if via.is_none() => {}
        SocketAddr::V4(_) => platform::bind_to_interface_v4(&socket, via)?,
        SocketAddr::V6(_) => platform::bind_to_interface_v6(&socket, via)?,
    }
    let in_progress = match socket.connect(&to.into()) {
        Ok(()) => false,
        Err(error) if platform::is_in_progress(&error) => true,
        Err(error) => return Err(error),
    };
    let socket = Socket::new(TcpStream::from(socket))?;
    // Writable before it is connected or has failed is a spurious wake-up.
    while in_progress && socket.get_ref().peer_addr().is_err() {
        socket.ready(false, true).await?;
        if let Some(error) = socket.get_ref().take_error()? {
            return Err(error);
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::super::poll;
    use super::*;
    use crate::clock;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Runs the same in both reactors.
    fn in_both<T>(future: impl Fn() -> T)
    where
        T: Future<Output = ()>,
    {
        smol::block_on(future());
        poll::block_on(future()).unwrap();
    }

    async fn pair(stop: &Stopper) -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::connect(listener.local_addr().unwrap().into(), clock::now() + HOUR, Some(stop))
            .await
            .unwrap();
        (link, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_and_stops_end_the_wait() {
        in_both(|| async {
            let stop = Stopper::default();
            let (link, mut far) = pair(&stop).await;
            let until = Some(clock::now() + HOUR);
            far.write_all(b"x").unwrap();
            link.wait(Interest { read: true, write: false, until }).await.unwrap();
            link.wait(Interest { read: false, write: true, until }).await.unwrap();
            stop.stop();
            link.wait(Interest { read: false, write: false, until }).await.unwrap();
        });
    }

    #[test]
    fn a_peer_that_hung_up_does_not_end_a_wait_for_something_else() {
        in_both(|| async {
            let stop = Stopper::default();
            let (link, far) = pair(&stop).await;
            SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
            drop(far);
            let until = clock::now() + Duration::from_millis(30);
            link.wait(Interest { read: false, write: false, until: Some(until) }).await.unwrap();
            assert!(clock::now() >= until);
        });
    }

    #[test]
    fn a_clean_close_reads_what_has_come() {
        in_both(|| async {
            let (link, mut far) = pair(&Stopper::default()).await;
            far.write_all(&[1; 5_000]).unwrap();
            link.close(Close::Clean);
            drop(link);
            assert_eq!(far.read(&mut [0]).unwrap(), 0);
            assert!(far.take_error().unwrap().is_none(), "a reset");
        });
    }

    #[test]
    fn where_nobody_listens_the_connection_is_refused() {
        in_both(|| async {
            let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let refused = Link::connect(closed.into(), clock::now() + HOUR, Some(&Stopper::default()))
                .await
                .err()
                .expect("a refusal");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }
}
