//! What carries datagrams and connections, and how long that takes.
//!
//! Wired: one switched segment, 1 Gbit/s, 0.2 ms there and back.
//!
//! Wi-Fi: access points of one network, each with up to [`CELL`] hosts on a channel of its own, on which one
//! frame goes at a time. A broadcast goes to its access point, and from every access point once more at the
//! basic rate, when the sleepers wake (every 102.4 ms); nobody acknowledges it, and some hosts miss it. What
//! goes to one host is sent fast, repeated by the radio when lost, and takes two frames where both ends are in
//! one cell.

use crate::queue::{Micros, SECOND};

/// Which network it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// A switched segment.
    Wired,
    /// Wi-Fi whose basic rate is 6 Mbit/s, as at 5 GHz.
    Wifi,
    /// Wi-Fi whose basic rate is 1 Mbit/s, as at 2.4 GHz with old devices allowed.
    WifiSlow,
}

impl Net {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wired => "wired",
            Self::Wifi => "wifi",
            Self::WifiSlow => "wifi-slow",
        }
    }

    /// The network of that name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        [Self::Wired, Self::Wifi, Self::WifiSlow]
            .into_iter()
            .find(|net| net.name() == name)
            .ok_or_else(|| format!("no network {name:?}; there are: wired, wifi, wifi-slow"))
    }
}

/// Hosts of one access point.
pub(crate) const CELL: usize = 50;
/// Copies of a beacon: to the directed and to the limited broadcast address.
pub(crate) const COPIES: u64 = 2;
/// Broadcasts a host misses on Wi-Fi, in percent, each copy by itself.
const MISSED: u64 = 10;
/// When an access point sends what it held for sleepers.
const WAKE_EVERY: Micros = 102_400;
/// An access point that is this far behind drops broadcasts.
const HELD_MOST: Micros = SECOND;
/// The payload of a beacon with the heads of UDP, IP and the link.
const BEACON_FRAME: u64 = 32 + 8 + 20 + 36;
/// What a frame to one host costs beside its bytes: waiting for the channel, preamble, acknowledgement.
const FRAME: Micros = 130;
/// Bits per microsecond of what goes to one host.
const FAST: u64 = 65;
/// From one host to another over wire, or through an access point that has nothing else to do.
const WIRE_DELAY: Micros = 100;
/// A broadcast on a wire of 1 Gbit/s takes this up, in nanoseconds.
const WIRE_NANOS: u64 = (BEACON_FRAME + 24) * 8;
/// Payload of one frame.
const SEGMENT: u64 = 1_448;

/// The channel of one access point, or the wire.
#[derive(Clone, Copy, Default)]
struct Channel {
    free: Micros,
    used: Airtime,
}

/// The network, and how long its channels have been in use.
pub(crate) struct Network {
    net: Net,
    channels: Vec<Channel>,
    wire_nanos: u64,
    /// Broadcasts that an access point dropped, being too far behind.
    pub(crate) dropped: u64,
}

/// How long channels have been in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Airtime {
    /// For beacons, in microseconds of the channel that had most.
    pub(crate) beacons: Micros,
    /// For all else, the same.
    pub(crate) others: Micros,
}

impl Network {
    /// Nothing has been sent.
    pub(crate) fn new(net: Net, hosts: usize) -> Self {
        let cells = if net == Net::Wired { 1 } else { hosts.div_ceil(CELL) };
        Self { net, channels: vec![Channel::default(); cells], wire_nanos: 0, dropped: 0 }
    }

    /// How many parts there are that hear a broadcast at a time of their own.
    pub(crate) fn cells(&self) -> usize {
        self.channels.len()
    }

    /// In which of them a host is.
    pub(crate) fn cell(&self, host: usize) -> usize {
        if self.net == Net::Wired { 0 } else { host % self.channels.len() }
    }

    /// One in how many beacons a host misses, both copies counted.
    pub(crate) fn missed_one_in(&self) -> Option<u32> {
        (self.net != Net::Wired).then(|| u32::try_from((100 * 100) / (MISSED * MISSED)).unwrap_or(u32::MAX))
    }

    /// A beacon of `host` sets out to everybody: when the cells begin to pass it on.
    pub(crate) fn broadcast(&mut self, now: Micros, host: usize) -> Micros {
        if self.net == Net::Wired {
            return now;
        }
        let up = self.occupy(self.cell(host), now, now, unicast_airtime(60) * COPIES, true);
        up.div_ceil(WAKE_EVERY) * WAKE_EVERY
    }

    /// A cell passes a beacon on: when its hosts hear it; never, if the access point is too far behind.
    pub(crate) fn pass_on(&mut self, now: Micros, cell: usize) -> Option<Micros> {
        if self.net == Net::Wired {
            self.wire_nanos += WIRE_NANOS * COPIES;
            if let Some(wire) = self.channels.first_mut() {
                wire.used.beacons = self.wire_nanos / 1_000;
            }
            return Some(now + WIRE_DELAY);
        }
        if self.channels.get(cell).is_some_and(|c| c.free > now + HELD_MOST) {
            self.dropped += COPIES;
            return None;
        }
        Some(self.occupy(cell, now, now, self.broadcast_airtime() * COPIES, true))
    }

    /// `bytes` go from one host to another at `at`, which is now or soon: when they are there.
    pub(crate) fn unicast(&mut self, now: Micros, at: Micros, from: usize, to: usize, bytes: u64) -> Micros {
        if self.net == Net::Wired {
            return at + WIRE_DELAY;
        }
        let airtime = unicast_airtime(bytes);
        let up = self.occupy(self.cell(from), now, at, airtime, false);
        self.occupy(self.cell(to), now, up, airtime, false) + WIRE_DELAY
    }

    /// An answer goes to the one who asked: when it is there.
    pub(crate) fn answer(&mut self, now: Micros, from: usize, to: usize) -> Micros {
        if self.net == Net::Wired {
            return now + WIRE_DELAY;
        }
        let airtime = unicast_airtime(60);
        let up = self.occupy(self.cell(from), now, now, airtime, true);
        self.occupy(self.cell(to), now, up, airtime, true) + WIRE_DELAY
    }

    /// How long the channel that had most was in use so far.
    pub(crate) fn airtime(&self) -> Airtime {
        let most = self.channels.iter().max_by_key(|c| c.used.beacons + c.used.others);
        most.map_or_else(Airtime::default, |c| c.used)
    }

    /// Takes the channel for a frame that is ready at `ready`, and gives its end. What is ready later than now
    /// is counted as done in the time it waits: the channel is never idle while something is to be sent.
    fn occupy(&mut self, cell: usize, now: Micros, ready: Micros, airtime: Micros, beacon: bool) -> Micros {
        let Some(channel) = self.channels.get_mut(cell) else { return ready };
        if beacon {
            channel.used.beacons += airtime;
        } else {
            channel.used.others += airtime;
        }
        channel.free = channel.free.max(now) + airtime;
        channel.free.max(ready + airtime)
    }

    /// A broadcast: the wait for the channel, the preamble, and the frame at the basic rate.
    fn broadcast_airtime(&self) -> Micros {
        match self.net {
            Net::Wired => 0,
            Net::Wifi => 100 + 20 + BEACON_FRAME * 8 / 6,
            Net::WifiSlow => 360 + 192 + BEACON_FRAME * 8,
        }
    }
}

/// What goes to one host, acknowledgements of TCP included.
fn unicast_airtime(bytes: u64) -> Micros {
    let frames = bytes.div_ceil(SEGMENT).max(1);
    frames * FRAME + (bytes + frames * 76) * 8 / FAST
}
