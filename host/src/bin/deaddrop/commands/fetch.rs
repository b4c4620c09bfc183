//! `deaddrop fetch`: take a drop.

mod choose;
mod resume;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use deaddrop::diagnosis::likely_reason;
use deaddrop::{
    Browser, Claim, ConnectionLosses, Content as Stored, Destination, Error, FetchError, FoundOffer, Kind,
    Offer, Place, Receiver, Room, Token, TokenPrefix, Unconfirmed, Zeroizing,
};
use smol::{Timer, future};

use super::progress::watch;
use super::resolve;
use super::setup::{derive, network, open_browser, warn_of_discovery, warn_weak};
use crate::cli::{Named, NetArgs};
use crate::exit::Failure;
use crate::messages;
use crate::platform;
use crate::signals::Signals;
use crate::ui::{Content, Event, Progress, Ui};
use choose::choose;
use resume::Places;
pub(super) use resume::warn_damaged;

/// How long to look and to retry, unless something else is said.
const WAIT: Duration = Duration::from_secs(5);
/// The same while the sender has no place for another connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to fetch, and where to.
pub(super) struct Job {
    /// The senders that were named, if any.
    pub(super) senders: Vec<Named>,
    /// The drop.
    pub(super) wanted: Wanted,
    /// Whether to remove what an earlier fetch has left, and nothing else.
    pub(super) discard: bool,
    /// How long to look and to retry, if it was said.
    pub(super) wait: Option<Duration>,
    /// What all commands share.
    pub(super) net: NetArgs,
    /// The room.
    pub(super) passphrase: Zeroizing<String>,
}

/// Which drop, and how to take it.
#[derive(Default)]
pub(super) struct Wanted {
    /// Where its sender is, if it was named and its name is resolved.
    pub(super) at: Vec<Place>,
    /// The drop, if it was named.
    pub(super) token: Option<TokenPrefix>,
    /// Where to save it.
    pub(super) out: Option<PathBuf>,
    /// Whether a file may go to a terminal.
    pub(super) force: bool,
    /// Whether to begin anew what an earlier fetch has left.
    pub(super) restart: bool,
}

/// Takes the drop.
pub(super) async fn fetch(ui: &Ui, signals: &Signals, mut job: Job) -> Result<(), Failure> {
    let passphrase = std::mem::take(&mut job.passphrase);
    let deriving = Room::derive(passphrase.clone());
    warn_weak(ui, &passphrase).await?;
    drop(passphrase);
    if job.discard && job.wanted.token.is_none() {
        return Err(Failure::usage(
            "--discard does not know which drop to remove: add --token T, which names it",
        ));
    }
    if job.discard && job.wanted.restart {
        return Err(Failure::usage(
            "--discard removes what is left of a drop and --restart fetches it anew: give one of them",
        ));
    }
    let places = match job.wanted.out.as_deref() {
        Some(out) if out.as_os_str() == "-" => Places { folder: None, spool: spool(), to_file: false },
        out => Places { to_file: out.is_some(), ..places(out)? },
    };
    let mut browser = match job.senders.is_empty() {
        false => None,
        true if job.discard => None,
        // Answers come while the secret is derived.
        true => Some(open_browser(ui, &job.net).await?),
    };
    // Before the secret is derived: a name that is not found ends it at once.
    job.wanted.at = resolve::places(ui, signals, &job.senders).await?;
    let room = derive(deriving, signals).await?;
    let receiver = patient(Receiver::new(&room).network(network(&job.net)), job.wait);
    let receiver = receiver.stopped_by(signals.stopper());
    drop(room);
    for place in places.folder.iter().chain(Some(&places.spool).filter(|_| !places.to_file)) {
        warn_damaged(ui, place).await?;
    }
    let unfinished = resume::find(&job.wanted, &places)?;
    if job.discard {
        return resume::discard(ui, &job.wanted, &receiver, unfinished).await;
    }
    job.wanted.at = resolve::askable(ui, &receiver, std::mem::take(&mut job.wanted.at)).await?;
    let claiming = async {
        if let Some(unfinished) = unfinished {
            let claim =
                resume::resume(ui, signals, &job.wanted, &receiver, browser.as_mut(), unfinished).await?;
            if let Some(claim) = claim {
                return Ok(claim);
            }
        }
        claim(ui, signals, &mut job, &receiver, browser, &places).await
    };
    let claim = future::or(claiming, warn_of_flood(ui, &receiver)).await?;
    take(ui, signals, &job.wanted, &places, claim).await
}

