//! Takes one drop from a sender: core's `Fetch` decides, this connects, stores and waits.

mod connecting;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use deaddrop_core::exchange::fetch::Pace;
use deaddrop_core::exchange::{Fetch, FetchError as CoreError, Step, Wanted};
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance};
use deaddrop_core::wire::Attributes;
use smol::future;

use super::bulk::receive_bulk;
use super::connection::ClientConnection;
use super::credentials::Credentials;
use super::error::{ConnectionError, FetchError, ReceiveError};
use super::leads::Leads;
use super::persist::persist;
use super::progress::{Counters, FetchProgress};
use crate::files::save::{Claimed, Kept, Leftover, SaveError, Unplaced};
use crate::files::target::{Finished, Target};
use crate::stop::Stopper;
use crate::transport::link::Route;
use crate::transport::socket::sleep_until;
use crate::{clock, random::system};

/// A drop on its way from one sender, over as many connections as it takes.
///
/// Dropping it gives the claim back, as far as that goes without waiting.
pub(crate) struct Transfer {
    fetch: Fetch,
    id: FetchId,
    /// The ways to the sender, the one by which it was reached last first.
    routes: Vec<Route>,
    /// Where it was reached last; before that, where it is tried first.
    sender: SocketAddr,
    /// Whether a connection was open.
    reached: bool,
    /// The process that should answer, if its beacon was heard.
    expected: Option<Instance>,
    connection: Option<ClientConnection>,
    credentials: Arc<Credentials>,
    stopper: Stopper,
    /// How the network failed last, for the text of an error.
    network_error: Option<String>,
    pace: Pace,
    /// The bulk pipeline was tried on this connection.
    bulk_tried: bool,
    /// How connections with a claim were lost, once each, while others are tried.
    losses: (Sender<String>, Receiver<String>),
    /// The latest loss has been told.
    loss_told: bool,
    counters: Arc<Counters>,
    leads: Arc<Leads>,
    /// What the latest `begin` says of the file.
    attributes: Option<Attributes>,
    /// What an earlier process has stored: where it ends, and its digest.
    prefix: Option<(u64, [u8; 32])>,
}

/// Why a claimed drop is not where it was to go, and what is kept of it.
#[derive(Debug)]
pub(crate) struct Unreceived {
    pub(crate) error: ReceiveError,
    pub(crate) kept: Option<Kept>,
}

/// In place of an address where there is none.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Routes that are tried. What is found later goes before what is known.
const ROUTES: usize = 16;
/// Losses that may wait to be read. More of them say nothing new.
const LOSSES: usize = 4;

impl Transfer {
    /// A transfer under `id` from the sender at the end of these routes, which tries for the claim until `give_up`, once
    /// at least.
    pub(crate) fn new(
        routes: Vec<Route>,
        expected: Option<Instance>,
        wanted: Wanted,
        id: FetchId,
        give_up: Instant,
        credentials: &Arc<Credentials>,
        stopper: &Stopper,
    ) -> Self {
        let leads = Arc::new(Leads::default());
        leads.set_routes(&routes);
        Self {
            fetch: Fetch::new(&HOST, id, wanted, give_up),
            id,
            sender: routes.first().map_or(NOWHERE, |route| route.to),
            routes,
            reached: false,
            expected,
            connection: None,
            credentials: credentials.clone(),
            stopper: stopper.clone(),
            network_error: None,
            pace: Pace::default(),
            bulk_tried: false,
            losses: bounded(LOSSES),
            loss_told: false,
            counters: Arc::default(),
            leads,
            attributes: None,
            prefix: None,
        }
    }

    /// Goes on after what an earlier process has stored: so many bytes, of this digest. `wanted` and `give_up` are those
    /// that it was made with.
    pub(crate) fn resuming(mut self, wanted: Wanted, give_up: Instant, prefix: (u64, [u8; 32])) -> Self {
        self.fetch = Fetch::new(&HOST, self.id, wanted, give_up).with_stored(prefix.0);
        self.prefix = Some(prefix);
        self
    }

