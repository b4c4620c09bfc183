//! Sockets: sharing ports, binding to an interface, interfaces by name and number.

use std::io;
use std::num::NonZeroU32;

use rustix::io::Errno;
use rustix::net::netdevice;
use socket2::{Domain, Socket, Type};

use super::is_any;

/// Lets other programs receive on the same UDP port.
pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    // Elsewhere than on Linux, sharing a port takes this too.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    socket.set_reuse_port(true)?;
    Ok(())
}

/// Lets a TCP port be taken while closed connections of an earlier program still linger on it; two that listen on it at
/// once it does not allow.
pub(crate) fn take_over_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Has an IPv4 socket use one interface alone.
pub(crate) fn bind_to_interface_v4(socket: &Socket, interface: Option<NonZeroU32>) -> io::Result<()> {
    socket.bind_device_by_index_v4(interface)
}

/// The same for IPv6.
pub(crate) fn bind_to_interface_v6(socket: &Socket, interface: Option<NonZeroU32>) -> io::Result<()> {
    socket.bind_device_by_index_v6(interface)
}

/// Whether an error says that a connection has begun, and that the socket tells how it ended.
pub(crate) fn is_in_progress(error: &io::Error) -> bool {
    is_any(error, &[Errno::INPROGRESS])
}

/// Whether an error says that the system has no such family of addresses, not built in or switched off.
pub(crate) fn is_family_absent(error: &io::Error) -> bool {
    is_any(error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL])
}

/// The system's number for the interface of this name.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    netdevice::name_to_index(socket().ok()?, name).ok()
}

/// The system's name for the interface of this number.
pub(crate) fn interface_name(index: u32) -> Option<String> {
    netdevice::index_to_name(socket().ok()?, index).ok()
}

/// Any socket: the system answers questions about interfaces only on one.
fn socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::DGRAM, None)
}
