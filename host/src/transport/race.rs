//! Connects to a machine by whichever of its addresses answers first (RFC 8305, "happy eyeballs").

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deaddrop_core::time::Instant;
use smol::future;

use super::link::{Link, Route};
use super::socket::sleep_until;
use crate::clock;
use crate::stop::Stopper;

/// How long an address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects by the first route that opens, and returns which one that is. Each is tried once the one before it has
/// failed, or after a quarter of a second beside it. Fails with the last error once all have failed, and as
/// [`Link::connect`] does.
pub(crate) async fn connect_any(
    routes: &[Route],
    deadline: Instant,
    stop: Option<&Stopper>,
) -> io::Result<(Link, Route)> {
    let mut waiting = routes.iter().copied();
    let mut opening: Vec<Pin<Box<_>>> = Vec::new();
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address to connect to");
    loop {
        opening.extend(
            waiting
                .next()
                .map(|route| Box::pin(async move { (route, Link::connect(route, deadline, stop).await) })),
        );
        if opening.is_empty() {
            return Err(last);
        }
        let ended = poll_fn(|context| {
            for (place, attempt) in opening.iter_mut().enumerate() {
                if let Poll::Ready(ended) = attempt.as_mut().poll(context) {
                    drop(opening.swap_remove(place));
                    return Poll::Ready(Some(ended));
                }
            }
            Poll::Pending
        });
        let turn = async {
            if waiting.len() == 0 {
                return pending().await;
            }
            sleep_until(clock::now() + STAGGER).await;
            None
        };
        match future::or(ended, turn).await {
            Some((route, Ok(link))) => return Ok((link, route)),
            Some((_, Err(error))) => last = error,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn closed() -> SocketAddr {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    fn reached(routes: &[SocketAddr]) -> io::Result<SocketAddr> {
        let routes: Vec<Route> = routes.iter().copied().map(Route::from).collect();
        smol::block_on(connect_any(&routes, clock::now() + HOUR, None)).map(|(_, route)| route.to)
    }

    #[test]
    fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(reached(&[closed(), closed(), open]).unwrap(), open);
        assert_eq!(reached(&[open, closed()]).unwrap(), open);
    }

    #[test]
    fn an_address_that_is_silent_holds_up_the_next_for_a_moment() {
        // Its queue is full, so that the system answers nothing more: a host that is gone does the same.
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        silent.listen(0).unwrap();
        let full = silent.local_addr().unwrap().as_socket().unwrap();
        let _queued = std::net::TcpStream::connect(full).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(reached(&[full, open]).unwrap(), open);
    }

    #[test]
    fn once_all_have_failed_it_says_why() {
        assert_eq!(reached(&[closed(), closed()]).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(reached(&[]).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
