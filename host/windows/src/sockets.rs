//! Options of sockets.

use std::io;
use std::os::windows::io::{AsRawSocket, AsSocket};

use windows_sys::Win32::Networking::WinSock::{
    IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_IF, SOCKET, WSAGetLastError, setsockopt,
};

/// Has what an IPv4 socket sends leave by the interface of this number; by any if it is 0.
///
/// # Errors
/// What the system says.
pub fn send_by_interface_v4(socket: impl AsSocket, interface: u32) -> io::Result<()> {
    // In network byte order, of all options this one alone.
    set(socket, IPPROTO_IP, IP_UNICAST_IF, interface.to_be_bytes())
}

/// The same of an IPv6 socket.
///
/// # Errors
/// What the system says.
pub fn send_by_interface_v6(socket: impl AsSocket, interface: u32) -> io::Result<()> {
    set(socket, IPPROTO_IPV6, IPV6_UNICAST_IF, interface.to_ne_bytes())
}

fn set(socket: impl AsSocket, level: i32, option: i32, value: [u8; 4]) -> io::Result<()> {
    let socket = socket.as_socket();
    let Ok(raw) = SOCKET::try_from(socket.as_raw_socket()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: the socket is open for as long as it is borrowed, and the value has the four bytes that are stated.
    let failed = unsafe { setsockopt(raw, level, option, value.as_ptr(), 4) } != 0;
    if failed {
        // SAFETY: it takes nothing.
        return Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() }));
    }
    Ok(())
}
