//! What every verb begins with: the network it uses, the room's secret, and warnings about both.

use deaddrop::{
    Browser, BrowserWarnings, Error, Network, PassphraseError, Room, SkippedInterface, unused_interfaces,
};
use smol::future;

use crate::cli::NetArgs;
use crate::exit::Failure;
use crate::messages;
use crate::resources::check_connections;
use crate::signals::Signals;
use crate::strength::{WEAK_CODE, weak};
use crate::ui::{Event, Ui};

/// The network as the options name it.
pub(super) fn network(net: &NetArgs) -> Network {
    Network { udp_port: net.udp_port, interfaces: net.interfaces.clone(), mdns: net.mdns }
}

/// Begins to receive beacons and asks who is there, while the room's secret is still being derived.
pub(super) async fn open_browser(ui: &Ui, net: &NetArgs) -> Result<Browser, Failure> {
    let browser = Browser::open(&network(net)).map_err(Error::from)?;
    check_connections()?;
    warn_network(ui, net, browser.addresses().is_empty(), browser.skipped()).await?;
    Ok(browser)
}

/// Warns of networks that beacons do not reach; on request, of all interfaces that are not used.
pub(super) async fn warn_network(
    ui: &Ui,
    net: &NetArgs,
    nowhere: bool,
    skipped: &[SkippedInterface],
) -> Result<(), Failure> {
    if nowhere {
        ui.show(&Event::Warning {
            code: "no-network",
            message: "no network interface is up and has an address, not even loopback: nobody is reached \
                      until one does",
        })
        .await?;
    }
    for skipped in skipped {
        ui.show(&Event::Warning { code: "interface-skipped", message: &messages::skipped(skipped) }).await?;
    }
    if net.verbose {
        for unused in unused_interfaces(&network(net)).map_err(Error::from)? {
            let message = format!("{} is not used: {}", unused.name, unused.why);
            ui.show(&Event::Warning { code: "interface-skipped", message: &message }).await?;
        }
    }
    Ok(())
}

/// Shows the warnings of a browser. Never returns.
pub(super) async fn warn_of_discovery<T>(ui: &Ui, warnings: &BrowserWarnings) -> T {
    loop {
        let (code, message) = messages::discovery(&warnings.next().await);
        // If it cannot be shown, neither can the result: that failure is the one that is reported.
        let _ = ui.show(&Event::Warning { code, message: &message }).await;
    }
}

/// Derives the room's secret, unless a signal comes.
pub(super) async fn derive(
    deriving: impl Future<Output = Result<Room, PassphraseError>>,
    signals: &Signals,
) -> Result<Room, Failure> {
    let derived = async { deriving.await.map_err(|error| Error::from(error).into()) };
    future::or(derived, async { Err(signals.wait().await) }).await
}

/// Warns of a passphrase that can be guessed, or that holds what nobody sees.
pub(super) async fn warn_weak(ui: &Ui, passphrase: &str) -> Result<(), Failure> {
    if passphrase.trim() != passphrase {
        ui.show(&Event::Warning {
            code: "passphrase-space",
            message: "the passphrase begins or ends with a space, which belongs to it: without the space it is \
                      another room",
        })
        .await?;
    }
    match weak(passphrase) {
        Some(message) => ui.show(&Event::Warning { code: WEAK_CODE, message: &message }).await,
        None => Ok(()),
    }
}