/// A receiver that asks a sender as long as was said, or as usual.
pub(super) fn patient(receiver: Receiver, wait: Option<Duration>) -> Receiver {
    receiver.wait(wait.unwrap_or(WAIT)).patience(wait.unwrap_or(PATIENCE))
}

/// Where what is printed is kept until it is.
fn spool() -> Destination {
    resume::state_folder().map_or_else(Destination::spool, Destination::spool_in)
}

/// A folder, the current one if none is named, for files; messages are printed.
fn places(out: Option<&Path>) -> Result<Places, Failure> {
    let folder = Destination::path(out.unwrap_or(Path::new(".")))?;
    Ok(Places { folder: Some(folder), spool: spool(), to_file: false })
}

/// Takes a drop that is on offer, and that somebody has chosen: a message is printed, all else goes into a folder.
pub(super) async fn fetch_chosen(
    ui: &Ui,
    signals: &Signals,
    receiver: &Receiver,
    out: Option<&Path>,
    chosen: &FoundOffer,
) -> Result<(), Failure> {
    let wanted = Wanted { token: Some(chosen.offer.token.into()), ..Wanted::default() };
    let places = places(out)?;
    let claiming = async {
        if let Some(mut unfinished) = resume::find(&wanted, &places)? {
            return resume::at(ui, signals, &wanted, receiver, chosen, &mut unfinished).await;
        }
        receiver.claim(chosen).await.map_err(|error| signals.failure(error))
    };
    let claim = future::or(claiming, warn_of_flood(ui, receiver)).await?;
    take(ui, signals, &wanted, &places, claim).await
}

/// Finds the drop that is wanted, and claims it.
async fn claim(
    ui: &Ui,
    signals: &Signals,
    job: &mut Job,
    receiver: &Receiver,
    mut browser: Option<Browser>,
    places: &Places,
) -> Result<Claim, Failure> {
    let begun = Instant::now();
    let failure = |error| signals.failure(error);
    let found = match (&mut browser, &job.wanted.token) {
        // No sender was named.
        (Some(browser), token) => {
            let warnings = browser.warnings();
            let finding = receiver.find(browser, token.as_ref());
            let found = future::or(finding, warn_of_discovery(ui, &warnings)).await.map_err(failure)?;
            discovered(signals, &job.net, found, browser).await?
        }
        (None, Some(token)) => return receiver.claim_at(&job.wanted.at, *token).await.map_err(failure),
        (None, None) => listed(receiver.list_at(&job.wanted.at).await.map_err(failure)?)?,
    };
    let chosen = choose(ui, signals, found).await?;
    spare_terminal(ui, &job.wanted, chosen.offer.kind)?;
    if job.wanted.token.is_none() {
        // Which drop it is was not known before.
        job.wanted.token = Some(chosen.offer.token.into());
        if let Some(mut unfinished) = resume::find(&job.wanted, places)? {
            job.wanted.at = Vec::new();
            return resume::at(ui, signals, &job.wanted, receiver, &chosen, &mut unfinished).await;
        }
    }
    let left = |span: Duration| span.saturating_sub(begun.elapsed());
    let (wait, patience) = (job.wait.unwrap_or(WAIT), job.wait.unwrap_or(PATIENCE));
    let receiver = receiver.clone().wait(left(wait)).patience(left(patience));
    receiver.claim(&chosen).await.map_err(failure)
}

/// What the senders at a named address offer.
fn listed(found: Vec<FoundOffer>) -> Result<Vec<FoundOffer>, Failure> {
    if found.is_empty() {
        return Err(Failure::unknown(
            "no sender there offers anything: what it had has ended, or another receiver is about to have it",
        ));
    }
    Ok(found)
}

