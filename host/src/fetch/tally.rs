//! What the servers of one address say to somebody who does not know which of them has the drop.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::Rng;

use super::claim::Refusal;
use crate::random::system;

/// How often a sender has to refuse before we believe it.
const REFUSALS: u32 = 2;
/// Least and most time between two rounds, drawn anew each time.
const PAUSE_MS: (u32, u32) = (100, 300);
/// Longest time between two rounds, whatever a busy sender asks for.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the next round.
pub(crate) fn jittered(retry_after: Option<Duration>) -> Duration {
    let (least, most) = PAUSE_MS;
    let jitter = Duration::from_millis(u64::from(least + system().next_u32() % (most - least)));
    retry_after.map_or(jitter, |after| after.min(PAUSE_MAX).max(jitter))
}

/// What the servers of one address have said.
#[derive(Default)]
pub(crate) struct Tally {
    /// How often each port has refused.
    refusals: BTreeMap<u16, u32>,
    round: Round,
    /// Busy in this round or an earlier one: the best guess when time is up.
    busy: Option<Refusal>,
}

/// What they said in the round that is under way.
#[derive(Default)]
struct Round {
    /// A member's answer that settles the matter.
    settled: Option<Refusal>,
    /// A member has no such drop.
    unknown: bool,
    busy: bool,
    retry_after: Option<Duration>,
    broken: Option<Refusal>,
    nobody: Option<Refusal>,
    /// A server has refused that is not believed yet.
    doubted: bool,
}

impl Tally {
    /// All are about to be asked, once each.
    pub(crate) fn begin_round(&mut self) {
        self.round = Round::default();
    }

    /// What the server on this port said.
    pub(crate) fn note(&mut self, port: u16, refusal: Refusal) {
        match refusal {
            Refusal::NotMember => {
                let refused = self.refusals.entry(port).or_default();
                *refused += 1;
                self.round.doubted |= *refused < REFUSALS;
            }
            Refusal::Unknown => self.round.unknown = true,
            Refusal::Busy(_) | Refusal::NoBudget => {
                self.round.busy = true;
                if let Refusal::Busy(after) = refusal {
                    self.round.retry_after = after.or(self.round.retry_after);
                }
                self.busy = Some(refusal);
            }
            Refusal::Nobody(_) => self.round.nobody = Some(refusal),
            Refusal::Broken(_) => self.round.broken = Some(refusal),
            settled => self.round.settled = Some(settled),
        }
    }

    /// Whether a server that refused in this round has still to be asked again, before it is believed. One that
    /// refused earlier and now says something else, or nothing, is not waited for: it may never refuse again.
    pub(crate) fn must_go_on(&self) -> bool {
        self.round.doubted
    }

    /// Whether there were servers that refused, and each is believed.
    fn all_refused(&self) -> bool {
        !self.refusals.is_empty() && self.refusals.values().all(|n| *n >= REFUSALS)
    }

    /// Whether this port should be asked again: those who have refused twice are not asked a third time.
    pub(crate) fn is_worth_asking(&self, port: u16) -> bool {
        self.refusals.get(&port).is_none_or(|n| *n < REFUSALS)
    }

