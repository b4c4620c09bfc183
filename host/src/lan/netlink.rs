//! What Linux says of its interfaces, by rtnetlink (RFC 3549, rtnetlink(7)). All of that protocol that this crate speaks is
//! in this file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The groups of notifications: `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100;
/// Notifications read in a row. The rest are read at the next call.
const IN_A_ROW: usize = 256;

/// A socket that becomes readable when an interface, an address or a route has changed.
pub(super) struct Notifications(OwnedFd);

impl Notifications {
    /// Subscribes to what happens from now on.
    pub(super) fn subscribe() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    /// Reads the notifications that have come: true if there were any. What they say is not looked at, because the lists of
    /// interfaces and addresses are read anew, and are right also if some were lost.
    pub(super) fn take(&self) -> bool {
        let mut any = false;
        for _ in 0..IN_A_ROW {
            // The rest of a longer one is dropped.
            match recv(&self.0, &mut [0_u8; 16], RecvFlags::empty()) {
                // More than the socket holds have come, and some are lost.
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        any
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