/// What is offered on the LAN and matches.
async fn discovered(
    signals: &Signals,
    net: &NetArgs,
    found: Vec<FoundOffer>,
    browser: &Browser,
) -> Result<Vec<FoundOffer>, Failure> {
    match (found.is_empty(), browser.offers().next().is_none()) {
        (false, _) => Ok(found),
        (true, _) if browser.is_put_off() => Err(FetchError::Flooded(None).into()),
        (true, false) => Err(Failure::unknown(
            "nobody on this network offers a drop with that token: check it, or name its sender with --from",
        )),
        (true, true) => {
            let reason = async { Ok(likely_reason(&network(net), browser).await) };
            let reason = future::or(async { Err(signals.wait().await) }, reason).await?;
            Err(Failure::unreachable(messages::not_found(reason.ok().as_ref(), net.mdns)))
        }
    }
}

/// Refuses to write a file to a terminal, which would act on the control characters in it.
fn spare_terminal(ui: &Ui, wanted: &Wanted, kind: Kind) -> Result<(), Failure> {
    let to_terminal = ui.out_is_terminal() && wanted.out.as_deref().is_some_and(|out| out.as_os_str() == "-");
    if kind == Kind::Message || !to_terminal || wanted.force {
        return Ok(());
    }
    Err(Failure::usage(
        "the drop is a file, and its bytes could upset the terminal: save it with --out PATH, send it on with a pipe, \
         or write it there all the same with --force",
    ))
}

/// Warns that the fetch waits longer because a sender is flooded. Never returns.
async fn warn_of_flood<T>(ui: &Ui, receiver: &Receiver) -> T {
    receiver.flooded().await;
    let message = format!(
        "a sender has no place for another connection, somebody may be flooding it: waiting for {} s in all",
        PATIENCE.as_secs()
    );
    // If it cannot be shown, neither can the result: that failure is the one that is reported.
    let _ = ui.show(&Event::Warning { code: "flooded", message: &message }).await;
    future::pending().await
}

/// Warns of each connection that is lost while the drop comes. Never returns.
async fn warn_of_losses<T>(ui: &Ui, losses: &ConnectionLosses) -> T {
    loop {
        let message = format!(
            "the connection to the sender was lost ({}): connecting again, until no new byte has come for a minute",
            losses.next().await
        );
        // If it cannot be shown, neither can the result: that failure is the one that is reported.
        let _ = ui.show(&Event::Warning { code: "connection-lost", message: &message }).await;
    }
}

/// Receives a claimed drop, shows it, and confirms it.
async fn take(
    ui: &Ui,
    signals: &Signals,
    wanted: &Wanted,
    places: &Places,
    claim: Claim,
) -> Result<(), Failure> {
    let (offer, sender) = (claim.offer().clone(), claim.from());
    let due = Instant::now() + offer.ttl_left;
    // A message is shown, unless a file was named for it.
    let shown = offer.kind == Kind::Message && !places.to_file;
    let destination = if shown { &places.spool } else { places.folder.as_ref().unwrap_or(&places.spool) };
    // Where the drop was named, its kind is not known sooner. What is taken is shown before anything of it is here.
    let shown_first = match spare_terminal(ui, wanted, offer.kind) {
        Ok(()) => ui.taking(&Event::offer(&offer, sender)).await,
        refused => refused,
    };
    if let Err(failure) = shown_first {
        // Dropping the claim sends the release without waiting for it, and the process ends now.
        claim.release().await;
        return Err(failure);
    }
    let (losses, progress) = (claim.losses(), claim.progress());
    let read = || {
        let files = (offer.kind == Kind::Directory).then(|| progress.files());
        vec![Progress { id: 0, by: None, stored: progress.stored(), files }]
    };
    let watching = future::or(warn_of_losses(ui, &losses), watch(ui, (offer.token, offer.size), read));
    let received = future::or(claim.receive(destination), watching).await;
    let unconfirmed = match received {
        Ok(unconfirmed) => unconfirmed,
        Err(error) => {
            // If a terminal does not take that, what follows says so.
            let _ = ui.end_progress().await;
            return Err(match error {
                Error::Kept { kept, error } => {
                    resume::kept(ui, signals.failure(*error), &kept, offer.token).await
                }
                error => signals.failure(error),
            });
        }
    };
    // A terminal that is stopped takes nothing. What has its name is confirmed all the same, meanwhile.
    let show_saved = async |content: Content<'_>| {
        let _ = ui.end_progress().await;
        ui.show(&Event::received(&offer, content)).await.err()
    };
    let shown = match unconfirmed.content().clone() {
        Stored::Saved(path) => {
            let (unshown, confirmed) =
                future::zip(show_saved(Content::Saved(&path)), unconfirmed.confirm()).await;
            warn_unconfirmed(ui, confirmed).await?;
            warn_exposed(ui, &[path]).await?;
            unshown.map_or(Ok(()), Err)
        }
        Stored::Bundle(saved) => {
            let content = Content::Bundle(&saved.paths, saved.files);
            let (unshown, confirmed) = future::zip(show_saved(content), unconfirmed.confirm()).await;
            warn_unconfirmed(ui, confirmed).await?;
            for alteration in &saved.alterations {
                let (code, message) = messages::alteration(alteration);
                ui.show(&Event::Warning { code, message: &message }).await?;
            }
            warn_exposed(ui, &saved.paths).await?;
            unshown.map_or(Ok(()), Err)
        }
        Stored::Spooled(spool) => {
            let out = async {
                let _ = ui.end_progress().await;
                if shown {
                    let message = Content::Message(spool.in_memory().unwrap_or_default());
                    return ui.show(&Event::received(&offer, message)).await;
                }
                ui.copy_out(spool.clone()).await?;
                ui.show(&Event::received(&offer, Content::Written)).await
            };
            let confirmed = put_out(ui, out, unconfirmed, &offer, due).await?;
            warn_unconfirmed(ui, confirmed).await
        }
    };
    shown.and_then(|()| signals.received().map_or(Ok(()), Err))
}

