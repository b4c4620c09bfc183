//! What Linux says of its interfaces, by rtnetlink (RFC 3549, rtnetlink(7)). All of that protocol that this crate speaks is
//! in this file.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use crate::platform::{Ipv6State, Link, Standing};

/// The groups of notifications: `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100;
/// Notifications read in a row. The rest are read at the next call.
const IN_A_ROW: usize = 256;

/// A socket that becomes readable when an interface, an address or a route has changed.
pub(crate) struct Notifications(OwnedFd);

impl Notifications {
    /// Subscribes to what happens from now on.
    pub(crate) fn subscribe() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    /// Reads the notifications that have come: true if there were any. What they say is not looked at, because the lists of
    /// interfaces and addresses are read anew, and are right also if some were lost.
    pub(crate) fn take(&self) -> bool {
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

/// Types of messages: `NLMSG_ERROR`, `NLMSG_DONE`, `RTM_NEWLINK`, `RTM_GETLINK`, `RTM_NEWADDR`, `RTM_GETADDR`,
/// `RTM_NEWROUTE`, `RTM_GETROUTE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x1 | 0x300;
/// Bytes of the header of a message.
const HEADER: usize = 16;
/// `AF_INET`, `AF_INET6`, and `RTN_UNICAST`: a route to other machines.
const INET: u8 = 2;
const INET6: u8 = 10;
const UNICAST: u8 = 1;
/// `IFA_F_OPTIMISTIC`, `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`.
const OPTIMISTIC: u32 = 0x04;
const DAD_FAILED: u32 = 0x08;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
/// Room for what the kernel puts into one datagram of a list, 32 KiB at most.
const DATAGRAM: usize = 64 * 1024;
/// Lists longer than this are cut off: that of a router of the internet has a million routes.
const DATAGRAMS: usize = 64;

/// All interfaces, also those that are down or have no address.
pub(crate) fn links() -> io::Result<Vec<Link>> {
    let mut links = Vec::new();
    // `struct ifinfomsg`: everything is zero in a request.
    dump(GET_LINK, &[0; 16], |kind, body| {
        if let (NEW_LINK, Some((info, attributes))) = (kind, body.split_at_checked(16)) {
            links.extend(link(info, attributes));
        }
    })?;
    Ok(links)
}

fn link(info: &[u8], bytes: &[u8]) -> Option<Link> {
    let (index, flags) = (number(info, 4)?, number(info, 8)?);
    let mut link = Link { index, flags, name: String::new(), kind: String::new(), master: None };
    for (kind, value) in attributes(bytes) {
        match kind {
            // `IFLA_IFNAME`, `IFLA_MASTER`, `IFLA_LINKINFO` with `IFLA_INFO_KIND` in it.
            3 => link.name = text(value),
            10 => link.master = number(value, 0),
            18 => {
                let kind = attributes(value).find(|(kind, _)| *kind == 1);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

/// All IPv6 addresses of this machine, also those that are of no use yet.
pub(crate) fn ipv6_states() -> io::Result<Vec<Ipv6State>> {
    let mut states = Vec::new();
    // `struct ifaddrmsg`: the family, and zeros.
    dump(GET_ADDRESS, &[INET6, 0, 0, 0, 0, 0, 0, 0], |kind, body| {
        if let (NEW_ADDRESS, Some((address, attributes))) = (kind, body.split_at_checked(8)) {
            states.extend(state(address, attributes));
        }
    })?;
    Ok(states)
}

fn state(address: &[u8], bytes: &[u8]) -> Option<Ipv6State> {
    let (mut flags, index) = (u32::from(*address.get(2)?), number(address, 4)?);
    let (mut own, mut local) = (None, None);
    for (kind, value) in attributes(bytes) {
        let ip = || <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from);
        match kind {
            // `IFA_ADDRESS`, which is that of the far end where there is an `IFA_LOCAL`; `IFA_FLAGS`.
            1 => own = ip(),
            2 => local = ip(),
            8 => flags = number(value, 0).unwrap_or(flags),
            _ => {}
        }
    }
    let standing = if flags & DAD_FAILED != 0 {
        Standing::Duplicate
    } else if flags & TENTATIVE != 0 && flags & OPTIMISTIC == 0 {
        // An optimistic address may be used while the system still asks (RFC 4429).
        Standing::Tentative
    } else if flags & DEPRECATED != 0 {
        Standing::Deprecated
    } else {
        Standing::Preferred
    };
    Some(Ipv6State { index, ip: local.or(own)?, standing })
}

/// The IPv4 networks that are reached without a gateway: the number of the interface, and network and prefix.
pub(crate) fn on_link() -> io::Result<Vec<(u32, Ipv4Addr, u8)>> {
    let mut networks = Vec::new();
    // `struct rtmsg`: the family, and zeros.
    let mut request = [0; 12];
    request[0] = INET;
    dump(GET_ROUTE, &request, |kind, body| {
        if let (NEW_ROUTE, Some((route, attributes))) = (kind, body.split_at_checked(12)) {
            networks.extend(network(route, attributes));
        }
    })?;
    Ok(networks)
}

fn network(route: &[u8], bytes: &[u8]) -> Option<(u32, Ipv4Addr, u8)> {
    let (prefix, kind) = (*route.get(1)?, *route.get(7)?);
    let (mut to, mut interface) = (None, None);
    for (attribute, value) in attributes(bytes) {
        match attribute {
            // `RTA_DST`, `RTA_OIF`; `RTA_GATEWAY`, `RTA_VIA`.
            1 => to = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from),
            4 => interface = number(value, 0),
            5 | 18 => return None,
            _ => {}
        }
    }
    (kind == UNICAST).then_some((interface?, to?, prefix))
}

/// Asks for a list, and passes on each of its messages: the type, and what is behind the header.
fn dump(kind: u16, body: &[u8], mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // Length, type, flags, a number that is ours to choose, and the port of the kernel.
    let len = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let request = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &DUMP.to_ne_bytes(), &[0; 8], body].concat();
    send(&socket, &request, SendFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM];
    for _ in 0..DATAGRAMS {
        let (len, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..len).unwrap_or_default();
        while let Some(len) = number(rest, 0).and_then(|len| usize::try_from(len).ok()) {
            let Some(body) = rest.get(HEADER..len) else { break };
            match rest.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes) {
                Some(DONE) => return Ok(()),
                Some(ERROR) => return Err(io::ErrorKind::Unsupported.into()),
                Some(kind) => each(kind, body),
                None => {}
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok(())
}

/// The attributes in these bytes: type and value of each.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let (len, kind) = (usize::from(half(0)?), half(2)?);
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits are flags.
        Some((kind & 0x3fff, value))
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A text with a NUL at its end.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_lists_loopback() {
        let links = links().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").expect("lo");
        assert_eq!(Some(lo.index), crate::platform::interface_index("lo"));
        assert!(on_link().unwrap().iter().all(|(index, _, prefix)| *index > 0 && *prefix <= 32));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let attribute = |kind: u16, value: &[u8]| {
            let len = u16::try_from(4 + value.len()).unwrap();
            let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let kind = attribute(1, b"bridge\0");
        let all =
            [attribute(3, b"br0\0"), attribute(10, &7_u32.to_ne_bytes()), attribute(18, &kind)].concat();
        let info = [&[0; 4][..], &5_u32.to_ne_bytes(), &0x41_u32.to_ne_bytes(), &[0; 4]].concat();
        let whole = link(&info, &all).unwrap();
        assert_eq!((&*whole.name, &*whole.kind, whole.master), ("br0", "bridge", Some(7)));
        assert_eq!((whole.index, whole.flags), (5, 0x41));
        for len in 0..all.len() {
            assert!(link(&info, &all[..len]).is_some(), "{len}");
        }
        assert!(link(&info[..11], &all).is_none());
    }

    #[test]
    fn the_flags_of_an_address_say_what_it_is_good_for() {
        let attribute = |kind: u16, value: &[u8]| {
            [&[u8::try_from(4 + value.len()).unwrap(), 0][..], &kind.to_ne_bytes(), value].concat()
        };
        let (own, far) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7), Ipv6Addr::LOCALHOST);
        let ip = attribute(1, &own.octets());
        let head = |flags: u8| [INET6, 64, flags, 0, 3, 0, 0, 0];
        let standing = |flags: u8, more: &[u8]| state(&head(flags), &[&ip, more].concat()).unwrap().standing;
        assert_eq!(standing(0x80, &[]), Standing::Preferred);
        assert_eq!(standing(0x40, &[]), Standing::Tentative);
        assert_eq!(standing(0x44, &[]), Standing::Preferred, "optimistic");
        assert_eq!(standing(0x48, &[]), Standing::Duplicate);
        assert_eq!(standing(0xa0, &[]), Standing::Deprecated);
        // The long form of the flags decides.
        assert_eq!(standing(0x40, &attribute(8, &0x180_u32.to_ne_bytes())), Standing::Preferred);
        // Of a link that is point to point both ends are named.
        let ends = [attribute(1, &far.octets()), attribute(2, &own.octets())].concat();
        assert_eq!(state(&head(0), &ends).map(|state| (state.index, state.ip)), Some((3, own)));
        for len in 0..ip.len() {
            assert!(state(&head(0), &ip[..len]).is_none(), "{len}");
        }
        assert!(state(&head(0)[..7], &ip).is_none());
    }

    #[test]
    fn only_networks_without_a_gateway_are_on_the_link() {
        let attribute =
            |kind: u16, value: [u8; 4]| [&8_u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value].concat();
        let (to, by) = (attribute(1, [10, 9, 0, 2]), attribute(4, 3_u32.to_ne_bytes()));
        let route = |kind: u8| [INET, 32, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0];
        let direct = [&to[..], &by].concat();
        assert_eq!(network(&route(UNICAST), &direct), Some((3, [10, 9, 0, 2].into(), 32)));
        assert_eq!(network(&route(2), &direct), None, "an address of this machine");
        let far = [&direct[..], &attribute(5, [10, 9, 0, 1])].concat();
        assert_eq!(network(&route(UNICAST), &far), None);
        assert_eq!(network(&route(UNICAST), &by), None, "the default route");
    }
}