    /// The same if an earlier process has stored all of it: only the confirmation is left.
    pub(crate) fn of_whole(mut self, wanted: Wanted) -> Self {
        self.fetch = Fetch::new(&HOST, self.id, wanted, clock::now()).with_whole();
        self
    }

    /// What the record of the claimed drop says.
    pub(crate) fn claimed<'a>(&'a self, offer: &'a Offer) -> Claimed<'a> {
        Claimed { offer, id: &self.id, from: self.sender, attributes: self.attributes }
    }

    /// From which byte on the drop comes.
    pub(crate) fn stored(&self) -> u64 {
        self.fetch.stored()
    }

    /// Receives how each connection was lost that is being replaced.
    pub(crate) fn losses(&self) -> Receiver<String> {
        self.losses.1.clone()
    }

    /// Counts what is here from an earlier fetch.
    pub(crate) fn count_resumed(&self, stored: u64) {
        self.counters.begin(stored);
    }

    /// How far it has come, of so many bytes.
    pub(crate) fn progress(&self, size: u64) -> FetchProgress {
        FetchProgress::new(&self.counters, size)
    }

    /// Tells what looks for the sender where it was reached, and takes what is found.
    pub(crate) fn leads(&self) -> Arc<Leads> {
        self.leads.clone()
    }

    /// Where the drop comes from.
    pub(crate) fn sender(&self) -> SocketAddr {
        self.sender
    }

    /// The same once a connection was open.
    pub(crate) fn reached(&self) -> Option<SocketAddr> {
        self.reached.then_some(self.sender)
    }

