//! A browser finds an advertiser by their beacons, probes it, and hears its farewell.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use deaddrop_core::discovery::{Advertiser, Arrival, Browser};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Beacon, BeaconKind};

use crate::random::Fixed;

/// More rounds than the browser needs until it probes.
const ROUNDS: u32 = 100;

/// Passes beacons between the two until the browser has probed, then withdraws; panics otherwise.
pub(crate) fn run() {
    let mut now = Instant::from_millis(1_000);
    let mut rng = Fixed(2);
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 48_555);
    let mut advertiser = Advertiser::<4>::new(Instance::random(&mut rng));
    let mut browser = Browser::<16, 8, 16>::new(now, Instance::random(&mut rng));
    advertiser.set(now, Some((48_556, 1)), &mut rng);
    let arrival = Arrival { from, attached: true, loopback: false };
    let mut probes = 0;
    for _ in 0..ROUNDS {
        now = now + Duration::from_millis(100);
        if let Some(solicit) = browser.poll_transmit(now) {
            advertiser.handle_beacon(now, &arrival, &solicit);
        }
        if let Some(beacon) = advertiser.poll_transmit(now, &mut rng) {
            let beacon = Beacon::parse(&beacon.emit()).unwrap();
            browser.handle_beacon(now, &arrival, &beacon, &mut rng);
        }
        while let Some(probe) = browser.poll_probe(now, &mut rng) {
            browser.handle_probe(now, &probe, Ok(1));
            probes += 1;
        }
    }
    assert_eq!(probes, 1);
    advertiser.set(now, None, &mut rng);
    let farewell = advertiser.poll_transmit(now, &mut rng).unwrap();
    assert!(farewell.kind == BeaconKind::Farewell);
}
