//! The socket of the service manager.

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;

/// A socket that takes what the service manager is told, and that is never waited for.
pub(crate) struct ManagerSocket(UnixDatagram);

impl ManagerSocket {
    /// Of the address in `NOTIFY_SOCKET`: a path, or an abstract name after `@`.
    pub(crate) fn connect(address: &OsStr) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        match address.as_encoded_bytes() {
            [b'/', ..] => socket.connect(address).ok()?,
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
                socket.connect_addr(&address).ok()?;
            }
            _ => return None,
        }
        socket.set_nonblocking(true).ok()?;
        Some(Self(socket))
    }

    /// Tells it one or more lines, unless it does not take them.
    pub(crate) fn tell(&self, lines: &str) {
        let _ = self.0.send(lines.as_bytes());
    }
}
