//! Shows how far a drop has come, beside what moves it.

use std::future::pending;

use deaddrop::Token;
use smol::Timer;

use crate::ui::{EVERY, Pace, Progress, Ui};

/// Shows the transfers of a drop of `size` bytes, as `read` finds them, again and again. Never returns.
///
/// It waits for slow terminals itself, so poll it beside the transfer.
pub(super) async fn watch<T>(
    ui: &Ui,
    (token, size): (Token, u64),
    read: impl Fn() -> Vec<Progress> + Send,
) -> T {
    if !ui.shows_progress() {
        return pending().await;
    }
    let mut pace = Pace::default();
    loop {
        // If it cannot be shown, neither can what comes after it: that failure is the one that is reported.
        let _ = ui.progress(&mut pace, (token, size), read()).await;
        Timer::after(EVERY).await;
    }
}
