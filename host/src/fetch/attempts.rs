//! What the servers at several addresses and ports have answered, when it is not known which of them has the drop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::FetchError;

/// How many refusals of a sender are needed to believe it.
const REFUSALS: u32 = 2;

/// The answers of the servers.
#[derive(Default)]
pub(crate) struct Attempts {
    /// How often each server has refused.
    refusals: BTreeMap<SocketAddr, u32>,
    /// Servers that broke the protocol, which they would do again.
    broken: BTreeMap<SocketAddr, FetchError>,
    round: Round,
    /// Busy in this round or an earlier one: the best guess when time is up.
    busy: Option<FetchError>,
    /// A server had no place for us, in this round or an earlier one.
    flooded: bool,
}

/// The answers of the current round.
#[derive(Default)]
struct Round {
    /// A member's answer that no other round can change.
    settled: Option<FetchError>,
    /// A member has no such drop.
    unknown: bool,
    busy: bool,
    retry_after: Option<Duration>,
    nobody: Option<FetchError>,
    /// A server has refused for the first time, which is not believed yet.
    doubted: bool,
}

impl Attempts {
    /// Begins a round, in which each server is asked once.
    pub(crate) fn begin_round(&mut self) {
        self.round = Round::default();
    }

    /// Notes the answer of the server there.
    pub(crate) fn note(&mut self, server: SocketAddr, answer: FetchError) {
        match answer {
            FetchError::NotMember => {
                let refused = self.refusals.entry(server).or_default();
                *refused += 1;
                self.round.doubted |= *refused < REFUSALS;
            }
            FetchError::Unknown => self.round.unknown = true,
            FetchError::Busy(_) | FetchError::Flooded(_) | FetchError::NoBudget => {
                self.round.busy = true;
                self.flooded |= matches!(answer, FetchError::Flooded(_));
                if let FetchError::Busy(after) | FetchError::Flooded(after) = answer {
                    self.round.retry_after = after.or(self.round.retry_after);
                }
                self.busy = Some(answer);
            }
            FetchError::Unreachable(_) => self.round.nobody = Some(answer),
            FetchError::Protocol(_) => drop(self.broken.insert(server, answer)),
            settled => self.round.settled = Some(settled),
        }
    }

    /// Whether a server refused in this round for the first time, so that another round has to ask it again. A server
    /// that refused earlier and now says something else, or nothing, is not waited for: it may never refuse again.
    pub(crate) fn must_go_on(&self) -> bool {
        self.round.doubted
    }

    /// Whether servers refused, each of them often enough to be believed.
    fn all_refused(&self) -> bool {
        !self.refusals.is_empty() && self.refusals.values().all(|n| *n >= REFUSALS)
    }

    /// Whether this server should be asked again: not if it has refused twice, nor if it broke the protocol.
    pub(crate) fn is_worth_asking(&self, server: SocketAddr) -> bool {
        !self.broken.contains_key(&server) && self.refusals.get(&server).is_none_or(|n| *n < REFUSALS)
    }

