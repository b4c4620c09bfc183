//! From whoever has it: offers found on the LAN, or in the lists of a named sender.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use deaddrop_core::discovery::{Known, OfferEvent};
use deaddrop_core::offer::Offer;
use deaddrop_core::token::Instance;
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

/// Without a token, how long to wait for other offers after the first.
const COLLECT: Duration = Duration::from_secs(1);

/// An offer, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) offer: Offer,
    pub(super) from: SocketAddr,
    instance: Option<Instance>,
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
                Some(token) if token.matches(&offer.offer.token) => return Ok(vec![Found::from(&offer)]),
                Some(_) => {}
                // Not later than what was asked for, even if that is less than a second.
                None => until = until.min(clock::now() + COLLECT),
            },
            Some(OfferEvent::Gone { token, reason, .. }) => {
                if seeking.job.token.is_some_and(|wanted| wanted.matches(&token)) {
                    ended = Some(reason);
                }
            }
            None => break,
        }
    }
    let found: Vec<Found> = discovery.offers().iter().map(Found::from).collect();
    match (&seeking.job.token, found.is_empty()) {
        (None, false) => Ok(found),
        (Some(_), _) if ended.is_some() => Err(Refusal::Gone.failure()),
        (Some(_), false) => Err(Failure::unknown(
            "nobody on this network offers a drop with that token: check it, or name its sender with --from",
        )),
        (_, true) => Err(Failure::unreachable(
            "nothing is offered in this room on this network: check the passphrase, look longer with --wait, or \
             name the sender with --from",
        )),
    }
}

/// What the senders at a named address offer.
async fn listed(seeking: &Seeking<'_>, ip: Ipv4Addr, port: Option<u16>) -> Result<Vec<Found>, Failure> {
    let ports = ports(port);
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
                    found.extend(listing.offers.into_iter().map(|offer| Found {
                        offer,
                        from,
                        instance: None,
                    }));
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
        pause(seeking, None).await?;
    }
}
