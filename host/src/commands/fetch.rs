//! `deaddrop fetch`: take a drop.

mod choose;
mod direct;
mod search;

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_core::token::{FetchId, TokenPrefix};
use smol::{LocalExecutor, Timer, future};
use zeroize::Zeroizing;

use super::{ask_around, derive, warn_weak};
use crate::cli::NetArgs;
use crate::discover::Asking;
use crate::exit::Failure;
use crate::fetch::{Broken, Claim, Refusal, make_room, receive};
use crate::files::receive::{Destination, Finished};
use crate::look::shake_hands;
use crate::member::Member;
use crate::net::link::SmolLink;
use crate::stop::Stop;
use crate::ui::{Content, Event, Ui};
use crate::{clock, random::system};

/// How long a new connection for the confirmation may take when a signal asks us to end.
const RECONNECT_STOPPED: Duration = Duration::from_millis(500);

/// What to fetch, and where to.
pub(crate) struct Job {
    /// The sender, if it was named.
    pub(crate) sender: Option<(Ipv4Addr, Option<u16>)>,
    /// The drop, if it was named.
    pub(crate) token: Option<TokenPrefix>,
    /// Where to save it.
    pub(crate) out: Option<PathBuf>,
    /// How long to look and to retry.
    pub(crate) wait: Duration,
    /// What all commands share.
    pub(crate) net: NetArgs,
    /// The room.
    pub(crate) passphrase: Zeroizing<String>,
}

/// Where the drop is to come from.
#[allow(clippy::large_enum_variant, reason = "one in each process, never in a collection")]
enum Whereabouts<'e> {
    /// From this address, and if it was said this port.
    Named(Ipv4Addr, Option<u16>),
    /// From whoever answers.
    Sought(Asking<'e>),
}

/// What the ways to a sender have in common.
struct Seeking<'a> {
    executor: &'a LocalExecutor<'static>,
    ui: &'a Ui,
    stop: &'a Stop,
    member: Rc<Member>,
    id: FetchId,
    job: &'a Job,
    until: deaddrop_core::time::Instant,
}

/// Takes the drop.
pub(crate) async fn fetch(
    executor: &LocalExecutor<'static>,
    ui: &Ui,
    stop: &Stop,
    mut job: Job,
) -> Result<(), Failure> {
    warn_weak(ui, &job.passphrase)?;
    let destination = Destination::resolve(job.out.as_deref())?;
    let deriving = derive(std::mem::take(&mut job.passphrase));
    let source = match job.sender {
        Some((ip, port)) => Whereabouts::Named(ip, port),
        // Answers come while the secret is derived.
        None => Whereabouts::Sought(ask_around(executor, ui, &job.net)?),
    };
    let room = future::or(deriving, async { Err(stop.wait().await) }).await?;
    let member = Rc::new(Member::new(&room, None));
    drop(room);
    let until = clock::now() + job.wait;
    let seeking = Seeking {
        executor,
        ui,
        stop,
        member: member.clone(),
        id: FetchId::random(&mut system()),
        job: &job,
        until,
    };
    let claim = match (source, &job.token) {
        (Whereabouts::Named(ip, port), Some(token)) => {
            direct::claim_from(&seeking, &member, ip, port, token).await?
        }
        (Whereabouts::Named(ip, port), None) => search::claim_listed(&seeking, &member, ip, port).await?,
        (Whereabouts::Sought(asking), _) => {
            search::claim_discovered(&seeking, &member, asking.join(member.clone())).await?
        }
    };
    take(ui, stop, &member, &job, &destination, claim).await
}

/// Receives a claimed drop, shows it, and confirms it.
async fn take(
    ui: &Ui,
    stop: &Stop,
    member: &Member,
    job: &Job,
    destination: &Destination,
    mut claim: Claim<'_, SmolLink>,
) -> Result<(), Failure> {
    // A message is shown, unless a file was named for it.
    let shown = claim.offer.kind == Kind::Message && (job.out.is_none() || destination.is_stdout());
    let sender = claim.pump.peer().map_err(|e| Failure::unreachable(e.to_string()))?;
    let offer = claim.offer.clone();
    // What is taken, in the words of its sender, before anything of it is here.
    ui.taking(&Event::Offer {
        token: offer.token,
        from: sender,
        kind: offer.kind,
        name: &offer.name,
        size: offer.size,
        ttl: offer.ttl_left,
    })?;
    let incoming = match make_room(destination, &offer, shown) {
        Ok(incoming) => incoming,
        Err(failure) => {
            claim.pump.release().await;
            return Err(failure);
        }
    };
    let unshown = Cell::new(None);
    let deliver = |mut finished: Finished| {
        let content = match &mut finished {
            Finished::Saved(path) => Content::Saved(path),
            Finished::Spooled(spool) if shown => Content::Message(spool.in_memory().unwrap_or_default()),
            Finished::Spooled(spool) => {
                ui.copy_out(spool)?;
                Content::Written
            }
        };
        let saved = matches!(content, Content::Saved(_));
        let (token, kind, name, size) = (offer.token, offer.kind, &offer.name, offer.size);
        match ui.show(&Event::Received { token, kind, name, size, content }) {
            // The file is there all the same, and its sender is told so.
            Err(failure) if saved => {
                unshown.set(Some(failure));
                Ok(())
            }
            shown => shown,
        }
    };
    let reconnect = || async {
        Timer::after(Duration::from_millis(100)).await;
        let connected = async {
            let link = SmolLink::connect(sender, None).await.map_err(|e| Refusal::Nobody(e.to_string()))?;
            Ok(shake_hands(link.woken_by(stop), member, None, None).await?)
        };
        // A sender that is as good as gone does not keep us once a signal has come.
        let hurried = async {
            stop.wait().await;
            Timer::after(RECONNECT_STOPPED).await;
            Err(Refusal::Nobody("no answer in time".into()))
        };
        future::or(connected, hurried).await
    };
    match receive(claim, incoming, deliver, reconnect, Some(stop)).await {
        Ok(true) => {}
        Ok(false) => ui.show(&Event::Warning {
            code: "unconfirmed",
            message: "the drop is here, but its sender could not be told: it may say that nobody confirmed",
        })?,
        Err(Broken::Failed(failure)) => return Err(failure),
        Err(Broken::Refused(refusal)) => return Err(refusal.failure_half_way()),
    }
    match unshown.take().or_else(|| stop.asked()) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
