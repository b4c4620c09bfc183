//! What shows from outside that the board lives, and that something waits.

use embassy_futures::select::select;

use super::clock;
use super::member::Member;
use super::rounds::ROUND;
use super::{Indicator, Watchdog};

/// Shows for ever.
pub(super) async fn signs(member: &Member, indicator: &mut impl Indicator, watchdog: &mut impl Watchdog) {
    let mut shown = None;
    loop {
        let now = clock::now();
        let rung = member.bell.count();
        let waiting = member.state.borrow().offers.iter().next().is_some();
        if shown.replace(waiting) != Some(waiting) {
            indicator.set(waiting);
        }
        if member.rounds.all_made(now) {
            watchdog.feed();
        }
        select(member.bell.since(rung), clock::at(now + ROUND)).await;
    }
}