    /// The drop, once it is known which.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.fetch.offer()
    }

    /// Claims the drop.
    pub(crate) async fn claim(&mut self) -> Result<(), FetchError> {
        match self.run(None).await {
            Ok(Step::Failed(error)) => Err(self.error(error)),
            Ok(_) => Ok(()),
            // Nothing is stored yet.
            Err(error) => Err(FetchError::Protocol(error.to_string())),
        }
    }

    /// Receives the claimed drop into `incoming`, until it is whole and durable. From then on nobody else can have it.
    ///
    /// If that fails, what is kept of it is durable, as far as that took no longer than [`LEAVE_WITHIN`].
    pub(crate) async fn receive(&mut self, mut incoming: Target) -> Result<(Finished, Leftover), Unreceived> {
        self.counters.count(&incoming);
        // A target that an earlier process began was opened before `begin` came.
        incoming.set_attributes(self.attributes);
        if !incoming.is_whole() {
            let error = match self.run(Some(&mut incoming)).await {
                Ok(Step::Persist) => None,
                Ok(Step::Failed(error)) => Some(self.error(error).into()),
                Ok(step) => Some(FetchError::Protocol(format!("unexpected step {step:?}")).into()),
                Err(error) => Some(error.into()),
            };
            if let Some(error) = error {
                return Err(leave(incoming, error).await);
            }
        }
        match persist(&mut self.fetch, &mut self.connection, incoming).await {
            Ok(finished) => Ok(finished),
            Err(Unplaced { error, kept, leftover }) => {
                let whole = kept.as_ref().is_some_and(Kept::is_whole);
                if whole {
                    // Every byte is durable, though not under its name: its sender need not hold it any longer.
                    if self.confirm().await {
                        leftover.note_told();
                    }
                } else {
                    self.release().await;
                }
                Err(Unreceived { error: error.into(), kept })
            }
        }
    }

    /// Confirms a drop that is whole and durable: true if the sender has noted that.
    pub(crate) async fn confirm(&mut self) -> bool {
        let session = self.connection.as_mut().map(|connection| &mut connection.session);
        // Not asked for unless the drop was received, and then there is nothing to confirm.
        self.fetch.persisted(clock::now(), session).is_ok()
            && matches!(self.run(None).await, Ok(Step::Done { confirmed: true }))
    }

    /// Gives the claim up and closes, so that the sender need not wait for the lease to lapse.
    pub(crate) async fn release(&mut self) {
        self.cancel();
        // Whatever comes of it, it has ended.
        let _ = self.run(None).await;
    }

    fn cancel(&mut self) {
        let session = self.connection.as_mut().map(|connection| &mut connection.session);
        self.fetch.cancel(session);
    }

    fn session(&self) -> Option<&ClientSession> {
        self.connection.as_ref().map(|connection| &connection.session)
    }

    /// Does what the fetch asks for, until the caller has to decide: with `incoming` that is once the drop is whole,
    /// without once it is claimed; or once the fetch has ended.
    async fn run(&mut self, mut incoming: Option<&mut Target>) -> Result<Step, SaveError> {
        let mut failed = None;
        loop {
            let now = clock::now();
            self.keep_time(now, incoming.as_deref().is_some_and(Target::keeps));
            self.follow_lead(now);
            let step = self.fetch.poll_step(self.session());
            let streams = self.fetch.is_claimed() && !self.fetch.is_whole();
            let result = match step {
                Step::Drive | Step::Reserve { .. } if incoming.is_none() && streams => return Ok(step),
                Step::Persist | Step::Done { .. } | Step::Failed(_) => return failed.map_or(Ok(step), Err),
                Step::Connect => {
                    self.connect(incoming.as_deref()).await;
                    Ok(())
                }
                Step::Wait(until) => {
                    if streams {
                        self.tell_loss();
                    }
                    self.wait(until).await;
                    Ok(())
                }
                Step::Close(how) => {
                    if let Some(connection) = self.disconnect() {
                        connection.close(how, !self.fetch.is_whole()).await;
                    }
                    self.fetch.handle_closed(clock::now());
                    Ok(())
                }
                // The caller looks at the offer once it is claimed.
                Step::Approve => {
                    if let Some(connection) = &mut self.connection {
                        // Cannot be out of turn: asked for.
                        let _ = self.fetch.approve(now, &mut connection.session);
                    }
                    Ok(())
                }
                Step::Reserve { tail } => self.reserve(now, tail, incoming.as_deref_mut()),
                Step::Drive => self.drive(incoming.as_deref_mut()).await,
            };
            if let Err(error) = result {
                self.cancel();
                failed = Some(error);
            }
        }
    }

    /// Acts on the stopper and on the fetch's timeouts. `keeps`: what is here is kept for a later fetch.
    fn keep_time(&mut self, now: Instant, keeps: bool) {
        if keeps && self.stopper.is_stopped() && !self.fetch.is_whole() {
            // Without a release: the claim waits for the later fetch until its lease lapses.
            if let Some(connection) = self.connection.take() {
                connection.close_now(Close::Clean);
            }
            self.fetch.cancel(None);
        }
        let mut session = self.connection.as_mut().map(|connection| &mut connection.session);
        if self.stopper.is_stopped() {
            self.fetch.interrupt(now, session.as_deref_mut());
        }
        if self.fetch.poll_timeout().is_some_and(|at| at <= now) {
            self.fetch.handle_timeout(now, session.as_deref_mut(), &mut system());
        }
        if let Some(session) = session {
            self.fetch.judge_pace(now, &mut self.pace, session, &mut system());
        }
    }

    /// Tells once that the connection was lost, and another is being tried.
    fn tell_loss(&mut self) {
        if !std::mem::replace(&mut self.loss_told, true) {
            let how = self.network_error.clone().unwrap_or_else(|| "it was closed".into());
            // Nobody has to read it.
            let _ = self.losses.0.try_send(how);
        }
    }

    /// Tries what can still fail here before nobody else can have the drop.
    fn reserve(&mut self, now: Instant, tail: u32, incoming: Option<&mut Target>) -> Result<(), SaveError> {
        if let Some(incoming) = incoming {
            incoming.reserve_tail(tail.into())?;
        }
        if let Some(connection) = &mut self.connection {
            // Cannot be out of turn: asked for.
            let _ = self.fetch.ready(now, &mut connection.session);
        }
        Ok(())
    }

    /// Drives the connection until something has happened.
    async fn drive(&mut self, incoming: Option<&mut Target>) -> Result<(), SaveError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let result = match incoming {
            Some(incoming) if connection.session.data_records() > 0 && !self.bulk_tried => {
                self.bulk_tried = true;
                let (pace, counters) = (&mut self.pace, &*self.counters);
                let leads = &self.leads;
                receive_bulk(&mut self.fetch, connection, incoming, pace, counters, leads, &self.stopper)
                    .await
            }
            incoming => {
                let attributes = &mut self.attributes;
                drive_one(&mut self.fetch, connection, incoming, &self.counters, attributes).await
            }
        };
        if connection.session.is_confirmed()
            && let Some(instance) = connection.instance
        {
            self.leads.set_sender(instance);
        }
        match result {
            Ok(()) => Ok(()),
            Err(ConnectionError::Save(error)) => Err(error),
            Err(error) => {
                self.note(&error);
                let error =
                    if let ConnectionError::Session(error) = error { error } else { ClientError::Reset };
                self.fetch.handle_error(clock::now(), error, &mut system());
                Ok(())
            }
        }
    }

    /// Remembers how the network failed: the system says it better than the session.
    fn note(&mut self, error: &ConnectionError) {
        self.network_error =
            if let ConnectionError::Io(error) = error { Some(error.to_string()) } else { None };
    }

    /// Why the fetch failed, for the caller.
    fn error(&self, error: CoreError) -> FetchError {
        let network = || self.network_error.clone();
        let error = match error {
            CoreError::Canceled => FetchError::Stopped,
            CoreError::Unreachable => {
                FetchError::Unreachable(network().unwrap_or_else(|| "no answer in time".into()))
            }
            CoreError::Session(ClientError::Reset) if let Some(network) = network() => {
                FetchError::Unreachable(network)
            }
            CoreError::Session(error) => error.into(),
            CoreError::Refused(code) => code.into(),
            CoreError::Ambiguous => FetchError::Ambiguous,
            error => FetchError::Protocol(error.to_string()),
        };
        if self.fetch.is_claimed() { error.after_claim() } else { error }
    }
}

