//! One TCP connection and a way to wait for it: the only thing the two front ends do differently.
//!
//! All else is written once, as `async` code over this trait. The smol front end waits in its reactor; the
//! blocking one waits in `poll(2)`, so its futures are never pending.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;

use async_net::TcpStream as AsyncStream;
use deaddrop_core::limits::CONNECT_TIMEOUT;
use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use event_listener::{Event, EventListener};
use smol::{Async, Timer, future};

use crate::clock;
use crate::stop::Stop;

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

/// A non-blocking connection that can be waited for.
pub(crate) trait Link {
    /// The socket; reads and writes that would block say so.
    fn stream(&self) -> &TcpStream;

    /// Rings to end a wait: this one, or the next if there is none.
    fn knock(&self) -> &Arc<Event>;

    /// Waits for any of these, or for whatever else concerns the connection. May return early.
    fn wait(&self, interest: Interest) -> impl Future<Output = io::Result<()>>;
}

/// A link of the smol front end.
pub(crate) struct SmolLink {
    stream: Arc<Async<TcpStream>>,
    /// Rings when something about the server has changed that its connections should look at.
    bell: Option<Arc<Event>>,
    /// Rings when another thread has done something for this connection.
    knock: Arc<Event>,
    /// Listens to that at all times, so that none is missed between two waits.
    knocked: RefCell<EventListener>,
}

impl SmolLink {
    fn new(stream: AsyncStream, bell: Option<Arc<Event>>) -> Self {
        let knock = Arc::new(Event::new());
        let knocked = RefCell::new(knock.listen());
        Self { stream: stream.into(), bell, knock, knocked }
    }

    pub(crate) fn accepted(stream: AsyncStream, bell: Arc<Event>) -> Self {
        Self::new(stream, Some(bell))
    }

    /// Connects within the protocol's deadline. `Interrupted` if a signal asks us to end before.
    pub(crate) async fn connect(to: SocketAddr, stop: Option<&Stop>) -> io::Result<Self> {
        let connect = async { AsyncStream::connect(to).await };
        let late = async {
            Timer::after(CONNECT_TIMEOUT).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let stopped = async {
            match stop {
                Some(stop) => stop.wait().await,
                None => pending().await,
            };
            Err(io::ErrorKind::Interrupted.into())
        };
        let stream = future::or(connect, future::or(late, stopped)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream, stop.map(Stop::bell)))
    }
}

impl SmolLink {
    /// Has a signal end its waits early.
    pub(crate) fn woken_by(mut self, stop: &Stop) -> Self {
        self.bell = Some(stop.bell());
        self
    }
}

impl Link for SmolLink {
    fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    fn knock(&self) -> &Arc<Event> {
        &self.knock
    }

    async fn wait(&self, interest: Interest) -> io::Result<()> {
        let knocked = poll_fn(|context| {
            let mut knocked = self.knocked.borrow_mut();
            let heard = Pin::new(&mut *knocked).poll(context);
            if heard.is_ready() {
                *knocked = self.knock.listen();
            }
            heard.map(Ok)
        });
        let rung = self.bell.as_ref().map(|bell| bell.listen());
        let read = async { if interest.read { self.stream.readable().await } else { pending().await } };
        let write = async { if interest.write { self.stream.writable().await } else { pending().await } };
        let late = async {
            match interest.until {
                Some(at) => {
                    Timer::after(clock::now().until(at)).await;
                }
                None => pending().await,
            }
            Ok(())
        };
        let rung = async {
            match rung {
                Some(rung) => rung.await,
                None => pending().await,
            }
            Ok(())
        };
        future::or(future::or(future::or(read, write), knocked), future::or(late, rung)).await
    }
}

/// Closes a connection as the session says.
pub(crate) fn close(stream: &TcpStream, how: Close) {
    // A connection that is broken already needs no closing, so errors say nothing here.
    match how {
        Close::Clean => {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        Close::Reset => {
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}
