//! `deaddrop run`: browse, and show offers as they come and go. Fetches them too, if it is told to.

mod allowance;
mod exec;
mod fetcher;
mod queue;
mod service;
mod taking;

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use deaddrop::{AddressChanges, Browser, OfferEvent, Receiver, Room, Zeroizing};
use smol::future;

use super::setup::{derive, network, open_browser, warn_of_discovery, warn_weak};
use crate::cli::{AutoFetch, Limits, NetArgs};
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui};
pub(super) use exec::Exec;
use fetcher::Fetcher;

/// How long the program of `--exec` may take, unless something else is said.
pub(super) const EXEC_TIMEOUT: Duration = Duration::from_secs(60);

/// What to show, and what to fetch.
pub(super) struct Job {
    /// What all commands share.
    pub(super) net: NetArgs,
    /// The room.
    pub(super) passphrase: Zeroizing<String>,
    /// Absent if nothing is fetched.
    pub(super) fetching: Option<Fetching>,
}

/// What to fetch as it appears.
pub(super) struct Fetching {
    /// Which drops.
    pub(super) kinds: AutoFetch,
    /// The folder for them.
    pub(super) out: PathBuf,
    /// How much of them.
    pub(super) limits: Limits,
    /// What to run for each of them.
    pub(super) exec: Option<Exec>,
}

/// Browses until a signal ends it.
pub(super) async fn run(ui: &Ui, signals: &Signals, job: Job) -> Result<(), Failure> {
    let Job { net, passphrase, fetching } = job;
    warn_weak(ui, &passphrase).await?;
    if let Some(fetching) = &fetching {
        fetcher::check(&fetching.out)?;
        fetching.exec.as_ref().map_or(Ok(()), Exec::check)?;
    }
    let deriving = Room::derive(passphrase);
    let mut browser = open_browser(ui, &net).await?;
    let receiver = Receiver::new(&derive(deriving, signals).await?).network(network(&net));
    receiver.browse(&mut browser);
    let fetcher = match fetching {
        Some(fetching) => Some(Fetcher::new(ui, signals, receiver, fetching).await),
        None => None,
    };
    ui.show(&Event::Ready { addresses: &browser.addresses(), serving: None, again: false }).await?;
    let (warnings, changes) = (browser.warnings(), browser.address_changes());
    let telling = future::or(tell_of_moves(ui, &changes), warn_of_discovery(ui, &warnings));
    let browsing = future::or(browse(ui, signals, &mut browser, fetcher.as_ref()), telling);
    let Some(fetcher) = &fetcher else { return browsing.await.map(|never| match never {}) };
    let mut fetching = pin!(fetcher.run());
    let ended = future::or(async { browsing.await.map(|never| match never {}) }, &mut fetching).await;
    if signals.received().is_some() {
        // What is under way gives its claims back, or keeps what it has.
        fetching.await?;
    }
    ended
}

async fn browse(
    ui: &Ui,
    signals: &Signals,
    browser: &mut Browser,
    fetcher: Option<&Fetcher<'_>>,
) -> Result<Infallible, Failure> {
    loop {
        let event = async { Ok(browser.next_event().await) };
        let event = future::or(async { Err(signals.wait().await) }, event).await?;
        match &event {
            OfferEvent::Appeared { offer: known } => {
                ui.show(&Event::offer(&known.offer, known.from)).await?;
            }
            OfferEvent::Gone { token, reason, .. } => {
                ui.show(&Event::Gone { token: *token, reason: *reason }).await?;
            }
        }
        if let Some(fetcher) = fetcher {
            fetcher.heard(event);
        }
    }
}

/// Shows that this machine has other addresses, whenever it has.
async fn tell_of_moves(ui: &Ui, changes: &AddressChanges) -> Result<Infallible, Failure> {
    loop {
        let addresses = changes.next().await;
        ui.show(&Event::Ready { addresses: &addresses, serving: None, again: true }).await?;
    }
}
