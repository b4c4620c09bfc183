//! Sockets: sharing ports, binding to an interface, interfaces by name and number.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use rustix::io::Errno;
use socket2::Socket;

use super::is_any;

/// Whether the rules of the firewall can be those of nftables.
pub(crate) const HAS_NFTABLES: bool = true;

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
    socket.bind_device_by_index_v4(interface).or_else(|error| bind_by_name(socket, interface, error))
}

/// The same for IPv6.
pub(crate) fn bind_to_interface_v6(socket: &Socket, interface: Option<NonZeroU32>) -> io::Result<()> {
    socket.bind_device_by_index_v6(interface).or_else(|error| bind_by_name(socket, interface, error))
}

/// The same on Linux before 5.0 and in QEMU's emulation of processes, which know no such option by number.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_by_name(socket: &Socket, interface: Option<NonZeroU32>, error: io::Error) -> io::Result<()> {
    if !is_any(&error, &[Errno::NOPROTOOPT]) {
        return Err(error);
    }
    let name = interface.map(|index| interface_name(index.get()).ok_or(error)).transpose()?;
    socket.bind_device(name.as_deref().map(str::as_bytes))
}

/// There is no other way on other systems.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_by_name(_: &Socket, _: Option<NonZeroU32>, error: io::Error) -> io::Result<()> {
    Err(error)
}

/// The address on which broadcasts of one interface are received, by a socket that is bound to the interface.
pub(crate) fn broadcast_receiver(_interface: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::UNSPECIFIED
}

/// The address on which what is sent to a group is received: the group's own, so that nothing is received that was sent
/// to an address. What is received was sent on this link, since no router passes the group on.
pub(crate) fn group_receiver(group: Ipv6Addr, _interface: Ipv6Addr) -> Ipv6Addr {
    group
}

/// The same of an IPv4 group.
pub(crate) fn group_receiver_v4(group: Ipv4Addr, _interface: Ipv4Addr) -> Ipv4Addr {
    group
}

/// Whether an error says that a connection has begun, and that the socket tells how it ended.
pub(crate) fn is_in_progress(error: &io::Error) -> bool {
    is_any(error, &[Errno::INPROGRESS])
}

/// Whether an error is of one datagram alone, and the next can be received. There is none here: a datagram that is longer
/// than the buffer is cut.
pub(crate) fn is_of_a_datagram(_: &io::Error) -> bool {
    false
}

/// Whether an error says that the system has no such family of addresses, not built in or switched off.
pub(crate) fn is_family_absent(error: &io::Error) -> bool {
    is_any(error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL])
}

/// The system's number for the interface of this name.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    rustix::net::netdevice::name_to_index(socket().ok()?, name).ok()
}

/// The system's name for the interface of this number.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn interface_name(index: u32) -> Option<String> {
    rustix::net::netdevice::index_to_name(socket().ok()?, index).ok()
}

/// Any socket: the system answers questions about interfaces only on one.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn socket() -> io::Result<Socket> {
    use socket2::{Domain, Type};
    Socket::new(Domain::IPV4, Type::DGRAM, None)
}

/// The system's number for the interface of this name, if it has an address.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    if_addrs::get_if_addrs().ok()?.into_iter().find(|of| of.name == name)?.index
}

/// The system's name for the interface of this number, if it has an address.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn interface_name(index: u32) -> Option<String> {
    if_addrs::get_if_addrs().ok()?.into_iter().find(|of| of.index == Some(index)).map(|of| of.name)
}
