//! The client task: fetches drops and probes senders, one connection at a time.

use core::pin::pin;
use core::time::Duration;

use deaddrop_core::discovery::{Probe, ProbeError};
use deaddrop_core::offer::Kind;
use deaddrop_core::time::Instant;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;

use super::clock;
use super::fetch::fetch;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::outlined::Outlined;
use super::probe::probe;
use super::state::{AppState, Tables};
use crate::mailbox::FetchRequest;

/// The least time between two rounds of the loop, whatever is due.
const IDLE_MIN: Duration = Duration::from_millis(10);

/// Runs for ever. Fetches come first: a probe under way is interrupted for one.
pub(super) async fn client_task(app: &AppState, socket: &mut TcpSocket<'static>) {
    loop {
        app.context.liveness.check_in(Task::Client, clock::now());
        let seen = app.context.notify.generation();
        let request = app.with(next_fetch);
        if let Some(request) = request {
            Outlined::new(pin!(fetch(app, socket, &request))).await;
            app.with(|tables| tables.fetching = false);
            app.context.notify.notify();
            continue;
        }
        let due = app.with(|tables| {
            // Offline, every probe would fail, and live members would be counted as lost.
            let online = app.context.is_online();
            online.then(|| tables.browser.poll_probe(clock::now(), &mut tables.rng)).flatten()
        });
        match due {
            Some(due) => Outlined::new(pin!(run_probe(app, socket, &due))).await,
            None => idle(app, seen).await,
        }
    }
}

/// Probes one sender, unless a fetch is requested meanwhile, and records how that ended.
async fn run_probe(app: &AppState, socket: &mut TcpSocket<'static>, due: &Probe) {
    let end = match select(probe(app, socket, due), fetch_requested(app)).await {
        Either::First(end) => end,
        Either::Second(()) => Err(ProbeError::Interrupted),
    };
    // A probe that failed because the board went offline says nothing about the sender.
    let end = if app.context.is_online() { end } else { end.map_err(|_| ProbeError::Interrupted) };
    app.with(|tables| tables.browser.handle_probe(clock::now(), due, end));
    app.context.notify.notify();
}

/// Waits until the console requests a fetch.
async fn fetch_requested(app: &AppState) {
    loop {
        let seen = app.context.notify.generation();
        if app.tables.borrow().requested.is_some() {
            return;
        }
        app.context.notify.changed_since(seen).await;
    }
}

/// Waits until something may be due.
async fn idle(app: &AppState, seen: u32) {
    let now = clock::now();
    let next = app.tables.borrow().browser.poll_timeout();
    let next = Instant::earliest(next, Some(now + CHECK_IN_EVERY)).map_or(now, |at| at.max(now + IDLE_MIN));
    select(app.context.notify.changed_since(seen), clock::at(next)).await;
}

/// The next fetch: what the console requested, or, with `auto`, a message that was not tried yet.
#[inline(never)]
fn next_fetch(tables: &mut Tables) -> Option<FetchRequest> {
    let request = tables.requested.take().or_else(|| {
        if !tables.auto {
            return None;
        }
        let tried = &tables.tried;
        let new = tables.browser.offers().find(|known| {
            known.offer.kind == Kind::Message && !tried.iter().any(|token| *token == known.offer.token)
        })?;
        let token = new.offer.token;
        tables.mark_tried(token);
        Some(FetchRequest { token: token.into(), from: None })
    })?;
    tables.fetching = true;
    Some(request)
}
