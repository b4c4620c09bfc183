//! From whoever has it: offers found on the LAN, or in the lists of a named sender.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use async_channel::unbounded;
use deaddrop_core::discovery::{Known, OfferEvent};
use deaddrop_core::offer::Offer;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, TokenPrefix};
use smol::{Task, Timer, future};

use super::Seeking;
use super::choose::choose;
use super::direct::{FIRST_ROUND, pause};
use crate::clock;
use crate::discover::{Discovery, look_at};
use crate::exit::Failure;
use crate::fetch::{Claim, Refusal, Tally, Wanted, claim};
use crate::member::Member;
use crate::net::link::SmolLink;
use crate::net::listen::ports;

/// Without a whole token, how long to wait for other offers after the first.
const COLLECT: Duration = Duration::from_secs(1);

/// An offer, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) offer: Offer,
    pub(super) from: SocketAddr,
    instance: Option<Instance>,
}

impl Found {
    pub(super) fn new(offer: Offer, from: SocketAddr) -> Self {
        Self { offer, from, instance: None }
    }
}

impl From<&Known> for Found {
    fn from(known: &Known) -> Self {
        Self { offer: known.offer.clone(), from: known.from, instance: Some(known.instance) }
    }
}

/// Claims what the senders at a named address offer.
pub(super) async fn claim_listed<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
    ip: Ipv4Addr,
    port: Option<u16>,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let stopped = async { Err(seeking.stop.wait().await) };
    let found = future::or(stopped, listed(seeking, ip, port)).await?;
    claim_one(seeking, member, found).await
}

/// Finds the drop that is wanted on the LAN and claims it.
pub(super) async fn claim_discovered<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
    discovery: Discovery<'_>,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let found = discovered(seeking, discovery).await?;
    claim_one(seeking, member, found).await
}

async fn claim_one<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
    found: Vec<Found>,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let chosen = choose(seeking.ui, seeking.stop, found).await?;
    loop {
        let attempt = async {
            let link = SmolLink::connect(chosen.from, Some(seeking.stop))
                .await
                .map_err(|e| Refusal::Nobody(e.to_string()))?;
            let wanted = Wanted::Offered(Box::new(chosen.offer.clone()));
            claim(link, member, chosen.instance, &wanted, seeking.id, Some(seeking.stop)).await
        };
        match attempt.await {
            Ok(claim) => return Ok(claim),
            Err(_) if let Some(failure) = seeking.stop.asked() => return Err(failure),
            Err(refusal @ (Refusal::Busy(_) | Refusal::Nobody(_))) if clock::now() < seeking.until => {
                let after = if let Refusal::Busy(after) = refusal { after } else { None };
                pause(seeking, after).await?;
            }
            Err(refusal) => return Err(refusal.failure()),
        }
    }
}

/// What is offered on the LAN and matches.
async fn discovered(seeking: &Seeking<'_>, mut discovery: Discovery<'_>) -> Result<Vec<Found>, Failure> {
    let mut until = seeking.until;
    loop {
        let late = async {
            Timer::after(clock::now().until(until)).await;
            Ok(None)
        };
        let stopped = async { Err(seeking.stop.wait().await) };
        let event = async { Ok(Some(discovery.next_event().await)) };
        match future::or(stopped, future::or(event, late)).await? {
            Some(OfferEvent::Appeared { offer }) => match &seeking.job.token {
                Some(token) if !token.matches(&offer.offer.token) => {}
                token => until = settle_by(token.as_ref(), clock::now(), until),
            },
            Some(OfferEvent::Gone { .. }) => {}
            None => break,
        }
    }
    let all = || discovery.offers().iter();
    let wanted = |known: &&Known| seeking.job.token.is_none_or(|token| token.matches(&known.offer.token));
    let found: Vec<Found> = all().filter(wanted).map(Found::from).collect();
    match (&seeking.job.token, all().next().is_none()) {
        _ if !found.is_empty() => Ok(found),
        (_, false) => Err(Failure::unknown(
            "nobody on this network offers a drop with that token: check it, or name its sender with --from",
        )),
        (_, true) => Err(Failure::unreachable(
            "nothing is offered in this room on this network: check the passphrase, look longer with --wait, or \
             name the sender with --from",
        )),
    }
}

