//! When a sender announces its records, answers questions, and takes them back (RFC 6762, sections 6, 8.3 and 10.1).

use std::time::Duration;

use deaddrop_core::time::Instant;
use deaddrop_core::wire::{Beacon, BeaconKind};
use rand_core::Rng;

use super::querier::soon;

/// On a link records are sent once in this time at most, whoever asks.
const APART: Duration = Duration::from_secs(1);
/// Announcements after a change. The gaps between them are 1 s, 2 s and 4 s.
const ANNOUNCEMENTS: u8 = 4;

/// The records of one sender.
#[derive(Default)]
pub(crate) struct Responder {
    /// What is announced; nothing before there are drops and after they have ended.
    current: Option<Beacon>,
    /// The next announcement on every link, the gap after it, and how many are left.
    announce: Option<(Instant, Duration, u8)>,
    /// The records that are to be taken back now.
    goodbye: Option<Beacon>,
    /// When the records were last sent on every link.
    announced: Option<Instant>,
    /// The links on which somebody has asked, by the number of the interface.
    links: Vec<Link>,
}

/// One link.
struct Link {
    interface: u32,
    /// When to answer.
    answer: Option<Instant>,
    /// When that was done last.
    answered: Option<Instant>,
}

/// What to send, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmit {
    pub(crate) beacon: Beacon,
    /// The number of the interface; `None` for all.
    pub(crate) on: Option<u32>,
}

impl Responder {
    /// The sender sends this beacon to everybody.
    pub(crate) fn handle_beacon(&mut self, now: Instant, beacon: &Beacon) {
        match beacon.kind {
            BeaconKind::Announce => {
                let same = self.current.is_some_and(|current| {
                    (current.port, current.revision) == (beacon.port, beacon.revision)
                });
                self.current = Some(*beacon);
                if !same {
                    self.announce(now);
                }
            }
            BeaconKind::Farewell => {
                (self.current, self.announce) = (None, None);
                self.goodbye = Some(*beacon);
            }
            BeaconKind::Solicit | BeaconKind::Answer => {}
        }
    }

    /// Announces anew: the interfaces have changed.
    pub(crate) fn announce(&mut self, now: Instant) {
        if self.current.is_some() {
            let earliest = self.announced.map_or(now, |at| now.max(at + APART));
            self.announce = Some((earliest, APART, ANNOUNCEMENTS));
        }
    }

    /// Somebody has asked on this interface.
    pub(crate) fn asked(&mut self, now: Instant, interface: u32, rng: &mut impl Rng) {
        if self.current.is_none() {
            return;
        }
        let link = match self.links.iter().position(|link| link.interface == interface) {
            Some(at) => self.links.get_mut(at),
            None => {
                self.links.push(Link { interface, answer: None, answered: None });
                self.links.last_mut()
            }
        };
        let Some(link) = link else { return };
        if link.answer.is_none() {
            // Others answer the same question.
            let soon = now + soon(rng);
            let sent = link.answered.max(self.announced);
            link.answer = Some(sent.map_or(soon, |at| soon.max(at + APART)));
        }
    }

    /// What to send now. Call until `None`.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let Some(beacon) = self.goodbye.take() {
            return Some(Transmit { beacon, on: None });
        }
        let beacon = self.current?;
        if let Some((_, gap, left)) = self.announce.filter(|(at, ..)| *at <= now) {
            self.announce = (left > 1).then(|| (now + gap, gap * 2, left - 1));
            self.announced = Some(now);
            // It is an answer too.
            self.links.iter_mut().for_each(|link| link.answer = None);
            return Some(Transmit { beacon, on: None });
        }
        let link = self.links.iter_mut().find(|link| link.answer.is_some_and(|at| at <= now))?;
        (link.answer, link.answered) = (None, Some(now));
        Some(Transmit { beacon, on: Some(link.interface) })
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.current?;
        let answers = self.links.iter().map(|link| link.answer);
        answers.fold(self.announce.map(|(at, ..)| at), Instant::earliest)
    }
}

#[cfg(test)]
mod tests {
    use deaddrop_core::token::Instance;

    use super::*;
    use crate::random::system;

    const BEACON: Beacon = Beacon {
        kind: BeaconKind::Announce,
        port: 48_556,
        instance: Instance::from_bytes([7; 8]),
        revision: 1,
    };

    /// Runs until nothing is due any more, or for `span`: when something was sent, in milliseconds, and where.
    fn run(responder: &mut Responder, from: Instant, span: Duration) -> Vec<(u64, Option<u32>)> {
        let mut sent = Vec::new();
        let mut now = from;
        loop {
            while let Some(transmit) = responder.poll_transmit(now) {
                sent.push((now.as_millis() - from.as_millis(), transmit.on));
            }
            match responder.due() {
                Some(due) if due <= from + span => now = now.max(due),
                _ => return sent,
            }
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_changes_is_announced_four_times_and_what_does_not_is_not_repeated() {
        let (mut responder, now) = (Responder::default(), Instant::from_millis(9_000));
        assert_eq!(responder.due(), None);
        responder.handle_beacon(now, &BEACON);
        assert_eq!(run(&mut responder, now, MINUTE), [0, 1_000, 3_000, 7_000].map(|at| (at, None)));
        let later = now + MINUTE;
        responder.handle_beacon(later, &BEACON);
        assert_eq!(run(&mut responder, later, MINUTE), []);
        // No more than once a second, whatever changes.
        for revision in 2..9 {
            responder.handle_beacon(later, &Beacon { revision, ..BEACON });
            responder.poll_transmit(later);
        }
        responder.announce(later);
        assert_eq!(run(&mut responder, later, MINUTE), [1_000, 2_000, 4_000, 8_000].map(|at| (at, None)));
    }

    #[test]
    fn a_flood_of_questions_gets_one_answer_a_second_on_its_link() {
        let (mut responder, now) = (Responder::default(), Instant::from_millis(9_000));
        responder.asked(now, 2, &mut system());
        assert_eq!(responder.due(), None, "there is nothing to answer");
        responder.handle_beacon(now, &BEACON);
        run(&mut responder, now, MINUTE);
        let start = now + MINUTE;
        let mut sent = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            responder.asked(now, 2, &mut system());
            while let Some(transmit) = responder.poll_transmit(now) {
                assert_eq!(transmit, Transmit { beacon: BEACON, on: Some(2) });
                sent += 1;
            }
        }
        assert_eq!(sent, 10);
        // Another link has not had them.
        let now = start + Duration::from_secs(10);
        responder.asked(now, 3, &mut system());
        assert!(responder.due().is_some_and(|due| due <= now + Duration::from_millis(120)));
    }

    #[test]
    fn an_end_is_told_at_once_and_nothing_is_answered_after_it() {
        let (mut responder, now) = (Responder::default(), Instant::from_millis(9_000));
        responder.handle_beacon(now, &BEACON);
        assert!(responder.poll_transmit(now).is_some());
        let farewell = Beacon { kind: BeaconKind::Farewell, revision: 2, ..BEACON };
        responder.handle_beacon(now, &farewell);
        assert_eq!(responder.poll_transmit(now), Some(Transmit { beacon: farewell, on: None }));
        responder.asked(now, 2, &mut system());
        responder.announce(now);
        assert_eq!((responder.poll_transmit(now), responder.due()), (None, None));
    }
}