    /// Whether a server had no place for us. What it says or leaves unsaid in a later round does not end the flood.
    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded
    }

    /// When the busy servers of this round want to be asked again, if one said so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.round.retry_after
    }

    /// The result, if this round has settled it.
    pub(crate) fn verdict(&self) -> Option<FetchError> {
        if self.round.settled.is_some() {
            return self.round.settled.clone();
        }
        // A busy server may still have the drop to give.
        if self.round.busy || self.must_go_on() {
            return None;
        }
        if self.round.unknown {
            return Some(FetchError::Unknown);
        }
        let refused = self.all_refused() && self.busy.is_none() && self.broken.is_empty();
        refused.then_some(FetchError::NotMember)
    }

    /// The likeliest reason when time is up.
    pub(crate) fn likeliest(&self) -> FetchError {
        let unknown = self.round.unknown.then_some(FetchError::Unknown);
        let refused = self.all_refused().then_some(FetchError::NotMember);
        let nobody = || FetchError::Unreachable("no answer in time".into());
        self.busy
            .clone()
            // A member's word counts for more than what something else there says.
            .or(unknown)
            .or(self.broken.values().next().cloned())
            .or(refused)
            .or(self.round.nobody.clone())
            .unwrap_or_else(nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([10, 0, 0, 7], port).into()
    }

    fn after(rounds: &[&[(u16, FetchError)]]) -> Attempts {
        let mut attempts = Attempts::default();
        for round in rounds {
            attempts.begin_round();
            for (port, refusal) in *round {
                attempts.note(at(*port), refusal.clone());
            }
        }
        attempts
    }

    fn closed() -> FetchError {
        FetchError::Unreachable("refused".into())
    }

    #[test]
    fn one_refusal_is_not_believed_and_two_are() {
        let once: &[_] = &[(1, FetchError::NotMember), (2, closed())];
        assert_eq!(after(&[once]).verdict(), None);
        assert!(after(&[once]).must_go_on());
        assert_eq!(after(&[once, once]).verdict(), Some(FetchError::NotMember));
    }

    #[test]
    fn a_stranger_beside_a_member_does_not_decide() {
        let round: &[_] = &[(1, FetchError::NotMember), (2, FetchError::Unknown)];
        assert_eq!(after(&[round, round]).verdict(), Some(FetchError::Unknown));
        let round: &[_] = &[(1, FetchError::NotMember), (2, FetchError::Busy(None))];
        assert_eq!(after(&[round, round]).verdict(), None);
        assert_eq!(after(&[round, round]).likeliest(), FetchError::Busy(None));
        let gone: &[_] = &[(1, FetchError::NotMember), (2, FetchError::Gone)];
        assert_eq!(after(&[gone]).verdict(), Some(FetchError::Gone));
    }

    #[test]
    fn a_sender_that_was_busy_and_left_was_busy() {
        let attempts = after(&[&[(1, FetchError::Busy(None))], &[(1, closed())]]);
        assert_eq!(attempts.verdict(), None);
        assert_eq!(attempts.likeliest(), FetchError::Busy(None));
    }

    #[test]
    fn a_sender_that_was_flooded_once_is_flooded() {
        let flooded = || FetchError::Flooded(Some(Duration::from_secs(5)));
        let attempts = after(&[&[(1, flooded())], &[(1, flooded())], &[]]);
        assert!(attempts.is_flooded(), "it was silent to the third connection");
        assert_eq!((attempts.retry_after(), attempts.likeliest()), (None, flooded()));
        assert!(!after(&[&[(1, FetchError::Busy(None))]]).is_flooded());
    }

    #[test]
    fn something_else_beside_a_member_does_not_decide() {
        let broken = || FetchError::Protocol("what?".into());
        let attempts = after(&[&[(1, broken()), (2, FetchError::Unknown)]]);
        assert_eq!(attempts.verdict(), Some(FetchError::Unknown));
        assert_eq!(after(&[&[(1, broken()), (2, FetchError::NotMember)]]).likeliest(), broken());
    }

    #[test]
    fn a_server_that_broke_the_protocol_is_not_asked_again() {
        let broken = FetchError::Protocol("version 2".into());
        let attempts = after(&[&[(1, broken.clone()), (2, closed())], &[(2, closed())]]);
        assert!(!attempts.is_worth_asking(at(1)) && attempts.is_worth_asking(at(2)));
        assert_eq!((attempts.verdict(), attempts.likeliest()), (None, broken), "another may still come");
    }

    #[test]
    fn a_server_that_refused_once_and_left_is_not_waited_for() {
        let attempts = after(&[&[(1, FetchError::NotMember)], &[(1, closed())]]);
        assert!(!attempts.must_go_on(), "or a fetch would go on for ever");
        assert_eq!(
            (attempts.verdict(), attempts.likeliest()),
            (None, closed()),
            "one refusal is not believed"
        );
        let both = after(&[
            &[(1, FetchError::NotMember), (2, FetchError::NotMember)],
            &[(1, FetchError::NotMember)],
        ]);
        assert_eq!((both.must_go_on(), both.verdict()), (false, None));
        let beside = after(&[&[(1, FetchError::NotMember)], &[(1, closed()), (2, FetchError::Unknown)]]);
        assert_eq!(beside.verdict(), Some(FetchError::Unknown));
    }

    #[test]
    fn no_fake_servers_keep_us_past_our_own_budget() {
        let refusals: Vec<_> = (0..16).map(|port| (port, FetchError::NotMember)).collect();
        let spent: Vec<_> = (0..16).map(|port| (port, FetchError::NoBudget)).collect();
        let attempts = after(&[&refusals, &spent]);
        assert!(!attempts.must_go_on());
        assert_eq!(attempts.likeliest(), FetchError::NoBudget);
    }

    #[test]
    fn nobody_is_nobody_only_in_the_end() {
        let attempts = after(&[&[(1, closed())]]);
        assert_eq!(attempts.verdict(), None);
        assert_eq!(attempts.likeliest(), closed());
    }
}
