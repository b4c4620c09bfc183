//! The TCP port a sender serves on.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};
use socket2::{Domain, Protocol, Socket, Type};

use crate::exit::Failure;

/// Connections the system may hold before they are accepted.
const BACKLOG: i32 = 256;

/// Listens on the port asked for; without one, on the first of the default ports that is free. Gives the port.
pub(crate) fn serve_on(port: Option<u16>) -> Result<(TcpListener, u16), Failure> {
    let refuse = |e: io::Error| {
        Failure::failed(match port {
            Some(port) => format!("cannot serve on TCP port {port}: {e}; choose another with --tcp-port"),
            None => {
                format!("cannot serve on any TCP port from 48556 to 48571: {e}; choose one with --tcp-port")
            }
        })
    };
    let listener = listen(port).map_err(refuse)?;
    let port = listener.local_addr().map_err(refuse)?.port();
    Ok((listener, port))
}

/// The ports that a sender may serve on: the one named, or all that are tried without one.
pub(crate) fn ports(port: Option<u16>) -> Vec<u16> {
    match port {
        Some(port) => vec![port],
        None => (TCP_PORT_FIRST..=TCP_PORT_LAST).collect(),
    }
}

fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for port in ports(port) {
        match bind(port) {
            Ok(listener) => return Ok(listener),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // On Unix this lets a port be taken while closed connections of an earlier sender still linger on it;
    // two that listen on it at once it does not allow.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
