//! Asks several servers at once, in rounds, until one answers as wanted or the matter is settled.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deaddrop_core::exchange::fetch::backoff;
use deaddrop_core::exchange::{ListEvent, Wanted};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use log::{debug, trace};
use smol::future;

use super::target::Target;
use super::{COLLECT, FoundOffer, Receiver, come_back};
use crate::address::Endpoint;
use crate::error::Error;
use crate::fetch::attempts::Attempts;
use crate::fetch::error::FetchError;
use crate::fetch::probe::probe;
use crate::fetch::transfer::Transfer;
use crate::transport::socket::sleep_until;
use crate::{clock, random::system};

/// Why some servers gave nothing.
pub(super) type Refusals = Vec<(SocketAddr, FetchError)>;

/// How long the first round may take at least: long enough for a connection and a handshake.
const FIRST_ROUND: Duration = Duration::from_secs(3);

/// One round: the servers to ask, once each.
pub(super) struct Round {
    targets: Vec<Target>,
    /// When to stop waiting for answers. One whole round is always made, each of its connections within its own
    /// deadline.
    until: Instant,
    /// The same for connections that a server may have parked.
    patience: Instant,
}

impl Receiver {
    /// Runs rounds until `ask` returns what is wanted, the answers settle that there is none, or the time is over.
    pub(super) async fn rounds<T, F: Future<Output = Result<T, Refusals>>>(
        &self,
        mut targets: Vec<Target>,
        ask: impl Fn(Round) -> F,
    ) -> Result<T, Error> {
        let start = clock::now();
        let (until, patience) = (start + self.wait, start + self.patience.max(self.wait));
        let mut attempts = Attempts::default();
        loop {
            attempts.begin_round();
            let first = clock::now() + FIRST_ROUND;
            let round =
                Round { targets: targets.clone(), until: until.max(first), patience: patience.max(first) };
            match self.unless_stopped(ask(round)).await? {
                Ok(wanted) => return Ok(wanted),
                Err(refusals) => refusals.into_iter().for_each(|(server, why)| {
                    trace!("receiver: {}: {why}", Endpoint(server));
                    attempts.note(server, why);
                }),
            }
            if let Some(error) = attempts.verdict() {
                debug!("receiver: settled: {error}");
                return Err(error.into());
            }
            for target in &mut targets {
                target.routes.retain(|route| attempts.is_worth_asking(route.to));
            }
            targets.retain(|target| !target.routes.is_empty());
            let now = clock::now();
            let end = if attempts.is_flooded() { patience } else { until };
            if targets.is_empty() || (now >= end && !attempts.must_go_on()) {
                let error = attempts.likeliest();
                debug!("receiver: the time is over, or nobody is left to ask: {error}");
                return Err(error.into());
            }
            debug!("receiver: another round, nothing is settled");
            let after = attempts.retry_after();
            let next = match after.filter(|_| attempts.is_flooded()) {
                // A last try is made when the time is over.
                Some(after) => come_back(now, after).min(end),
                None => now + backoff(0, after, &mut system()),
            };
            if until < next.min(end) {
                self.tell_flooded();
            }
            self.pause(next).await?;
        }
    }
}

/// Lists the offers of every server, if there are any.
pub(super) async fn list(receiver: &Receiver, round: Round) -> Result<Vec<FoundOffer>, Refusals> {
    let Round { targets, mut until, patience } = round;
    let mut refusals = Refusals::new();
    let mut answers = Answers::of(targets.into_iter().map(|target| async move {
        target
            .ask(|routes| async move {
                let (reached, listed) = probe(&routes, &receiver.credentials).await;
                (reached.map(|route| route.to), listed.map_err(FetchError::from))
            })
            .await
    }));
    let mut found = Vec::new();
    loop {
        let Some(result) = answers.next_by(until).await else {
            if found.is_empty() && until < patience && receiver.goes_on(patience, false) {
                until = patience;
                continue;
            }
            break;
        };
        match result {
            Ok((from, listing)) => {
                let mut offers = false;
                for line in listing.lines {
                    let ListEvent::Offer(offer) = line else { continue };
                    offers = true;
                    FoundOffer { instance: listing.instance, ..FoundOffer::new(offer, from) }
                        .join(&mut found);
                }
                if offers {
                    until = until.min(clock::now() + COLLECT);
                } else {
                    refusals.push((from, FetchError::Unknown));
                }
            }
            Err(more) => refusals.extend(more),
        }
    }
    if found.is_empty() { Err(refusals) } else { Ok(found) }
}

