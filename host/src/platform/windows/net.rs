//! Sockets: sharing ports, binding to an interface, interfaces by name and number.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use deaddrop_windows::sockets::{send_by_interface_v4, send_by_interface_v6};
use socket2::Socket;

use super::is_any;

/// `WSAEWOULDBLOCK`.
const WOULD_BLOCK: i32 = 10_035;
/// `WSAEMSGSIZE`.
const TOO_LONG: i32 = 10_040;
/// `WSAEAFNOSUPPORT` and `WSAEADDRNOTAVAIL`.
const NO_FAMILY: [i32; 2] = [10_047, 10_049];
/// `WSAENETRESET` and `WSAECONNRESET`.
const UNREACHABLE: [i32; 2] = [10_052, 10_054];

/// Whether the rules of the firewall can be those of nftables: they are those of Windows.
pub(crate) const HAS_NFTABLES: bool = false;

/// Lets other programs receive on the same UDP port.
pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Lets a TCP port be taken while closed connections of an earlier program still linger on it. The system allows that in
/// any case; what has this name elsewhere would let two programs listen on it at once.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(crate) fn take_over_port(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Has what an IPv4 socket sends leave by one interface alone.
pub(crate) fn bind_to_interface_v4(socket: &Socket, interface: Option<NonZeroU32>) -> io::Result<()> {
    send_by_interface_v4(socket, interface.map_or(0, NonZeroU32::get))
}

/// The same for IPv6.
pub(crate) fn bind_to_interface_v6(socket: &Socket, interface: Option<NonZeroU32>) -> io::Result<()> {
    send_by_interface_v6(socket, interface.map_or(0, NonZeroU32::get))
}

/// The address on which broadcasts of one interface are received: the interface's own. On the one of all interfaces each
/// socket would receive those of every interface.
pub(crate) fn broadcast_receiver(interface: Ipv4Addr) -> Ipv4Addr {
    interface
}

/// The address on which what is sent to a group is received, by a socket that has joined it: the interface's own, since a
/// group's is refused.
pub(crate) fn group_receiver(_group: Ipv6Addr, interface: Ipv6Addr) -> Ipv6Addr {
    interface
}

/// The same of an IPv4 group.
pub(crate) fn group_receiver_v4(_group: Ipv4Addr, interface: Ipv4Addr) -> Ipv4Addr {
    interface
}

/// Whether an error says that a connection has begun, and that the socket tells how it ended.
pub(crate) fn is_in_progress(error: &io::Error) -> bool {
    is_any(error, &[WOULD_BLOCK])
}

/// Whether an error is of one datagram alone, and the next can be received: one longer than the buffer, or the answer of a
/// machine where nobody received what was sent there.
pub(crate) fn is_of_a_datagram(error: &io::Error) -> bool {
    is_any(error, &[TOO_LONG]) || is_any(error, &UNREACHABLE)
}

/// Whether an error says that the system has no such family of addresses, not built in or switched off.
pub(crate) fn is_family_absent(error: &io::Error) -> bool {
    is_any(error, &NO_FAMILY)
}

/// The system's number for the interface of this name.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    interfaces.into_iter().find(|interface| interface.name == name)?.index
}

/// The system's name for the interface of this number.
pub(crate) fn interface_name(index: u32) -> Option<String> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    interfaces.into_iter().find(|interface| interface.index == Some(index)).map(|interface| interface.name)
}
