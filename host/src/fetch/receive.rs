//! From a claimed drop to one that is stored, whole, and confirmed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::session::ClientEvent;
use deaddrop_core::token::FetchId;
use deaddrop_core::token::Token;
use event_listener::Event;

use super::connection::ClientConnection;
use super::error::{ConnectionError, FetchError, ReceiveError};
use crate::clock;
use crate::files::save::{Destination, Finished, Incoming, SaveError};
use crate::files::source::MESSAGE_MAX;
use crate::stop::Stopper;

/// How long the confirmation of a whole drop may take in all.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);
/// How long one connection may take over it before another is tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the confirmation may take in all once a [`Stopper`] was used.
const COMMIT_WITHIN_STOPPED: Duration = Duration::from_millis(800);
/// Drops of up to this many bytes are synced on the connection's own thread.
const QUICK: u64 = 8 * 1024 * 1024;

/// Makes room for the drop, unless it is more or other than its kind may be.
pub(crate) fn make_room(destination: &Destination, offer: &Offer) -> Result<Incoming, ReceiveError> {
    match offer.kind {
        Kind::Message if offer.size > MESSAGE_MAX as u64 => {
            Err(FetchError::MessageTooLong(offer.size).into())
        }
        Kind::Message | Kind::File => Ok(Incoming::create(destination, &offer.name, offer.size)?),
        kind => Err(FetchError::Unsupported(kind).into()),
    }
}

/// Receives the claimed drop into `incoming`, until it is whole and durable. Gives the claim up if that fails; from then
/// on nobody else can have the drop, and a [`Stopper`] only shortens the confirmation.
pub(crate) async fn receive(
    connection: &mut ClientConnection,
    incoming: Incoming,
) -> Result<Finished, ReceiveError> {
    let incoming = match receive_records(connection, incoming).await {
        Ok(incoming) => incoming,
        Err(error) => {
            connection.release().await;
            return Err(error);
        }
    };
    connection.ignore_stop();
    Ok(make_durable(connection, incoming).await?)
}

/// Confirms a drop that is whole and durable: true if the sender has noted that. If not, the drop is here all the same.
///
/// `reconnect` opens another connection to the same sender, handshake included. It waits before it does, so that a
/// sender that is gone is not asked without pause.
pub(crate) async fn commit<F>(
    connection: ClientConnection,
    token: Token,
    id: FetchId,
    reconnect: impl Fn() -> F,
    stop: &Stopper,
) -> bool
where
    F: Future<Output = Result<ClientConnection, ConnectionError>>,
{
    let started = clock::now();
    let deadline = || started + if stop.is_stopped() { COMMIT_WITHIN_STOPPED } else { COMMIT_WITHIN };
    let mut connected = Ok(connection);
    loop {
        if let Ok(connection) = &mut connected
            && let Ok(()) = connection.session.commit(clock::now(), token, id)
        {
            let answer_by = clock::now() + ANSWER_WITHIN;
            match connection.next_by(|| deadline().min(answer_by)).await {
                Ok(ClientEvent::Burned) => {
                    connection.close();
                    return true;
                }
                // The sender knows no more of the claim: there is nothing left to confirm.
                Ok(_) => return false,
                Err(_) => {}
            }
        }
        if deadline() <= clock::now() {
            return false;
        }
        connected = reconnect().await;
    }
}

async fn receive_records(
    connection: &mut ClientConnection,
    mut incoming: Incoming,
) -> Result<Incoming, ReceiveError> {
    if let Some(writer) = incoming.writer() {
        let advance = |bytes| {
            incoming.advance(bytes);
            incoming.stored()
        };
        match connection.receive_bulk(writer, advance).await? {
            Some(ClientEvent::Refused(code)) => return Err(code.into()),
            Some(_) => return Err(FetchError::wrong_answer().into()),
            None => {}
        }
    }
    loop {
        if connection.session.needs_ready() {
            incoming.reserve_tail(connection.session.final_len().unwrap_or(0).into())?;
            connection
                .session
                .ready(clock::now())
                .map_err(|error| FetchError::Protocol(error.to_string()))?;
        }
        match connection.next().await? {
            ClientEvent::Data { len } => {
                incoming.append(connection.bytes(len))?;
                connection.report(incoming.stored());
            }
            ClientEvent::Final { len } => {
                incoming.append(connection.bytes(len))?;
                connection.report(incoming.stored());
                return Ok(incoming);
            }
            ClientEvent::Refused(code) => return Err(code.into()),
            ClientEvent::Filler => {}
            _ => return Err(FetchError::wrong_answer().into()),
        }
    }
}

/// Makes the drop durable under its name. The claim is kept alive while that takes its time.
async fn make_durable(connection: &mut ClientConnection, incoming: Incoming) -> Result<Finished, SaveError> {
    if incoming.size() <= QUICK {
        return incoming.finish();
    }
    let (done, result) = async_channel::bounded(1);
    let notify = NotifyOnDrop(connection.notify().clone());
    let worker = std::thread::spawn(move || {
        // Dropped after `done`, so that the connection finds either a result or a closed channel.
        let _notify = notify;
        let done = done;
        let _ = done.try_send(incoming.finish());
    });
    // If the connection breaks, the confirmation goes over another one.
    let _ = connection.keep_while(|| result.is_empty() && !result.is_closed()).await;
    let finished = result.recv().await;
    let _ = worker.join();
    finished.unwrap_or(Err(SaveError::Bug))
}

/// Notifies when dropped.
struct NotifyOnDrop(Arc<Event>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify(usize::MAX);
    }
}