    /// How long the busy ones of this round ask to be left alone, if one said so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.round.retry_after
    }

    /// What is certain after a round.
    pub(crate) fn verdict(&self) -> Option<Refusal> {
        if self.round.settled.is_some() {
            return self.round.settled.clone();
        }
        // Somebody may still free the drop, or find the time to say more.
        if self.round.busy || self.round.broken.is_some() || self.must_go_on() {
            return None;
        }
        if self.round.unknown {
            return Some(Refusal::Unknown);
        }
        (self.all_refused() && self.busy.is_none()).then_some(Refusal::NotMember)
    }

    /// The best that can be said when time is up.
    pub(crate) fn likeliest(&self) -> Refusal {
        let unknown = self.round.unknown.then_some(Refusal::Unknown);
        let refused = self.all_refused().then_some(Refusal::NotMember);
        let nobody = || Refusal::Nobody("no answer in time".into());
        self.busy
            .clone()
            // A member's word counts for more than what something else there says.
            .or(unknown)
            .or(self.round.broken.clone())
            .or(refused)
            .or(self.round.nobody.clone())
            .unwrap_or_else(nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rounds: &[&[(u16, Refusal)]]) -> Tally {
        let mut tally = Tally::default();
        for round in rounds {
            tally.begin_round();
            for (port, refusal) in *round {
                tally.note(*port, refusal.clone());
            }
        }
        tally
    }

    fn closed() -> Refusal {
        Refusal::Nobody("refused".into())
    }

    #[test]
    fn one_refusal_is_not_believed_and_two_are() {
        let once: &[_] = &[(1, Refusal::NotMember), (2, closed())];
        assert_eq!(after(&[once]).verdict(), None);
        assert!(after(&[once]).must_go_on());
        assert_eq!(after(&[once, once]).verdict(), Some(Refusal::NotMember));
    }

    #[test]
    fn a_stranger_beside_a_member_does_not_decide() {
        let round: &[_] = &[(1, Refusal::NotMember), (2, Refusal::Unknown)];
        assert_eq!(after(&[round, round]).verdict(), Some(Refusal::Unknown));
        let round: &[_] = &[(1, Refusal::NotMember), (2, Refusal::Busy(None))];
        assert_eq!(after(&[round, round]).verdict(), None);
        assert_eq!(after(&[round, round]).likeliest(), Refusal::Busy(None));
        let gone: &[_] = &[(1, Refusal::NotMember), (2, Refusal::Gone)];
        assert_eq!(after(&[gone]).verdict(), Some(Refusal::Gone));
    }

    #[test]
    fn a_sender_that_was_busy_and_left_was_busy() {
        let tally = after(&[&[(1, Refusal::Busy(None))], &[(1, closed())]]);
        assert_eq!(tally.verdict(), None);
        assert_eq!(tally.likeliest(), Refusal::Busy(None));
    }

    #[test]
    fn something_else_beside_a_member_does_not_decide() {
        let broken = || Refusal::Broken("what?".into());
        let tally = after(&[&[(1, broken()), (2, Refusal::Unknown)]]);
        assert_eq!((tally.verdict(), tally.likeliest()), (None, Refusal::Unknown));
        assert_eq!(after(&[&[(1, broken()), (2, Refusal::NotMember)]]).likeliest(), broken());
    }

    #[test]
    fn a_server_that_refused_once_and_left_is_not_waited_for() {
        let tally = after(&[&[(1, Refusal::NotMember)], &[(1, closed())]]);
        assert!(!tally.must_go_on(), "or a fetch would go on for ever");
        assert_eq!((tally.verdict(), tally.likeliest()), (None, closed()), "one refusal is not believed");
        let both = after(&[&[(1, Refusal::NotMember), (2, Refusal::NotMember)], &[(1, Refusal::NotMember)]]);
        assert_eq!((both.must_go_on(), both.verdict()), (false, None));
        let beside = after(&[&[(1, Refusal::NotMember)], &[(1, closed()), (2, Refusal::Unknown)]]);
        assert_eq!(beside.verdict(), Some(Refusal::Unknown));
    }

    #[test]
    fn no_fake_servers_keep_us_past_our_own_budget() {
        let refusals: Vec<_> = (0..16).map(|port| (port, Refusal::NotMember)).collect();
        let spent: Vec<_> = (0..16).map(|port| (port, Refusal::NoBudget)).collect();
        let tally = after(&[&refusals, &spent]);
        assert!(!tally.must_go_on());
        assert_eq!(tally.likeliest(), Refusal::NoBudget);
    }

    #[test]
    fn nobody_is_nobody_only_in_the_end() {
        let tally = after(&[&[(1, closed())]]);
        assert_eq!(tally.verdict(), None);
        assert_eq!(tally.likeliest(), closed());
    }
}
