//! From a sender that was named: all ports it may serve on, until one has the drop.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use async_channel::unbounded;
use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};
use deaddrop_core::token::TokenPrefix;
use rand_core::Rng;
use smol::{Timer, future};

use super::{Seeking, failure_of};
use crate::exit::Failure;
use crate::fetch::{Claim, Refusal, Wanted, claim};
use crate::member::Member;
use crate::net::link::SmolLink;
use crate::{clock, random::system};

/// How often a sender has to refuse before we believe it.
const REFUSALS: u32 = 2;
/// Least and most time between two rounds, drawn anew each time.
const PAUSE_MS: (u32, u32) = (100, 300);

/// Claims the drop from whichever process at `ip` has it.
pub(super) async fn claim_from<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
    ip: Ipv4Addr,
    port: Option<u16>,
    token: &TokenPrefix,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let wanted = Wanted::Token(*token);
    let mut ports: Vec<u16> = match port {
        Some(port) => vec![port],
        None => (TCP_PORT_FIRST..=TCP_PORT_LAST).collect(),
    };
    let mut tally = Tally::default();
    loop {
        tally.begin_round();
        let (sender, verdicts) = unbounded();
        let attempts = ports.iter().map(|&port| {
            let (sender, wanted) = (sender.clone(), &wanted);
            async move {
                let address = SocketAddr::new(IpAddr::V4(ip), port);
                let verdict = async {
                    let link = SmolLink::connect(address, Some(seeking.stop))
                        .await
                        .map_err(|e| Refusal::Nobody(e.to_string()))?;
                    claim(link, member, None, wanted, seeking.id, Some(seeking.stop)).await
                };
                let _ = sender.try_send((port, verdict.await));
            }
        });
        let round = all(attempts);
        let mut asked = ports.len();
        let judge = async {
            while asked > 0 {
                let Ok((port, verdict)) = verdicts.recv().await else { break };
                asked -= 1;
                match verdict {
                    Ok(claim) => return Some(Ok(claim)),
                    Err(Refusal::Stopped(failure)) => return Some(Err(failure)),
                    Err(refusal) => tally.note(port, refusal),
                }
            }
            None
        };
        let finished = future::or(judge, async {
            round.await;
            std::future::pending().await
        });
        let late = async {
            // One whole round is always made, each of its connections within its own deadline.
            Timer::after(clock::now().until(seeking.until).max(FIRST_ROUND)).await;
            None
        };
        if let Some(end) = future::or(finished, late).await {
            return end;
        }
        if let Some(failure) = seeking.stop.asked() {
            return Err(failure);
        }
        if let Some(refusal) = tally.verdict() {
            return Err(failure_of(&refusal));
        }
        if clock::now() >= seeking.until && !tally.must_go_on() {
            return Err(failure_of(&tally.likeliest()));
        }
        // Those who have refused twice are not asked a third time.
        ports.retain(|port| tally.refusals.get(port).is_none_or(|n| *n < REFUSALS));
        pause(seeking, tally.round.retry_after).await?;
    }
}

/// Long enough for a connection and a handshake.
const FIRST_ROUND: Duration = Duration::from_secs(3);

pub(super) async fn pause(seeking: &Seeking<'_>, retry_after: Option<Duration>) -> Result<(), Failure> {
    let (least, most) = PAUSE_MS;
    let jitter = Duration::from_millis(u64::from(least + system().next_u32() % (most - least)));
    let pause = retry_after.map_or(jitter, |after| after.min(Duration::from_secs(1)).max(jitter));
    let waited = async {
        Timer::after(pause).await;
        Ok(())
    };
    future::or(async { Err(seeking.stop.wait().await) }, waited).await
}

/// Drives all futures until each has ended.
async fn all(attempts: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut attempts: Vec<_> = attempts.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        attempts.retain_mut(|attempt| attempt.as_mut().poll(context).is_pending());
        if attempts.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// What the servers of one address have said.
#[derive(Default)]
pub(super) struct Tally {
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
}

impl Tally {
    pub(super) fn begin_round(&mut self) {
        self.round = Round::default();
    }

    pub(super) fn note(&mut self, port: u16, refusal: Refusal) {
        match refusal {
            Refusal::NotMember => *self.refusals.entry(port).or_default() += 1,
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

    /// Whether a port that refused has still to be asked again, before it is believed.
    pub(super) fn must_go_on(&self) -> bool {
        self.refusals.values().any(|n| *n < REFUSALS)
    }

    /// What is certain after a round.
    pub(super) fn verdict(&self) -> Option<Refusal> {
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
        (!self.refusals.is_empty() && self.busy.is_none()).then_some(Refusal::NotMember)
    }

    /// The best that can be said when time is up.
    pub(super) fn likeliest(&self) -> Refusal {
        let unknown = self.round.unknown.then_some(Refusal::Unknown);
        let refused = (!self.refusals.is_empty()).then_some(Refusal::NotMember);
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
    fn nobody_is_nobody_only_in_the_end() {
        let tally = after(&[&[(1, closed())]]);
        assert_eq!(tally.verdict(), None);
        assert_eq!(tally.likeliest(), closed());
    }
}
