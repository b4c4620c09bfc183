//! From a claimed drop to one that is here, whole, and confirmed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::session::ClientEvent;
use event_listener::Event;

use super::claim::{Claim, Refusal};
use crate::clock;
use crate::exit::Failure;
use crate::files::receive::{Destination, Finished, Incoming};
use crate::files::source::MESSAGE_MAX;
use crate::net::link::Link;
use crate::pump::{ClientPump, PumpError};
use crate::stop::Stop;

/// How long the confirmation of a whole drop may take before we end without it.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);
/// How long one connection may take over it, before another is tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long all of it may take when a signal asks us to end.
const COMMIT_WITHIN_STOPPED: Duration = Duration::from_millis(800);
/// Up to this many bytes are made durable in passing.
const QUICK: u64 = 8 * 1024 * 1024;

/// Why a claimed drop is not here.
pub(crate) enum Broken {
    /// The sender's doing: another try may help.
    Refused(Refusal),
    /// Ours: it will not.
    Failed(Failure),
}

impl From<PumpError> for Broken {
    fn from(e: PumpError) -> Self {
        match e {
            PumpError::Stopped(failure) | PumpError::Unstored(failure) => Self::Failed(failure),
            e => Self::Refused(e.into()),
        }
    }
}

/// Makes room for the drop, unless it is not what a drop of its kind may be.
pub(crate) fn make_room(destination: &Destination, offer: &Offer, shown: bool) -> Result<Incoming, Failure> {
    match offer.kind {
        Kind::Message if offer.size > MESSAGE_MAX as u64 => Err(Failure::failed(format!(
            "the sender calls {} bytes a message, and a message has at most {MESSAGE_MAX}: nothing was taken",
            offer.size
        ))),
        Kind::Message if shown => Incoming::create(&Destination::Stdout, &offer.name, offer.size),
        Kind::Message | Kind::File => Incoming::create(destination, &offer.name, offer.size),
        kind => Err(Failure::failed(format!(
            "the drop is a {kind}, which this version cannot save: update deaddrop on this side"
        ))),
    }
}

/// Receives the drop into `incoming`, gives it to `deliver` once it is whole and durable, and confirms it.
///
/// True if the sender has noted that. If not, the drop is here all the same.
///
/// `reconnect` opens another handshaken connection to the same sender, for the confirmation alone; it takes
/// its time over that, so that a sender that is not there is not asked without pause.
pub(crate) async fn receive<'a, L, F>(
    claim: Claim<'a, L>,
    incoming: Incoming,
    deliver: impl FnOnce(Finished) -> Result<(), Failure>,
    reconnect: impl Fn() -> F,
    stop: Option<&Stop>,
) -> Result<bool, Broken>
where
    L: Link,
    F: Future<Output = Result<ClientPump<'a, L>, Refusal>>,
{
    let Claim { mut pump, id, offer } = claim;
    let token = offer.token;
    let incoming = match take_in(&mut pump, incoming).await {
        Ok(incoming) => incoming,
        Err(broken) => {
            pump.release().await;
            return Err(broken);
        }
    };
    // From here on the drop is ours: nobody else can have it, and a signal only hurries us.
    pump.ignore_stop();
    let finished = make_durable(&mut pump, incoming).await?;
    deliver(finished).map_err(Broken::Failed)?;

    let started = clock::now();
    let deadline = || {
        let stopped = stop.is_some_and(|stop| stop.asked().is_some());
        started + if stopped { COMMIT_WITHIN_STOPPED } else { COMMIT_WITHIN }
    };
    let mut connected = Ok(pump);
    loop {
        if let Ok(pump) = &mut connected
            && let Ok(()) = pump.session.commit(clock::now(), token, id)
        {
            let answer_by = clock::now() + ANSWER_WITHIN;
            match pump.next_by(|| deadline().min(answer_by)).await {
                Ok(ClientEvent::Burned) => {
                    pump.close();
                    return Ok(true);
                }
                // It knows no more of the claim: there is nothing left to confirm.
                Ok(_) => return Ok(false),
                Err(_) => {}
            }
        }
        if deadline() <= clock::now() {
            return Ok(false);
        }
        connected = reconnect().await;
    }
}

async fn take_in<L: Link>(pump: &mut ClientPump<'_, L>, mut incoming: Incoming) -> Result<Incoming, Broken> {
    if let Some(shelf) = incoming.shelf() {
        let advance = |bytes| {
            incoming.advance(bytes);
            incoming.stored()
        };
        match pump.take_in(shelf, advance).await? {
            Some(ClientEvent::Refused(code)) => return Err(Broken::Refused(code.into())),
            Some(_) => {
                return Err(Broken::Refused(Refusal::Broken("the sender answered another question".into())));
            }
            None => {}
        }
    }
    loop {
        if pump.session.needs_ready() {
            incoming.reserve_tail(pump.session.final_len().unwrap_or(0).into()).map_err(Broken::Failed)?;
            pump.session.ready(clock::now()).map_err(|e| Broken::Refused(Refusal::Broken(e.to_string())))?;
        }
        match pump.next().await? {
            ClientEvent::Data { len } => {
                incoming.append(pump.bytes(len)).map_err(Broken::Failed)?;
                pump.stored(incoming.stored());
            }
            ClientEvent::Final { len } => {
                incoming.append(pump.bytes(len)).map_err(Broken::Failed)?;
                pump.stored(incoming.stored());
                return Ok(incoming);
            }
            ClientEvent::Refused(code) => return Err(Broken::Refused(code.into())),
            ClientEvent::Filler => {}
            _ => return Err(Broken::Refused(Refusal::Broken("the sender answered another question".into()))),
        }
    }
}

/// Makes the drop durable under its name; the claim is kept alive while that takes its time.
async fn make_durable<L: Link>(pump: &mut ClientPump<'_, L>, incoming: Incoming) -> Result<Finished, Broken> {
    if incoming.size() <= QUICK {
        return incoming.finish().map_err(Broken::Failed);
    }
    let (done, result) = async_channel::bounded(1);
    let knock = pump.knock().clone();
    let work = std::thread::spawn(move || {
        // Rings once there is a result, or will never be one.
        let _knock = Ring(knock);
        let done = done;
        let _ = done.try_send(incoming.finish());
    });
    // If the connection breaks the confirmation goes over another one.
    let _ = pump.keep_while(|| result.is_empty() && !result.is_closed()).await;
    let finished = result.recv_blocking();
    let _ = work.join();
    finished
        .unwrap_or_else(|_| Err(Failure::failed("saving the drop went wrong: this is a fault of deaddrop")))
        .map_err(Broken::Failed)
}

/// Rings when dropped.
struct Ring(Arc<Event>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.notify(usize::MAX);
    }
}
