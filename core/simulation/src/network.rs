//! The network model: delays and channel occupancy of datagrams and connections.
//!
//! Wired: one switched segment, 1 Gbit/s, 0.2 ms there and back.
//!
//! Wi-Fi: access points of one network, each with up to [`CELL`] hosts on its own half-duplex channel. A
//! broadcast goes to its access point, and from every access point once more at the basic rate with the next
//! DTIM beacon (every 102.4 ms); it is not acknowledged, and some hosts miss it. Unicast is sent at a high
//! rate, retransmitted by the link layer, and takes two frames if both ends are in one cell.

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
/// The DTIM interval, at which an access point sends buffered broadcasts.
const WAKE_EVERY: Micros = 102_400;
/// An access point that is this far behind drops broadcasts.
const HELD_MOST: Micros = SECOND;
/// A beacon with its UDP, IP and link headers.
const BEACON_FRAME: u64 = 32 + 8 + 20 + 36;
/// Overhead of a unicast frame: channel access, preamble, acknowledgement.
const FRAME: Micros = 130;
/// Unicast rate in bits per microsecond.
const FAST: u64 = 65;
/// One-way delay over wire, or through an idle access point.
const WIRE_DELAY: Micros = 100;
/// Channel time of a broadcast on a wire of 1 Gbit/s, in nanoseconds.
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
    /// Broadcasts that access points dropped because their queue was too long.
    pub(crate) dropped: u64,
}

/// Channel occupancy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Airtime {
    /// By beacons, in microseconds of the busiest channel.
    pub(crate) beacons: Micros,
    /// By all else, likewise.
    pub(crate) others: Micros,
}

impl Network {
    /// Nothing has been sent.
    pub(crate) fn new(net: Net, hosts: usize) -> Self {
        let cells = if net == Net::Wired { 1 } else { hosts.div_ceil(CELL) };
        Self { net, channels: vec![Channel::default(); cells], wire_nanos: 0, dropped: 0 }
    }

    /// Number of cells, each of which receives a broadcast at its own time.
    pub(crate) fn cells(&self) -> usize {
        self.channels.len()
    }

    /// The cell of a host.
    pub(crate) fn cell(&self, host: usize) -> usize {
        if self.net == Net::Wired { 0 } else { host % self.channels.len() }
    }

    /// One in how many beacons a host misses, both copies counted.
    pub(crate) fn missed_one_in(&self) -> Option<u32> {
        (self.net != Net::Wired).then(|| u32::try_from((100 * 100) / (MISSED * MISSED)).unwrap_or(u32::MAX))
    }

    /// Broadcasts a beacon of `host`; returns when the cells start to relay it.
    pub(crate) fn broadcast(&mut self, now: Micros, host: usize) -> Micros {
        if self.net == Net::Wired {
            return now;
        }
        let up = self.occupy(self.cell(host), now, now, unicast_airtime(60) * COPIES, true);
        up.div_ceil(WAKE_EVERY) * WAKE_EVERY
    }

    /// A cell relays a beacon; returns when its hosts receive it, `None` if the access point drops it.
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

    /// Sends `bytes` from one host to another at `at`, which is now or soon; returns their arrival.
    pub(crate) fn unicast(&mut self, now: Micros, at: Micros, from: usize, to: usize, bytes: u64) -> Micros {
        if self.net == Net::Wired {
            return at + WIRE_DELAY;
        }
        let airtime = unicast_airtime(bytes);
        let up = self.occupy(self.cell(from), now, at, airtime, false);
        self.occupy(self.cell(to), now, up, airtime, false) + WIRE_DELAY
    }

    /// Sends an answer to the source of a solicit; returns its arrival.
    pub(crate) fn answer(&mut self, now: Micros, from: usize, to: usize) -> Micros {
        if self.net == Net::Wired {
            return now + WIRE_DELAY;
        }
        let airtime = unicast_airtime(60);
        let up = self.occupy(self.cell(from), now, now, airtime, true);
        self.occupy(self.cell(to), now, up, airtime, true) + WIRE_DELAY
    }

    /// Occupancy of the busiest channel so far.
    pub(crate) fn airtime(&self) -> Airtime {
        let most = self.channels.iter().max_by_key(|c| c.used.beacons + c.used.others);
        most.map_or_else(Airtime::default, |c| c.used)
    }

    /// Occupies the channel for a frame that is ready at `ready`, and returns its end. The channel is
    /// work-conserving: it is never idle while a frame is ready.
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

    /// A broadcast: channel access, preamble, and the frame at the basic rate.
    fn broadcast_airtime(&self) -> Micros {
        match self.net {
            Net::Wired => 0,
            Net::Wifi => 100 + 20 + BEACON_FRAME * 8 / 6,
            Net::WifiSlow => 360 + 192 + BEACON_FRAME * 8,
        }
    }
}

/// Unicast, TCP acknowledgements included.
fn unicast_airtime(bytes: u64) -> Micros {
    let frames = bytes.div_ceil(SEGMENT).max(1);
    frames * FRAME + (bytes + frames * 76) * 8 / FAST
}
