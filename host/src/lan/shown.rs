//! The offers that a browser has shown, each with an address, and whether their senders are still there.
//!
//! A sender announces itself from all of its addresses at once. If it is heard at another address than the one that was
//! shown, and not there, it may have moved: one connection to the old address tells. Without an answer the offer is shown
//! again, at an address where its sender has answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use deaddrop_core::discovery::{Known, Probe};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};

use super::catalogue::Catalogue;

/// Within this time an announcement arrives from all addresses of a sender.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long an old address has to answer: on a LAN that takes milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_millis(300);
/// How often one address of a sender is looked at, at most: beacons can be forged.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The offers that were shown.
#[derive(Default)]
pub(super) struct Shown {
    /// The address that was shown with each.
    offers: BTreeMap<(Instance, Token), SocketAddr>,
    /// When to decide whether a sender is to be looked for at the address that was shown.
    suspects: BTreeMap<Instance, Instant>,
    /// When each sender was looked for last at an address.
    looked: BTreeMap<(Instance, SocketAddr), Instant>,
    /// Where a sender did not answer when it was looked for, and was not heard since.
    silent: BTreeSet<(Instance, SocketAddr)>,
    /// Senders whose offers may have to be shown again.
    moved: BTreeSet<Instance>,
}

impl Shown {
    /// An offer is shown at this address.
    pub(super) fn show(&mut self, instance: Instance, token: Token, at: SocketAddr) {
        self.offers.insert((instance, token), at);
    }

    /// An offer is gone.
    pub(super) fn remove(&mut self, instance: Instance, token: Token) {
        self.offers.remove(&(instance, token));
        if self.offers.range(all_of(instance)).next().is_none() {
            self.suspects.remove(&instance);
            self.looked.retain(|(looked, _), _| *looked != instance);
            self.moved.remove(&instance);
            self.silent.retain(|(silent, _)| *silent != instance);
        }
    }

    /// A beacon of a sender came from this address.
    pub(super) fn heard(&mut self, now: Instant, instance: Instance, at: SocketAddr) {
        self.silent.remove(&(instance, at));
        if self.offers.range(all_of(instance)).any(|(_, shown)| *shown != at) {
            self.suspects.entry(instance).or_insert(now + TOGETHER);
        }
    }

    /// A probe of a sender has ended: it may have answered at an address where it was not known, or be lost at one.
    pub(super) fn probed(&mut self, now: Instant, probe: &Probe, listed: bool) {
        if listed {
            self.heard(now, probe.instance, probe.peer);
        }
        if self.offers.range(all_of(probe.instance)).next().is_some() {
            self.moved.insert(probe.instance);
        }
    }

    /// When to call [`look`](Self::look).
    pub(super) fn due(&self) -> Option<Instant> {
        self.suspects.values().min().copied()
    }

    /// The addresses to look at now. Each look is to end in [`looked`](Self::looked).
    pub(super) fn look(&mut self, now: Instant, catalogue: &Catalogue) -> Vec<Probe> {
        let mut looks = Vec::new();
        let due: Vec<Instance> =
            self.suspects.iter().filter(|(_, at)| **at <= now).map(|(instance, _)| *instance).collect();
        for instance in due {
            self.suspects.remove(&instance);
            let shown: BTreeSet<SocketAddr> =
                self.offers.range(all_of(instance)).map(|(_, shown)| *shown).collect();
            for peer in shown {
                let here = catalogue.heard(instance, peer).is_some_and(|at| now < at + TOGETHER * 2);
                let token = Token::from_bytes([0; 16]);
                let elsewhere =
                    catalogue.sender(Some(instance), &token).into_iter().any(|other| other != peer);
                let lately =
                    self.looked.get(&(instance, peer)).is_some_and(|looked| now < *looked + LOOK_EVERY);
                if !here && elsewhere && !lately && !self.silent.contains(&(instance, peer)) {
                    self.looked.insert((instance, peer), now);
                    looks.push(Probe { peer, instance, connect_by: now + ANSWERS_WITHIN });
                }
            }
        }
        looks
    }

    /// A look at an address has ended.
    pub(super) fn looked(&mut self, look: &Probe, answered: bool) {
        if !answered && self.offers.range(all_of(look.instance)).next().is_some() {
            self.silent.insert((look.instance, look.peer));
            self.moved.insert(look.instance);
        }
    }

