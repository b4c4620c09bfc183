//! `deaddrop send-msg` and `deaddrop send-file`: hold a drop until it is fetched or its time is up.

mod attacks;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use deaddrop::{
    Address, Ended, Fetches, Lapse, ReceiverProgress, Room, Sender, SenderBuilder, SenderEvent, Zeroizing,
};
use smol::future;

use super::progress::watch;
use super::setup::{derive, network, warn_network, warn_weak};
use crate::cli::NetArgs;
use crate::exit::{Exit, Failure};
use crate::resources::check_connections;
use crate::signals::Signals;
use crate::ui::{Event, Progress, Serving, Ui};
use attacks::{Guesses, Lapses};

/// What to offer.
pub(super) struct Job {
    /// The drop.
    pub(super) drop: SenderBuilder,
    /// The file that it is, if it is one.
    pub(super) path: Option<PathBuf>,
    /// The TCP port to serve on, if it has to be that one.
    pub(super) tcp_port: Option<u16>,
    /// What all commands share.
    pub(super) net: NetArgs,
    /// The room.
    pub(super) passphrase: Zeroizing<String>,
}

/// Holds the drop.
pub(super) async fn send(ui: &Ui, signals: &Signals, job: Job) -> Result<(), Failure> {
    let Job { mut drop, path, tcp_port, net, passphrase } = job;
    // The two take about as long as each other, and run on a thread each.
    let deriving = Room::derive(passphrase.clone());
    warn_weak(ui, &passphrase).await?;
    std::mem::drop(passphrase);
    let room = derive(deriving, signals).await?;
    if let Some(port) = tcp_port {
        drop = drop.tcp_port(port);
    }
    let mut sender = drop.network(network(&net)).offer(&room)?.stopped_by(signals.stopper());
    std::mem::drop(room);
    // From here on others know of the drop, and are told of its end whatever brings it about.
    let end = match announce(ui, &net, &sender).await {
        Ok(()) => hold(ui, signals, &mut sender, path.as_deref()).await,
        Err(failure) => Err(failure),
    };
    if end.as_ref().is_err_and(|failure| failure.exit != Exit::Expired) {
        sender.withdraw();
    }
    let lingered = sender.linger().await.map_err(|error| signals.failure(error));
    end.and(lingered)
}

/// Shows that the drop can be fetched.
async fn announce(ui: &Ui, net: &NetArgs, sender: &Sender) -> Result<(), Failure> {
    check_connections()?;
    let addresses = sender.addresses();
    warn_network(ui, net, addresses.is_empty(), sender.skipped()).await?;
    ui.show(&ready(sender, &addresses, false)).await
}

/// That the drop can be fetched from these addresses, `again` if it was from others before.
fn ready<'a>(sender: &'a Sender, addresses: &'a [Address], again: bool) -> Event<'a> {
    let serving = Serving {
        port: sender.port(),
        token: sender.token(),
        kind: sender.kind(),
        name: sender.name(),
        size: sender.size(),
        files: sender.files(),
        ttl: sender.ttl(),
    };
    Event::Ready { addresses, serving: Some(serving), again }
}

