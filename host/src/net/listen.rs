//! The TCP port a sender serves on.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections the system may hold before they are accepted.
const BACKLOG: i32 = 256;

/// Listens on the port asked for; without one, on the first of the default ports that is free.
pub(crate) fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    if let Some(port) = port {
        return bind(port);
    }
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for port in TCP_PORT_FIRST..=TCP_PORT_LAST {
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
