//! `deaddrop run`: browse, and show offers as they come and go.

use deaddrop::{OfferEvent, Receiver, Room, Zeroizing};
use smol::future;

use super::setup::{derive, open_browser, warn_of_discovery, warn_weak};
use crate::cli::NetArgs;
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// Browses until a signal ends it.
pub(super) async fn run(
    ui: &Ui,
    signals: &Signals,
    net: NetArgs,
    passphrase: Zeroizing<String>,
) -> Result<(), Failure> {
    warn_weak(ui, &passphrase).await?;
    let deriving = Room::derive(passphrase);
    let mut browser = open_browser(ui, &net).await?;
    let receiver = Receiver::new(&derive(deriving, signals).await?);
    receiver.browse(&mut browser);
    ui.show(&Event::Ready { addresses: &browser.addresses(), serving: None, again: false }).await?;
    let (warnings, changes) = (browser.warnings(), browser.address_changes());
    let showing = async {
        loop {
            let event = async { Ok(browser.next_event().await) };
            let event = future::or(async { Err(signals.wait().await) }, event).await?;
            show(ui, &event).await?;
        }
    };
    let moving = async {
        loop {
            let addresses = changes.next().await;
            ui.show(&Event::Ready { addresses: &addresses, serving: None, again: true }).await?;
        }
    };
    future::or(showing, future::or(moving, warn_of_discovery(ui, &warnings))).await
}

async fn show(ui: &Ui, event: &OfferEvent) -> Result<(), Failure> {
    match event {
        OfferEvent::Appeared { offer: known } => ui.show(&Event::offer(&known.offer, known.from)).await,
        OfferEvent::Gone { token, reason, .. } => {
            ui.show(&Event::Gone { token: *token, reason: *reason }).await
        }
    }
}
