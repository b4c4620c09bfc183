//! A sender on its networks: it says that it serves, and answers those who ask. How it hears them is the
//! front end's part.

use std::sync::Arc;

use deaddrop_core::discovery::{Advertiser, Arrival};
use deaddrop_core::time::Instant;
use deaddrop_core::wire::Beacon;

use crate::net::beacons::Beacons;
use crate::serve::Server;
use crate::{clock, random::system};

/// Sources of solicits that are remembered, so that none is answered too often.
const ANSWERED: usize = 256;

/// What a sender says on its networks.
pub(crate) struct Announcing {
    server: Arc<Server>,
    /// Its sockets.
    pub(crate) beacons: Beacons,
    announcer: Box<Advertiser<ANSWERED>>,
    port: u16,
}

impl Announcing {
    /// Has said nothing yet. `port` is the TCP port that the server serves on.
    pub(crate) fn new(server: Arc<Server>, beacons: Beacons, port: u16) -> Self {
        let announcer = Box::new(Advertiser::new(server.instance()));
        Self { server, beacons, announcer, port }
    }

    /// Lets the server do what is due, and says what is due to be said; gives the next such moment.
    pub(crate) fn speak(&mut self) -> Instant {
        let tick = self.server.tick();
        let now = clock::now();
        self.announcer.set(now, self.server.live().map(|revision| (self.port, revision)), &mut system());
        while let Some(beacon) = self.announcer.poll_transmit(now, &mut system()) {
            self.beacons.broadcast(&beacon);
        }
        [tick, self.announcer.poll_timeout()].into_iter().flatten().fold(self.beacons.due(), Instant::min)
    }

    /// Looks at the machine's interfaces again if it is time: true if the sockets are others now.
    pub(crate) fn refresh(&mut self) -> bool {
        let now = clock::now();
        let changed = self.beacons.keep_up(now);
        if changed {
            self.announcer.reannounce(now);
        }
        changed
    }

    /// A beacon was heard. Those who ask are answered.
    pub(crate) fn handle_beacon(&mut self, arrival: &Arrival, beacon: &Beacon) {
        if arrival.attached
            && let Some(answer) = self.announcer.handle_beacon(clock::now(), arrival.from, beacon)
        {
            self.beacons.answer(&answer, arrival.from);
        }
    }
}
