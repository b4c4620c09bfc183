//! Fetches one drop, over as many connections as it takes, and posts one event about the outcome.

mod error;
mod receive;
mod target;

use core::pin::pin;
use core::time::Duration;

use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::token::{FetchId, Token};
use embassy_net::tcp::TcpSocket;

use super::client_connection::{ClientConnection, connect};
use super::clock;
use super::liveness::Task;
use super::outlined::Outlined;
use super::state::AppState;
use crate::mailbox::{CommandError, Event, FetchRequest};
use crate::store::Slot;
use error::AttemptError;
use receive::{Reservation, receive};
use target::Target;

/// How long one connection may last: as long as a app needs that sends the whole store at the least rate.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to retry a sender that cannot be reached.
const REACH_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to retry after a connection with a claim on it broke.
const RESUME_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause between attempts.
const RETRY_AFTER: Duration = Duration::from_millis(300);
/// How long to try to confirm a complete drop, before it counts as received without.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one connection may take to confirm, before another is tried.
const BURNED_TIMEOUT: Duration = Duration::from_secs(2);

/// Fetches the drop and replies to the command.
pub(super) async fn fetch(app: &AppState, socket: &mut TcpSocket<'static>, request: &FetchRequest) {
    // Borrowed below, not moved out of the result: the future would hold it twice.
    let mut target = Target::find(app, request);
    let result = match &mut target {
        Ok(target) => attempts(app, socket, request, target).await,
        Err(why) => Err(*why),
    };
    let token = target.as_ref().ok().and_then(Target::token);
    let event = match result {
        Ok((token, slot)) => Event::Received { token, slot },
        Err(why) => Event::Failed { token: token.or(request.token.whole()), why },
    };
    app.reply(event).await;
}

/// Tries until the drop is received and confirmed, or no attempt can succeed.
async fn attempts(
    app: &AppState,
    socket: &mut TcpSocket<'static>,
    request: &FetchRequest,
    target: &mut Target,
) -> Result<(Token, Slot), CommandError> {
    let mut reservation = Reservation::new(app);
    // One id for all attempts: it tells the sender that the claim is ours.
    let id = FetchId::random(&mut app.tables.borrow_mut().rng);
    let mut give_up = clock::now() + REACH_TIMEOUT;
    let mut received = None;
    loop {
        let before = (received.is_some(), reservation.is_claimed());
        let attempted = attempt(app, socket, request, target, &mut reservation, id, &mut received).await;
        let now = clock::now();
        give_up = match (received.is_some(), reservation.is_claimed()) {
            same if same == before => give_up,
            (true, _) => now + COMMIT_TIMEOUT,
            (false, _) => now + RESUME_TIMEOUT,
        };
        match (attempted, received) {
            (Ok(()), Some(received)) => return Ok(received),
            // Received all the same, although the sender did not confirm.
            (_, Some(received)) if give_up <= now => return Ok(received),
            (Err(AttemptError::Final(why)), None) => return Err(why),
            (Err(AttemptError::Retry(why)), None) if give_up <= now => return Err(why),
            (Err(AttemptError::Retry(CommandError::Unreachable)), _) => target.use_other_address(app),
            _ => {}
        }
        app.context.liveness.check_in(Task::Client, now);
        clock::at(now + RETRY_AFTER).await;
    }
}

/// One connection: receives the drop, unless that is done, and confirms it.
async fn attempt(
    app: &AppState,
    socket: &mut TcpSocket<'static>,
    request: &FetchRequest,
    target: &mut Target,
    reservation: &mut Reservation<'_>,
    id: FetchId,
    received: &mut Option<(Token, Slot)>,
) -> Result<(), AttemptError> {
    if !app.context.is_online() {
        return Err(AttemptError::Retry(CommandError::NoNetwork));
    }
    let end = clock::now() + CONNECTION_TIMEOUT;
    if !connect(socket, target.sender, end).await {
        return Err(AttemptError::Retry(CommandError::Unreachable));
    }
    let mut client = ClientConnection::new(app, socket, target.sender, target.expected, end);
    client.handshake().await?;
    let mut result = Ok(());
    if received.is_none() {
        let receiving = pin!(receive(app, &mut client, request, target, reservation, id));
        result = Outlined::new(receiving).await.map(|drop| *received = Some(drop));
    }
    if let Some((token, _)) = *received
        && !confirm(&mut client, token, id).await
    {
        result = Err(AttemptError::Retry(CommandError::Client(ClientError::Silent)));
    }
    let how = match &result {
        Ok(()) => Close::Clean,
        Err(AttemptError::Final(_)) => client.release().await,
        Err(AttemptError::Retry(_)) => Close::Reset,
    };
    client.close(how).await;
    result
}

/// Confirms the complete drop, so that its sender burns it. False if no answer came.
async fn confirm(client: &mut ClientConnection<'_>, token: Token, id: FetchId) -> bool {
    client.end_by(clock::now() + BURNED_TIMEOUT);
    // A refusal counts too: a sender that no longer knows the claim has nothing left to burn.
    client.session.commit(clock::now(), token, id).is_ok()
        && matches!(client.next().await, Ok(ClientEvent::Burned | ClientEvent::Refused(_)))
}