/// Claims the drop from the first server that has it, after what an earlier process has stored of it.
pub(super) async fn claim(
    receiver: &Receiver,
    instance: Option<Instance>,
    wanted: &Wanted,
    prefix: Option<(u64, [u8; 32])>,
    round: Round,
) -> Result<Transfer, Refusals> {
    let Round { targets, mut until, patience } = round;
    let mut refusals = Refusals::new();
    // Once each: whether to ask again is decided by what all servers answer.
    let mut answers = Answers::of(targets.into_iter().map(|target| async move {
        let id = target.id;
        target
            .ask(|routes| async move {
                let now = clock::now();
                let mut transfer = receiver.transfer(routes, instance, wanted.clone(), id, now);
                if let Some(prefix) = prefix {
                    transfer = transfer.resuming(wanted.clone(), now, prefix);
                }
                let claimed = transfer.claim().await;
                (transfer.reached(), claimed.map(|()| transfer))
            })
            .await
    }));
    loop {
        let Some(result) = answers.next_by(until).await else {
            if until < patience && receiver.goes_on(patience, false) {
                until = patience;
                continue;
            }
            break;
        };
        match result {
            Ok((_, claimed)) => return Ok(claimed),
            Err(more) => refusals.extend(more),
        }
    }
    Err(refusals)
}

/// Attempts at several servers at once, in the order in which they end. Dropping it drops those that have not.
struct Answers<F>(Vec<Pin<Box<F>>>);

impl<F: Future> Answers<F> {
    fn of(attempts: impl Iterator<Item = F>) -> Self {
        Self(attempts.map(Box::pin).collect())
    }

    /// The next answer; `None` once all have answered, or the time is over.
    async fn next_by(&mut self, until: Instant) -> Option<F::Output> {
        if self.0.is_empty() {
            return None;
        }
        let next = poll_fn(|context| {
            for (place, attempt) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(output) = attempt.as_mut().poll(context) {
                    drop(self.0.swap_remove(place));
                    return Poll::Ready(Some(output));
                }
            }
            Poll::Pending
        });
        let late = async {
            sleep_until(until).await;
            None
        };
        future::or(next, late).await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use deaddrop_core::crypto::keys::RoomSecret;

    use super::*;
    use crate::network::Network;
    use crate::room::Room;

    #[test]
    fn a_sender_that_was_flooded_is_asked_until_patience_is_over() {
        let receiver = Receiver::new(&Room { secret: RoomSecret::new([7; 32]) })
            .wait(Duration::ZERO)
            .patience(Duration::from_secs(60));
        let server: SocketAddr = (Ipv4Addr::LOCALHOST, 1).into();
        let target = Target::one([server], &Network::default()).unwrap();
        // Busy to the first connection, silent to the second, and then it has a place.
        let busy = FetchError::Flooded(Some(Duration::from_millis(1)));
        let rounds = Cell::new(0);
        let ask = |_| {
            rounds.set(rounds.get() + 1);
            let answer = match rounds.get() {
                1 => Err(vec![(server, busy.clone())]),
                2 => Err(Refusals::new()),
                _ => Ok("wanted"),
            };
            async { answer }
        };
        assert_eq!(smol::block_on(receiver.rounds(vec![target], ask)).unwrap(), "wanted");
        assert_eq!(rounds.get(), 3);
    }
}
