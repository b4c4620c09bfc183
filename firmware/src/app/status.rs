//! The status task: drives the indicator, and feeds the watchdog while every task is alive.

use deaddrop_core::time::Instant;
use embassy_futures::select::select;

use super::clock;
use super::liveness::CHECK_IN_EVERY;
use super::state::AppState;
use super::{Indicator, Watchdog};
use crate::signal::{Signal, slot, start};

/// Runs for ever.
pub(super) async fn status_task(
    app: &AppState,
    indicator: &mut impl Indicator,
    watchdog: &mut impl Watchdog,
) {
    let mut shown = None;
    loop {
        let now = clock::now();
        let seen = app.context.notify.generation();
        let (signal, at) = (signal(app), slot(now.as_millis()));
        let lit = signal.lit(at);
        if shown.replace(lit) != Some(lit) {
            indicator.set(lit);
        }
        if app.context.liveness.all_alive(now) {
            watchdog.feed();
        }
        let change = Instant::from_millis(start(signal.next_change(at)));
        select(app.context.notify.changed_since(seen), clock::at(change.min(now + CHECK_IN_EVERY))).await;
    }
}

/// What a person should know.
fn signal(app: &AppState) -> Signal {
    if !app.stack.is_link_up() {
        Signal::NoCable
    } else if !app.context.is_online() {
        Signal::NoAddress
    } else if app.tables.borrow().browser.offers().next().is_some() {
        Signal::Offers
    } else {
        Signal::Alive
    }
}
