//! What the system says of its interfaces, and that they have changed. Systems other than Linux say neither here.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use super::netlink::{Notifications, ipv6_states, links, on_link};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use silent::{Notifications, ipv6_states, links, on_link};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod silent {
    use std::convert::Infallible;
    use std::io::{self, ErrorKind};
    use std::net::Ipv4Addr;
    use std::os::fd::{AsFd, BorrowedFd};

    use crate::platform::{Ipv6State, Link};

    pub(crate) struct Notifications(Infallible);

    impl Notifications {
        pub(crate) fn subscribe() -> io::Result<Self> {
            Err(ErrorKind::Unsupported.into())
        }

        pub(crate) fn take(&self) -> bool {
            match self.0 {}
        }
    }

    impl AsFd for Notifications {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.0 {}
        }
    }

    pub(crate) fn links() -> io::Result<Vec<Link>> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn ipv6_states() -> io::Result<Vec<Ipv6State>> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn on_link() -> io::Result<Vec<(u32, Ipv4Addr, u8)>> {
        Err(ErrorKind::Unsupported.into())
    }
}
