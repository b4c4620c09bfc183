//! What the system says of its interfaces, and that they have changed. Neither is asked of this system: the list of
//! addresses is read every two seconds, and an interface without an address is not told apart from one that is not there.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::windows::io::{AsSocket, BorrowedSocket};

use crate::platform::{Ipv6State, Link};

/// None: there is no socket here that tells of changes.
pub(crate) struct Notifications(Infallible);

impl Notifications {
    pub(crate) fn subscribe() -> io::Result<Self> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn take(&self) -> bool {
        match self.0 {}
    }
}

impl AsSocket for Notifications {
    fn as_socket(&self) -> BorrowedSocket<'_> {
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