/// Puts a drop out on standard output, and confirms it: once it is out, at the latest when it is `due`. True if its
/// sender has noted that. A drop that cannot be put out is kept.
///
/// Until its TTL has passed a sender waits for the confirmation, and for some time after that. By then the drop is whole
/// here, and nobody else can have it: its sender had better know (decision 0026).
async fn put_out(
    ui: &Ui,
    out: impl Future<Output = Result<(), Failure>>,
    mut unconfirmed: Unconfirmed,
    offer: &Offer,
    due: Instant,
) -> Result<bool, Failure> {
    let mut out = pin!(out);
    let late = async {
        Timer::at(due).await;
        None
    };
    let result = match future::or(async { Some(out.as_mut().await) }, late).await {
        Some(result) => result,
        None => {
            let told = unconfirmed.tell().await;
            let notice = "The reader of standard output takes its time: the drop is whole here, and its sender has been \
                          told so.";
            match if told { ui.notice(notice).await } else { Ok(()) } {
                Ok(()) => out.await,
                failed => failed,
            }
        }
    };
    match result {
        Ok(()) => Ok(unconfirmed.confirm().await),
        Err(failure) => Err(keep(ui, failure, unconfirmed, offer.token).await),
    }
}

/// Warns if the sender of a drop that is here could not be told.
pub(super) async fn warn_unconfirmed(ui: &Ui, confirmed: bool) -> Result<(), Failure> {
    if confirmed {
        return Ok(());
    }
    ui.show(&Event::Warning {
        code: "unconfirmed",
        message: "the drop is here, but its sender could not be told: it may say that nobody confirmed",
    })
    .await
}

/// Warns if others can reach what was received. It was made for its owner only, which some file systems do not know.
pub(super) async fn warn_exposed(ui: &Ui, paths: &[PathBuf]) -> Result<(), Failure> {
    let exposed = |path: &&PathBuf| platform::access_at(path).is_ok_and(|access| access.exposed);
    let Some(path) = paths.iter().find(exposed) else { return Ok(()) };
    let message = format!(
        "others can read {}: its file system may have no modes, so move it to one that has",
        path.display()
    );
    ui.show(&Event::Warning { code: "readable-by-others", message: &message }).await
}

/// Keeps a drop that could not be put out, because nobody else can have it any more.
async fn keep(ui: &Ui, failure: Failure, unconfirmed: Unconfirmed, token: Token) -> Failure {
    match unconfirmed.keep().await {
        Ok(kept) => resume::kept(ui, failure, &kept, token).await,
        Err(error) => {
            let message = format!(
                "{}; the drop could not be kept either ({error}): its sender still has it, and says in the end that \
                 nobody confirmed it",
                failure.message
            );
            Failure { message, ..failure }
        }
    }
}
