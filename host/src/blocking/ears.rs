//! Beacons as the blocking front end hears them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use deaddrop_core::discovery::Arrival;
use deaddrop_core::time::Instant;
use deaddrop_core::wire::Beacon;
use rustix::event::PollFlags;

use crate::clock;
use crate::net::beacons::{Beacons, Ear};

/// Datagrams of one socket to take in a row, before others get their turn.
const IN_A_ROW: usize = 64;
/// How long not to listen where listening failed, as it does on an interface that goes down.
const DEAF_FOR: Duration = Duration::from_millis(100);

/// The ears of all interfaces.
pub(super) struct Ears {
    ears: Vec<Ear>,
    deaf_until: Option<Instant>,
}

impl Ears {
    /// Hears on the sockets that there are now.
    pub(super) fn of(beacons: &Beacons) -> io::Result<Self> {
        Ok(Self { ears: beacons.ears()?, deaf_until: None })
    }

    /// What to wait for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let ears = if self.deaf_until.is_some() { &[][..] } else { &self.ears };
        ears.iter().map(|ear| (ear.socket.as_fd(), PollFlags::IN))
    }

    /// When to wait for it again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.deaf_until
    }

    /// Takes what has come in.
    pub(super) fn hear(&mut self, mut heard: impl FnMut(&Arrival, &Beacon)) {
        if self.deaf_until.is_some_and(|until| clock::now() < until) {
            return;
        }
        self.deaf_until = None;
        for ear in &self.ears {
            for _ in 0..IN_A_ROW {
                match ear.hear() {
                    Ok(Some((arrival, beacon))) => heard(&arrival, &beacon),
                    Ok(None) => {}
                    Err(error) => {
                        let transient =
                            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                        if !transient {
                            self.deaf_until = Some(clock::now() + DEAF_FOR);
                        }
                        break;
                    }
                }
            }
        }
    }
}
