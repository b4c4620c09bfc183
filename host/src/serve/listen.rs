//! The TCP port that a sender listens on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};
use log::debug;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections the system may hold before they are accepted.
const BACKLOG: i32 = 256;

/// Why no TCP port could be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct PortError {
    /// The port that was asked for; `None` if any of 48556 to 48571 would have done.
    pub port: Option<u16>,
    /// What the system says, of the last port that was tried.
    pub error: io::Error,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, error } = self;
        match port {
            Some(port) => write!(f, "cannot serve on TCP port {port}: {error}"),
            None => {
                write!(f, "cannot serve on any TCP port from {TCP_PORT_FIRST} to {TCP_PORT_LAST}: {error}")
            }
        }
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Listens on the port asked for; without one, on the first of the default ports that is free. Returns the port too.
pub(crate) fn listen_on(port: Option<u16>) -> Result<(TcpListener, u16), PortError> {
    let refuse = |error: io::Error| PortError { port, error };
    let listener = listen(port).map_err(refuse)?;
    let port = listener.local_addr().map_err(refuse)?.port();
    debug!("serve: TCP port {port} is bound");
    Ok((listener, port))
}

/// The ports that a sender may be on: the one named, or every default port.
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
            Err(error) => {
                debug!("serve: TCP port {port} is not bound: {error}");
                last = error;
            }
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