    /// Sorts the addresses of a sender so that those at which it no longer answers are the last.
    pub(super) fn sort(&self, instance: Instance, addresses: &mut [SocketAddr]) {
        addresses.sort_by_key(|at| self.silent.contains(&(instance, *at)));
    }

    /// The next offer to show again, with the address where its sender is now.
    pub(super) fn poll_moved(&mut self, catalogue: &Catalogue) -> Option<Known> {
        while let Some(instance) = self.moved.first().copied() {
            for known in catalogue.offers().filter(|known| known.instance == instance) {
                let Some(shown) = self.offers.get_mut(&(instance, known.offer.token)) else { continue };
                let answers = |at: &SocketAddr| !self.silent.contains(&(instance, *at));
                let mut addresses = catalogue.addresses(known).into_iter().filter(answers);
                let best = addresses.clone().next();
                if let Some(best) = best.filter(|_| !addresses.any(|at| at == *shown)) {
                    *shown = best;
                    return Some(Known { from: best, ..known.clone() });
                }
            }
            self.moved.pop_first();
        }
        None
    }
}

/// The keys of all offers of a sender.
fn all_of(instance: Instance) -> RangeInclusive<(Instance, Token)> {
    (instance, Token::from_bytes([0; 16]))..=(instance, Token::from_bytes([0xff; 16]))
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::tests::{SENDER, heard, listed, still_heard};
    use super::*;
    use crate::clock;

    const TOKEN: Token = Token::from_bytes([1; 16]);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A sender that was shown at one address and has answered at another since.
    fn moved() -> (Shown, Catalogue, SocketAddr, SocketAddr) {
        let (mut shown, mut catalogue) = (Shown::default(), Catalogue::new());
        while catalogue.poll_transmit().is_some() {}
        let (old, new) = (at("10.0.0.7:48556"), at("10.0.0.8:48556"));
        for peer in [old, new] {
            let probe = heard(&mut catalogue, &peer.to_string());
            catalogue.handle_probe(&probe, listed());
        }
        while catalogue.poll_event().is_some() {}
        shown.show(SENDER, TOKEN, old);
        (shown, catalogue, old, new)
    }

    #[test]
    fn an_offer_is_shown_again_if_its_sender_is_elsewhere_and_no_longer_there() {
        for answers in [true, false] {
            let (mut shown, catalogue, old, new) = moved();
            // Long after it was last heard.
            let now = clock::now() + Duration::from_secs(10);
            shown.heard(now, SENDER, new);
            assert_eq!(shown.due(), Some(now + TOGETHER));
            assert!(shown.look(now, &catalogue).is_empty(), "it may be heard there yet");
            let looks = shown.look(now + TOGETHER, &catalogue);
            assert_eq!(looks.iter().map(|look| look.peer).collect::<Vec<_>>(), [old]);
            shown.looked(&looks[0], answers);
            let again = shown.poll_moved(&catalogue);
            assert_eq!(again.map(|known| known.from), (!answers).then_some(new));
            assert_eq!(shown.poll_moved(&catalogue), None, "once");
        }
    }

    #[test]
    fn a_sender_with_two_addresses_is_not_looked_at() {
        let (mut shown, mut catalogue, old, new) = moved();
        std::thread::sleep(deaddrop_core::limits::HEARD_AGAIN_AFTER);
        still_heard(&mut catalogue, old);
        let now = clock::now();
        shown.heard(now, SENDER, new);
        shown.heard(now, SENDER, old);
        assert!(shown.look(now + TOGETHER, &catalogue).is_empty());
    }

    #[test]
    fn beacons_of_others_cause_few_looks_and_none_at_an_offer_that_is_gone() {
        let (mut shown, catalogue, _, _) = moved();
        let mut now = clock::now() + Duration::from_secs(10);
        let mut looks = 0;
        for n in 0..100_u8 {
            shown.heard(now, SENDER, SocketAddr::from(([10, 0, 0, n + 20], 48_556)));
            now = now + TOGETHER;
            looks += shown.look(now, &catalogue).len();
        }
        assert_eq!(looks, 5, "one in two seconds");
        shown.remove(SENDER, TOKEN);
        shown.heard(now, SENDER, at("10.0.0.9:48556"));
        assert_eq!(shown.due(), None);
    }
}
