//! From whoever has it: offers found on the LAN, or in the lists of a named sender.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use deaddrop_core::discovery::{Known, OfferEvent};
use deaddrop_core::offer::Offer;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, TokenPrefix};
use smol::{Timer, future};

use super::Seeking;
use super::choose::choose;
use super::direct::pause;
use crate::clock;
use crate::commands::open_beacons;
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

/// Finds the drop that is wanted and claims it.
pub(super) async fn claim_found<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let found = match seeking.job.sender {
        Some((ip, port)) => {
            let stopped = async { Err(seeking.stop.wait().await) };
            future::or(stopped, listed(seeking, ip, port)).await?
        }
        None => discovered(seeking).await?,
    };
    let chosen = choose(seeking.ui, found)?;
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
async fn discovered(seeking: &Seeking<'_>) -> Result<Vec<Found>, Failure> {
    let beacons = open_beacons(seeking.ui, &seeking.job.net)?;
    let mut discovery = Discovery::new(seeking.executor, seeking.member.clone(), beacons)
        .map_err(|e| Failure::failed(format!("cannot listen for beacons: {e}")))?;
    let mut until = seeking.until;
    let mut ended = None;
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
            Some(OfferEvent::Gone { token, reason, .. }) => {
                if seeking.job.token.is_some_and(|wanted| wanted.matches(&token)) {
                    ended = Some(reason);
                }
            }
            None => break,
        }
    }
    let all = || discovery.offers().iter();
    let wanted = |known: &&Known| seeking.job.token.is_none_or(|token| token.matches(&known.offer.token));
    let found: Vec<Found> = all().filter(wanted).map(Found::from).collect();
    match (&seeking.job.token, all().next().is_none()) {
        _ if !found.is_empty() => Ok(found),
        (Some(_), _) if ended.is_some() => Err(Refusal::Gone.failure()),
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
        let mut found = Vec::new();
        let mut looks = Vec::new();
        for port in &ports {
            let from = SocketAddr::new(IpAddr::V4(ip), *port);
            let member = seeking.member.clone();
            looks.push((from, seeking.executor.spawn(async move { look_at(&member, from, None).await })));
        }
        for (from, look) in looks {
            match look.await {
                Ok(listing) if listing.offers.is_empty() => tally.note(from.port(), Refusal::Unknown),
                Ok(listing) => {
                    found.extend(listing.offers.into_iter().map(|offer| Found::new(offer, from)));
                }
                Err(e) => tally.note(from.port(), e.into()),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(refusal) = tally.verdict() {
            return Err(refusal.failure());
        }
        if clock::now() >= seeking.until && !tally.must_go_on() {
            return Err(tally.likeliest().failure());
        }
        ports.retain(|port| tally.is_worth_asking(*port));
        pause(seeking, None).await?;
    }
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
