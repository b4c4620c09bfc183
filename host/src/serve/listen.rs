//! The TCP port that a sender listens on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};
use log::debug;
use socket2::{Domain, Protocol, Socket, Type};

use crate::platform;

/// Connections the system may hold before they are accepted.
const BACKLOG: i32 = 256;
/// Ports that the system may choose before one is free for IPv6 too.
const CHOICES: u32 = 16;

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

/// Listens on the port asked for, over IPv4 and, where the system has it, IPv6; without a port, on the first of the
/// default ports that is free over both. Returns the port too.
pub(crate) fn listen_on(port: Option<u16>) -> Result<(Vec<TcpListener>, u16), PortError> {
    let (listeners, port) = listen(port).map_err(|error| PortError { port, error })?;
    debug!("serve: TCP port {port} is bound{}", if listeners.len() > 1 { "" } else { ", over IPv4 alone" });
    Ok((listeners, port))
}

/// The ports that a sender may be on: the one named, or every default port.
pub(crate) fn ports(port: Option<u16>) -> Vec<u16> {
    match port {
        Some(port) => vec![port],
        None => (TCP_PORT_FIRST..=TCP_PORT_LAST).collect(),
    }
}

fn listen(port: Option<u16>) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for port in ports(port) {
        match bind_both(port) {
            Ok(bound) => return Ok(bound),
            Err(error) => {
                debug!("serve: TCP port {port} is not bound: {error}");
                last = error;
            }
        }
    }
    Err(last)
}

/// Two listeners rather than one for both: the addresses of IPv4 clients stay as they are, and a system without IPv6
/// needs no other code.
fn bind_both(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut choices = if port == 0 { CHOICES } else { 1 };
    loop {
        let v4 = bind(Ipv4Addr::UNSPECIFIED.into(), port)?;
        let taken = v4.local_addr()?.port();
        match bind(Ipv6Addr::UNSPECIFIED.into(), taken) {
            Ok(v6) => return Ok((vec![v4, v6], taken)),
            Err(error) if platform::is_family_absent(&error) => return Ok((vec![v4], taken)),
            Err(error) => {
                choices -= 1;
                if choices == 0 {
                    return Err(error);
                }
            }
        }
    }
}

fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    platform::take_over_port(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_is_free_only_if_it_is_free_over_both() {
        let (listeners, port) = listen_on(Some(0)).unwrap();
        for listener in &listeners {
            let to = SocketAddr::new(listener.local_addr().unwrap().ip(), port);
            assert_eq!(TcpStream::connect(to).unwrap().peer_addr().unwrap().is_ipv6(), to.is_ipv6());
        }
        for listener in listeners {
            let held = listener.local_addr().unwrap();
            drop(listener);
            let only = bind(held.ip(), port).unwrap();
            let refused = listen_on(Some(port)).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::AddrInUse, "{held} is in use");
            drop(only);
        }
    }
}