/// When to stop looking once an offer matches: at once if the whole token was given. Another's may begin with
/// the same characters, the more so if it means to, and is heard no earlier than its sender likes.
fn settle_by(token: Option<&TokenPrefix>, now: Instant, until: Instant) -> Instant {
    let collect = if token.is_some_and(|token| token.whole().is_some()) { Duration::ZERO } else { COLLECT };
    // Not later than what was asked for, even if that is less than a second.
    until.min(now + collect)
}

/// What the senders at a named address offer.
async fn listed(seeking: &Seeking<'_>, ip: Ipv4Addr, port: Option<u16>) -> Result<Vec<Found>, Failure> {
    let mut ports = ports(port);
    let mut tally = Tally::default();
    loop {
        tally.begin_round();
        let found = listed_once(seeking, ip, &ports, &mut tally).await;
        if !found.is_empty() {
            return Ok(found);
        }
        let refusal = match tally.verdict() {
            None if clock::now() >= seeking.until && !tally.must_go_on() => Some(tally.likeliest()),
            verdict => verdict,
        };
        match refusal {
            // No token was named, so that none can be wrong.
            Some(Refusal::Unknown) => {
                return Err(Failure::unknown(
                    "no sender there offers anything: what it had has ended, or another receiver is about to \
                     have it",
                ));
            }
            Some(refusal) => return Err(refusal.failure()),
            None => {}
        }
        ports.retain(|port| tally.is_worth_asking(*port));
        pause(seeking, tally.retry_after()).await?;
    }
}

/// Asks all ports at once. Who says nothing is not waited for once others have said enough.
async fn listed_once(seeking: &Seeking<'_>, ip: Ipv4Addr, ports: &[u16], tally: &mut Tally) -> Vec<Found> {
    let (sender, listings) = unbounded();
    let looks: Vec<Task<()>> = ports
        .iter()
        .map(|&port| {
            let from = SocketAddr::new(IpAddr::V4(ip), port);
            let (member, sender) = (seeking.member.clone(), sender.clone());
            seeking.executor.spawn(async move {
                let _ = sender.try_send((from, look_at(&member, from, None).await));
            })
        })
        .collect();
    drop(sender);
    let mut found = Vec::new();
    // One whole round is always made, each of its connections within its own deadline.
    let mut by = seeking.until.max(clock::now() + FIRST_ROUND);
    loop {
        let late = async {
            Timer::after(clock::now().until(by)).await;
            None
        };
        let next = async { listings.recv().await.ok() };
        match future::or(next, late).await {
            Some((from, Ok(listing))) if listing.offers.is_empty() => {
                tally.note(from.port(), Refusal::Unknown);
            }
            Some((from, Ok(listing))) => {
                let offers = listing.offers.into_iter();
                found.extend(offers.map(|offer| Found::new(offer, from)));
                by = by.min(clock::now() + COLLECT);
            }
            Some((from, Err(e))) => tally.note(from.port(), e.into()),
            None => break,
        }
    }
    // Those that are still waiting end with this.
    drop(looks);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_token_settles_it_at_once() {
        let (now, until) = (Instant::from_millis(0), Instant::from_millis(5_000));
        let whole: TokenPrefix = "0123456789abcdefghjkmnpqrg".parse().unwrap();
        let part: TokenPrefix = "0123".parse().unwrap();
        assert_eq!(settle_by(Some(&whole), now, until), now);
        assert_eq!(settle_by(Some(&part), now, until), now + COLLECT);
        assert_eq!(settle_by(None, now, until), now + COLLECT);
        assert_eq!(settle_by(None, now, Instant::from_millis(10)), Instant::from_millis(10));
    }
}
