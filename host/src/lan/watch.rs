//! Tells when the machine's interfaces are to be looked at again.

use std::future::pending;
use std::time::Duration;

use deaddrop_core::time::Instant;
use log::debug;

use crate::platform::Notifications;
use crate::transport::socket::Socket;

/// How long after a change to look: changes come in groups, such as an address that takes the place of another.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look at what the system does not tell of.
const LOOK: Duration = Duration::from_secs(2);

/// Follows the changes of the machine's interfaces and addresses.
pub(super) struct InterfaceWatch {
    /// `None` where the system does not notify of changes, or refuses to.
    notifications: Option<Socket<Notifications>>,
    /// When to look next; `None` once the system tells.
    look_at: Option<Instant>,
}

impl InterfaceWatch {
    /// Follows what changes from now on, in the reactor that drives the caller.
    pub(super) fn new(now: Instant) -> Self {
        let notifications = Notifications::subscribe().and_then(Socket::new);
        if let Err(error) = &notifications {
            debug!("lan: no notifications of changed interfaces, so they are looked at every 2 s: {error}");
        }
        let mut watch = Self { notifications: notifications.ok(), look_at: None };
        watch.looked(now, true);
        watch
    }

    /// The interfaces were looked at. Unless all of them could be used as they are meant to, what is in the way may go
    /// without a notification, as a port does that another program gives up.
    pub(super) fn looked(&mut self, now: Instant, complete: bool) {
        let told = complete && self.notifications.is_some();
        self.look_at = (!told).then(|| now + LOOK);
    }

    /// Whether to look now. Call it whenever something has happened.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if self.notifications.as_ref().is_some_and(|socket| socket.get_ref().take()) {
            let settled = now + SETTLE;
            self.look_at = Some(self.look_at.map_or(settled, |at| at.min(settled)));
        }
        self.look_at.is_some_and(|at| at <= now)
    }

    /// When to call [`is_due`](Self::is_due) at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.look_at
    }

    /// Waits until the system tells of a change. May return early.
    pub(super) async fn told(&self) {
        match &self.notifications {
            // A socket that cannot be waited for is looked at with the next event.
            Some(socket) if socket.ready(true, false).await.is_ok() => {}
            _ => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_does_not_tell_is_looked_at_again() {
        let now = crate::clock::now();
        let mut deaf = InterfaceWatch { notifications: None, look_at: None };
        deaf.looked(now, true);
        assert!(!deaf.is_due(now) && deaf.is_due(now + LOOK));
        let mut watch = InterfaceWatch::new(now);
        watch.looked(now, false);
        assert_eq!(watch.due(), Some(now + LOOK), "a port that is in use may become free");
    }
}
