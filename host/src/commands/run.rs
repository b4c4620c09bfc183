//! `deaddrop run`: listen, and show offers as they come and go.

use std::rc::Rc;

use deaddrop_core::discovery::OfferEvent;
use smol::{LocalExecutor, future};
use zeroize::Zeroizing;

use super::{ask_around, derive, warn_weak};
use crate::cli::NetArgs;
use crate::exit::Failure;
use crate::member::Member;
use crate::stop::Stop;
use crate::ui::{Event, Ui};

/// Listens until a signal ends it.
pub(crate) async fn run(
    executor: &LocalExecutor<'static>,
    ui: &Ui,
    stop: &Stop,
    net: NetArgs,
    passphrase: Zeroizing<String>,
) -> Result<(), Failure> {
    warn_weak(ui, &passphrase)?;
    let deriving = derive(passphrase);
    let asking = ask_around(executor, ui, &net)?;
    let room = future::or(deriving, async { Err(stop.wait().await) }).await?;
    let mut discovery = asking.join(Rc::new(Member::new(&room, None)));
    ui.show(&Event::Ready { addresses: &discovery.addresses(), serving: None })?;
    loop {
        let event =
            future::or(async { Err(stop.wait().await) }, async { Ok(discovery.next_event().await) }).await?;
        show(ui, &event)?;
    }
}

fn show(ui: &Ui, event: &OfferEvent) -> Result<(), Failure> {
    match event {
        OfferEvent::Appeared { offer: known } => ui.show(&Event::Offer {
            token: known.offer.token,
            from: known.from,
            kind: known.offer.kind,
            name: &known.offer.name,
            size: known.offer.size,
            ttl: known.offer.ttl_left,
        }),
        OfferEvent::Gone { token, reason, .. } => ui.show(&Event::Gone { token: *token, reason: *reason }),
    }
}
