//! The status task: drives the indicator, and feeds the watchdog while every task is alive.

use embassy_futures::select::select;

use super::clock;
use super::liveness::CHECK_IN_EVERY;
use super::state::AppState;
use super::{Indicator, Watchdog};

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
        let waiting = app.tables.borrow().browser.offers().next().is_some();
        if shown.replace(waiting) != Some(waiting) {
            indicator.set(waiting);
        }
        if app.context.liveness.all_alive(now) {
            watchdog.feed();
        }
        select(app.context.notify.changed_since(seen), clock::at(now + CHECK_IN_EVERY)).await;
    }
}