/// Serves the drop until it ends, or until a signal ends it.
async fn hold(ui: &Ui, signals: &Signals, sender: &mut Sender, path: Option<&Path>) -> Result<(), Failure> {
    let (mut guesses, mut lapses) = (Guesses::default(), Lapses::default());
    let (mut changed, mut fetched) = (None, 0_u64);
    let progress = sender.progress();
    let read = || progress.receivers().iter().map(Progress::from).collect();
    // Goes on across events, so that a slow terminal keeps no receiver waiting.
    let mut watching = pin!(watch(ui, (sender.token(), sender.size()), read));
    loop {
        let event = future::or(sender.next_event(), watching.as_mut()).await;
        match event.map_err(|error| signals.failure(error))? {
            SenderEvent::Claimed { by } => ui.show(&Event::Claimed { token: sender.token(), by }).await?,
            SenderEvent::Lapsed { by, why } => {
                ui.show(&Event::Lapsed { token: sender.token(), by, why }).await?;
                if why == Lapse::WrongPrefix {
                    let message = format!(
                        "{by} asked to resume after bytes of the drop that it does not hold: its copy is damaged, or \
                         it guesses at the content and learns nothing; if it goes on, withdraw the drop and send it \
                         with another passphrase"
                    );
                    ui.show(&Event::Warning { code: "wrong-prefix", message: &message }).await?;
                } else if let Some(message) = lapses.line(by, why) {
                    ui.show(&Event::Warning { code: "claims-lapse", message: &message }).await?;
                }
            }
            SenderEvent::Fetched { by } => {
                fetched = fetched.saturating_add(1);
                let (token, size) = (sender.token(), sender.size());
                let of = counted(sender);
                ui.show(&Event::Fetched { token, by, size, fetched, of }).await?;
            }
            SenderEvent::Guessing { source, failures } => {
                if let Some(message) = guesses.line(Instant::now(), source, failures) {
                    ui.show(&Event::Warning { code: "guessing", message: &message }).await?;
                }
            }
            SenderEvent::Moved { addresses } => ui.show(&ready(sender, &addresses, true)).await?,
            SenderEvent::Changed { path } => changed = Some(path),
            SenderEvent::Ended(ended) => {
                // If a terminal does not take that, what follows says so.
                let _ = ui.end_progress().await;
                return end(ui, signals, sender, changed.as_deref().or(path), (ended, fetched)).await;
            }
            _ => {}
        }
    }
}

impl From<&ReceiverProgress> for Progress {
    fn from(receiver: &ReceiverProgress) -> Self {
        let ReceiverProgress { by, connection, stored, .. } = *receiver;
        Self { id: connection, by: Some(by), stored, files: None }
    }
}

/// How many receivers the drop is for; `None` if it is for all.
fn counted(sender: &Sender) -> Option<u8> {
    if let Fetches::Counted(count) = sender.fetches() { Some(count) } else { None }
}

/// Shows how the drop ended, which so many receivers have.
async fn end(
    ui: &Ui,
    signals: &Signals,
    sender: &Sender,
    path: Option<&Path>,
    (ended, fetched): (Ended, u64),
) -> Result<(), Failure> {
    let unconfirmed = Event::Warning {
        code: "unconfirmed",
        message: "a receiver was given the whole drop and never confirmed it: it may have it",
    };
    match ended {
        Ended::Fetched => Ok(()),
        Ended::Expired { unconfirmed: maybe } => {
            if maybe {
                ui.show(&unconfirmed).await?;
            }
            let of = counted(sender);
            ui.show(&Event::Expired { token: sender.token(), fetched, of }).await?;
            Err(Failure::expired(match (of, fetched) {
                // A drop for all receivers has no other end than that of its time.
                (None, 1..) => return Ok(()),
                _ if maybe => {
                    "the drop expired unconfirmed: ask its receiver, and send it again if it is not there"
                        .into()
                }
                (Some(of), 1..) => format!(
                    "the drop expired after {fetched} of {of} receivers had fetched it: send it again to the others, with \
                     a longer --ttl"
                ),
                _ => "the drop expired before it was fetched: send it again with a longer --ttl".to_owned(),
            }))
        }
        Ended::Changed { unconfirmed: maybe } => {
            if maybe {
                ui.show(&unconfirmed).await?;
            }
            let message = match path {
                Some(path) => format!(
                    "{} changed while it was offered, so it was withdrawn: send it again",
                    path.display()
                ),
                // Only what was spooled has no path and can change.
                None => "what standard input gave was altered in TMPDIR, or its disk fails, so the drop was withdrawn: \
                         send it again"
                    .into(),
            };
            Err(Failure::new(Exit::Failed, "changed", message))
        }
        _ => signals.received().map_or(Ok(()), Err),
    }
}
