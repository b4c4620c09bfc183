//! What the person at the console asks for.

use core::net::SocketAddr;

use deaddrop_core::drops::DropSpec;
use deaddrop_core::offer::Name;
use embassy_futures::select::{Either, select};

use super::clock;
use super::fetch::Wanted;
use super::member::{Member, PORT, brief};
use super::rounds::{Part, ROUND};
use crate::desk::{Brief, Failure, News, Order, Status};
use crate::store::{Label, Slot, State as StoreState};

/// Carries out orders for ever.
pub(super) async fn orders(member: &Member) {
    loop {
        let now = clock::now();
        member.rounds.made(Part::Orders, now);
        let Either::First(order) = select(member.desk.next_order(), clock::at(now + ROUND)).await else {
            continue;
        };
        match order {
            Order::Fetch { token, from } => want(member, Wanted { token, from }).await,
            Order::Offer { slot, sent } => offer(member, slot, sent).await,
            Order::Forget { slot } => forget(member, slot).await,
            Order::Auto(auto) => {
                member.with(|state| state.auto = auto);
                member.bell.ring();
                member.answer(News::Auto(auto)).await;
            }
            Order::Offers => offers(member).await,
            Order::Status => {
                member.answer(News::Status(status(member))).await;
            }
        }
    }
}

/// Has a drop fetched, unless another is being fetched.
async fn want(member: &Member, wanted: Wanted) {
    let free = member.with(|state| {
        let free = !state.fetching && state.wanted.is_none();
        if free {
            state.wanted = Some(wanted);
        }
        free
    });
    if free {
        member.bell.ring();
    } else {
        member.answer(News::Failed { token: wanted.token.whole(), why: Failure::Fetching }).await;
    }
}

/// Offers what is in the store.
async fn offer(member: &Member, slot: Slot, sent: bool) {
    let offered = put(member, slot);
    member
        .answer(match offered {
            Ok(drop) => {
                member.bell.ring();
                let address = member.online.get().network.map(|network| network.address());
                let at = SocketAddr::new(address.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED).into(), PORT);
                News::Offering { drop, at }
            }
            Err(why) => {
                if sent {
                    // Nobody else will ever ask for it. If it is not there, nothing is to be done.
                    let _ = member.store.borrow_mut().remove(slot);
                }
                News::Failed { token: None, why }
            }
        })
        .await;
}

/// Puts a drop on the table.
#[inline(never)]
fn put(member: &Member, slot: Slot) -> Result<Brief, Failure> {
    let (terms, name) = {
        let store = member.store.borrow();
        let held = store.get(slot).ok_or(Failure::NotWhole)?;
        match held.state {
            StoreState::Whole => {}
            StoreState::Incoming => return Err(Failure::NotWhole),
            StoreState::Offered(_) => return Err(Failure::Offered),
        }
        // It was a drop's name before, and was checked then.
        let name = Name::new(held.offered_name()).unwrap_or_default();
        let ttl = member.settings.ttl;
        (DropSpec { kind: held.kind, name, size: held.size as u64, ttl, fetches: 1 }, Label::of(held.name))
    };
    let (kind, size, ttl) = (terms.kind, terms.size, terms.ttl);
    let token = member
        .with(|state| state.serving.drops.put(clock::now(), terms, &mut state.rng))
        .map_err(Failure::Put)?;
    // It is there and whole: just seen.
    let _ = member.store.borrow_mut().set_offered(slot, Some(token));
    Ok(Brief { token, kind, name, size, ttl })
}

/// Takes a drop back and wipes it.
async fn forget(member: &Member, slot: Slot) {
    let name = member.store.borrow().get(slot).map(|held| Label::of(held.name)).unwrap_or_default();
    let token = member.offered(slot);
    // Wiped before it is withdrawn, so that only this is told. If it is not there, it is forgotten all the same.
    let _ = member.store.borrow_mut().remove(slot);
    if let Some(token) = token {
        member.with(|state| state.serving.drops.withdraw(clock::now(), &token, &mut state.rng));
    }
    member.bell.ring();
    member.answer(News::Forgotten { name }).await;
}

/// Says what can be fetched.
async fn offers(member: &Member) {
    let mut count = 0;
    loop {
        member.rounds.made(Part::Orders, clock::now());
        // One at a time: they may change while the console prints.
        let next = {
            let state = member.state.borrow();
            state.offers.iter().nth(count).map(|known| {
                let ttl = clock::now().until(known.until);
                News::Offer { offer: Brief { ttl, ..brief(&known.offer) }, from: known.from }
            })
        };
        let Some(news) = next else { break };
        member.answer(news).await;
        count += 1;
    }
    let more = member.state.borrow().more_offers;
    member.answer(News::Offers { count, more }).await;
}

#[inline(never)]
fn status(member: &Member) -> Status {
    let state = member.state.borrow();
    let online = member.online.get();
    Status {
        link: member.stack.is_link_up(),
        address: online.network.map(|network| network.address()),
        port: PORT,
        offers: state.offers.iter().count(),
        members: state.listener.peers().filter(|peer| peer.is_member()).count(),
        drops: state.serving.drops.live(),
        auto: state.auto,
        up: clock::now().since(member.started),
    }
}
