//! What the board goes out for, one at a time: drops that are wanted, and looks at senders.

use core::pin::pin;

use deaddrop_core::discovery::{Peer, Probe, ProbeResult};
use deaddrop_core::offer::Kind;
use deaddrop_core::time::Instant;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;

use super::apart::Apart;
use super::clock;
use super::fetch::{Wanted, fetch};
use super::look::look;
use super::member::{Member, State};
use super::rounds::{Part, ROUND};

/// A look that was given up for a fetch is taken again after this.
const AGAIN: core::time::Duration = core::time::Duration::from_millis(500);
/// The least time between two looks round.
const LULL: core::time::Duration = core::time::Duration::from_millis(10);

/// Runs errands for ever.
pub(super) async fn errands(member: &Member, socket: &mut TcpSocket<'static>) {
    loop {
        member.rounds.made(Part::Errands, clock::now());
        let rung = member.bell.count();
        let wanted = member.with(next_fetch);
        if let Some(wanted) = wanted {
            Apart::new(pin!(fetch(member, socket, &wanted))).await;
            member.with(|state| state.fetching = false);
            continue;
        }
        let due = member.with(|state| {
            // Without a network every look would fail, and members count as lost.
            let online = member.online.get().network.is_some();
            online.then(|| state.listener.poll_probe(clock::now(), &mut state.rng)).flatten()
        });
        match due {
            Some(due) => Apart::new(pin!(take_look(member, socket, &due))).await,
            None => rest(member, rung).await,
        }
    }
}

/// Takes a look, unless something is wanted meanwhile.
async fn take_look(member: &Member, socket: &mut TcpSocket<'static>, due: &Probe) {
    let outcome = match select(look(member, socket, due), until_wanted(member)).await {
        Either::First(outcome) => outcome,
        Either::Second(()) => ProbeResult::Busy { retry_after: AGAIN },
    };
    // A look that broke off because we have no network says nothing of the sender.
    let offline = member.online.get().network.is_none() && outcome == ProbeResult::Failed;
    let outcome = if offline { ProbeResult::Busy { retry_after: AGAIN } } else { outcome };
    member.with(|state| {
        state.listener.handle_probe(clock::now(), due, outcome);
        // The first list of a sender may have broken off half-way. Nobody would ever say that what it had is gone.
        let mut known = state.listener.peers().filter(|peer| peer.instance() == due.instance);
        let lost = match outcome {
            ProbeResult::NotMember => !known.any(Peer::is_member),
            // It is looked at again, until it is forgotten.
            ProbeResult::Failed => known.next().is_none(),
            _ => false,
        };
        if lost {
            state.offers.lost(due.instance);
        }
    });
    member.bell.ring();
}

/// Until the person wants something fetched.
async fn until_wanted(member: &Member) {
    loop {
        let rung = member.bell.count();
        if member.state.borrow().wanted.is_some() {
            return;
        }
        member.bell.since(rung).await;
    }
}

/// Until there may be something to do.
async fn rest(member: &Member, rung: u32) {
    let now = clock::now();
    let next = member.state.borrow().listener.poll_timeout();
    let next = Instant::earliest(next, Some(now + ROUND)).map_or(now, |at| at.max(now + LULL));
    select(member.bell.since(rung), clock::at(next)).await;
}

/// What is wanted: by the person, or, of messages, by `auto`.
#[inline(never)]
fn next_fetch(state: &mut State) -> Option<Wanted> {
    let wanted = state.wanted.take().or_else(|| {
        if !state.auto {
            return None;
        }
        let tried = &state.tried;
        let new = state.offers.iter().find(|known| {
            known.offer.kind == Kind::Message && !tried.iter().any(|token| *token == known.offer.token)
        })?;
        let token = new.offer.token;
        state.try_once(token);
        Some(Wanted { token: token.into(), from: None })
    })?;
    state.fetching = true;
    Some(wanted)
}
