//! The command task: carries out the commands that arrive in the mailbox.

use core::net::SocketAddr;
use core::time::Duration;

use deaddrop_core::drops::{DropSpec, Fetches};
use deaddrop_core::offer::Name;
use embassy_futures::select::{Either, select};

use super::clock;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::state::{AppState, PORT, summary};
use crate::mailbox::{Command, CommandError, Event, FetchRequest, OfferSummary, Status};
use crate::store::{Label, Slot, State as StoreState};

/// Runs for ever.
pub(super) async fn command_task(app: &AppState) {
    loop {
        let now = clock::now();
        app.context.liveness.check_in(Task::Command, now);
        let Either::First(command) =
            select(app.mailbox.next_command(), clock::at(now + CHECK_IN_EVERY)).await
        else {
            continue;
        };
        match command {
            Command::Fetch(request) => request_fetch(app, request).await,
            Command::Offer { slot, sent } => offer(app, slot, sent).await,
            Command::Forget { slot } => forget(app, slot).await,
            Command::Auto(auto) => {
                app.with(|tables| tables.auto = auto);
                app.context.notify.notify();
                app.reply(Event::Auto(auto)).await;
            }
            Command::Offers => offers(app).await,
            Command::Status => {
                app.reply(Event::Status(status(app))).await;
            }
        }
    }
}

/// Has the client task fetch a drop, unless it is fetching another.
async fn request_fetch(app: &AppState, request: FetchRequest) {
    let free = app.with(|tables| {
        let free = !tables.fetching && tables.requested.is_none();
        if free {
            tables.requested = Some(request);
        }
        free
    });
    if free {
        app.context.notify.notify();
    } else {
        app.reply(Event::Failed { token: request.token.whole(), why: CommandError::Fetching }).await;
    }
}

/// Offers a store entry to the room.
async fn offer(app: &AppState, slot: Slot, sent: bool) {
    let offered = put(app, slot, app.ttl);
    app.reply(match offered {
        Ok(drop) => {
            app.context.notify.notify();
            let address = app.context.online.get().network.map(|network| network.address());
            let at = SocketAddr::new(address.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED).into(), PORT);
            Event::Offering { drop, at }
        }
        Err(why) => {
            if sent {
                // The message of a `send` is in the store for this offer alone. It may be gone already.
                let _ = app.store.borrow_mut().remove(slot);
            }
            Event::Failed { token: None, why }
        }
    })
    .await;
}

/// Adds a drop to the server's table.
#[inline(never)]
pub(super) fn put(app: &AppState, slot: Slot, ttl: Duration) -> Result<OfferSummary, CommandError> {
    let (spec, name) = {
        let store = app.store.borrow();
        let held = store.get(slot).ok_or(CommandError::NotWhole)?;
        match held.state {
            StoreState::Whole => {}
            StoreState::Incoming => return Err(CommandError::NotWhole),
            StoreState::Offered(_) => return Err(CommandError::Offered),
        }
        // Valid: it was checked when the entry was made.
        let name = Name::new(held.offered_name()).unwrap_or_default();
        (
            DropSpec { kind: held.kind, name, size: held.size as u64, ttl, fetches: Fetches::Counted(1) },
            Label::of(held.name),
        )
    };
    let (kind, size, ttl) = (spec.kind, spec.size, spec.ttl);
    let token = app
        .with(|tables| tables.server.drops.put(clock::now(), spec, &mut tables.rng))
        .map_err(CommandError::Put)?;
    // It is there and whole: just seen.
    let _ = app.store.borrow_mut().set_offered(slot, Some(token));
    Ok(OfferSummary { token, kind, name, size, ttl })
}

/// Wipes a store entry, and withdraws its drop if it is offered.
async fn forget(app: &AppState, slot: Slot) {
    let name = app.store.borrow().get(slot).map(|held| Label::of(held.name)).unwrap_or_default();
    let token = app.offered(slot);
    // Removed before the drop is withdrawn, so that `Forgotten` is the only event. It may be gone already.
    let _ = app.store.borrow_mut().remove(slot);
    if let Some(token) = token {
        app.with(|tables| tables.server.drops.withdraw(clock::now(), &token, &mut tables.rng));
    }
    app.context.notify.notify();
    app.reply(Event::Forgotten { name }).await;
}

/// Replies with all offers of the room.
async fn offers(app: &AppState) {
    let mut count = 0;
    loop {
        app.context.liveness.check_in(Task::Command, clock::now());
        // Looked up one by one: the table may change while the console prints.
        let next = {
            let tables = app.tables.borrow();
            tables.browser.offers().nth(count).map(|known| {
                let ttl = clock::now().until(known.until);
                Event::Offer { offer: OfferSummary { ttl, ..summary(&known.offer) }, from: known.from }
            })
        };
        let Some(event) = next else { break };
        app.reply(event).await;
        count += 1;
    }
    let more = app.tables.borrow().browser.is_crowded();
    app.reply(Event::Offers { count, more }).await;
}

#[inline(never)]
fn status(app: &AppState) -> Status {
    let tables = app.tables.borrow();
    let online = app.context.online.get();
    Status {
        link: app.stack.is_link_up(),
        address: online.network.map(|network| network.address()),
        port: PORT,
        offers: tables.browser.offers().count(),
        members: tables.browser.peers().filter(|peer| peer.is_member()).count(),
        drops: tables.server.drops.live(),
        auto: tables.auto,
        up: clock::now().since(app.started),
    }
}