/// One turn of the connection, and what came of it.
async fn drive_one(
    fetch: &mut Fetch,
    connection: &mut ClientConnection,
    incoming: Option<&mut Target>,
    counters: &Counters,
    attributes: &mut Option<Attributes>,
) -> Result<(), ConnectionError> {
    let Some(event) = connection.turn(fetch.poll_timeout()).await? else { return Ok(()) };
    let now = clock::now();
    let begins = matches!(event, ClientEvent::Begin(_));
    if matches!(&event, ClientEvent::Begin(begin) if begin.kind == Kind::File) {
        *attributes = connection.attributes()?;
    }
    let chunk = fetch.handle_event(now, &mut connection.session, event, &mut system());
    let Some(incoming) = incoming else { return Ok(()) };
    if begins && fetch.is_claimed() {
        // Both sides have agreed from where the stream goes on.
        incoming.rewind(fetch.stored());
        incoming.set_attributes(*attributes);
        counters.count(incoming);
    }
    if let Some(chunk) = chunk {
        incoming.append(connection.bytes(chunk.len)).map_err(ConnectionError::Save)?;
        counters.count(incoming);
        fetch.handle_stored(now, incoming.stored());
        if !fetch.is_whole() {
            incoming.checkpoint().map_err(ConnectionError::Save)?;
        }
    }
    Ok(())
}

/// How long what is kept is given to become durable: what is not by then is fetched again.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Ends a drop that could not be received, and says what is kept of it.
async fn leave(mut incoming: Target, error: ReceiveError) -> Unreceived {
    let over =
        matches!(error, ReceiveError::Fetch(FetchError::Gone | FetchError::Expired | FetchError::Changed));
    if over && !incoming.is_resumed() {
        // Nobody can have the rest of it.
        incoming.discard();
        return Unreceived { error, kept: None };
    }
    let synced = incoming.sync();
    let done = async {
        // It is closed at the end.
        let _ = synced.recv().await;
    };
    future::or(done, sleep_until(clock::now() + LEAVE_WITHIN)).await;
    Unreceived { error, kept: incoming.kept() }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.cancel();
        if let Some(connection) = self.connection.take() {
            let how = if let Step::Close(how) = self.fetch.poll_step(None) { how } else { Close::Reset };
            connection.close_now(how);
        }
    }
}

#[cfg(test)]
mod tests;
