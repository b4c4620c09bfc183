//! Fetches one drop and posts one event about the outcome. Core's `Fetch` decides; this connects, stores and waits.

mod reservation;
mod target;

use core::pin::pin;
use core::time::Duration;

use deaddrop_core::exchange::{Fetch, FetchError, Step};
use deaddrop_core::offer::{Kind, Offer};
use deaddrop_core::session::{ClientError, ClientEvent};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Token};
use deaddrop_core::wire::ErrorCode;
use embassy_net::tcp::TcpSocket;
use zeroize::Zeroize;

use super::client_connection::{ClientConnection, connect};
use super::clock;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::outlined::Outlined;
use super::state::AppState;
use crate::PROFILE;
use crate::mailbox::{CommandError, Event, FetchRequest};
use crate::store::{Label, Slot};
use reservation::Reservation;
use target::Target;

/// How long to try for the claim, if the sender cannot be reached or is busy.
const REACH_TIMEOUT: Duration = Duration::from_secs(3);

/// Fetches the drop and replies to the command.
pub(super) async fn fetch(app: &AppState, socket: &mut TcpSocket<'static>, request: &FetchRequest) {
    let (token, result) = match Target::find(app, request) {
        Ok((target, wanted)) => {
            let id = FetchId::random(&mut app.tables.borrow_mut().rng);
            let fetch = Fetch::new(&PROFILE, id, wanted, clock::now() + REACH_TIMEOUT);
            let mut transfer =
                Transfer { app, target, fetch, reservation: Reservation::new(app), error: None };
            let result = Outlined::new(pin!(transfer.run(socket))).await;
            (transfer.fetch.offer().map(|offer| offer.token), result)
        }
        Err(why) => (None, Err(why)),
    };
    app.tables.borrow_mut().received = result.ok();
    let event = match result {
        Ok((token, slot)) => Event::Received { token, slot },
        Err(why) => Event::Failed { token: token.or(request.token.whole()), why },
    };
    app.reply(event).await;
}

/// A fetch with all that it needs of the board.
struct Transfer<'a> {
    app: &'a AppState,
    target: Target,
    fetch: Fetch,
    reservation: Reservation<'a>,
    /// Why the board gave the drop up, or what kept the last attempt from being made.
    error: Option<CommandError>,
}

impl Transfer<'_> {
    /// Does what the fetch asks for, until it ends.
    async fn run(&mut self, socket: &mut TcpSocket<'static>) -> Result<(Token, Slot), CommandError> {
        loop {
            self.app.context.liveness.check_in(Task::Client, clock::now());
            match self.fetch.poll_step(None) {
                Step::Connect => Outlined::new(pin!(self.connect(socket))).await,
                Step::Done { .. } => {
                    let received = self.fetch.offer().map(|offer| offer.token).zip(self.reservation.slot());
                    return received.ok_or(CommandError::Forgotten);
                }
                Step::Failed(error) => return Err(self.command_error(error)),
                step => {
                    // Without a connection there is nothing to do but wait.
                    let check_in = clock::now() + CHECK_IN_EVERY;
                    let until = if let Step::Wait(until) = step { until.min(check_in) } else { check_in };
                    clock::at(until).await;
                    self.handle_timeout();
                }
            }
        }
    }

    fn handle_timeout(&mut self) {
        self.fetch.handle_timeout(clock::now(), None, &mut self.app.tables.borrow_mut().rng);
    }

    /// One connection, from opening to closing it.
    async fn connect(&mut self, socket: &mut TcpSocket<'static>) {
        let online = self.app.context.is_online();
        self.error = (!online).then_some(CommandError::NoNetwork);
        if !online || !connect(socket, self.target.sender, self.fetch.poll_timeout()).await {
            self.fetch.handle_unreachable(clock::now(), &mut self.app.tables.borrow_mut().rng);
            self.handle_timeout();
            return self.target.use_other_address(self.app);
        }
        let digest = self.reservation.digest(self.fetch.resume_offset());
        self.fetch.handle_open(clock::now(), digest);
        let mut client = ClientConnection::new(self.app, socket, self.target.sender, self.target.expected);
        loop {
            let now = clock::now();
            match self.fetch.poll_step(Some(&client.session)) {
                Step::Drive => Outlined::new(pin!(self.drive(&mut client))).await,
                Step::Approve => self.approve(now, &mut client),
                // The space was reserved before the claim, and memory does not fail. Cannot be out of turn: asked for.
                Step::Reserve { .. } => self.fetch.ready(now, &mut client.session).unwrap_or_default(),
                Step::Persist => match self.reservation.complete() {
                    Ok(()) => self.fetch.persisted(now, Some(&mut client.session)).unwrap_or_default(),
                    Err(error) => self.give_up(error, &mut client),
                },
                Step::Close(how) => {
                    client.close(how).await;
                    return self.fetch.handle_closed(clock::now());
                }
                Step::Connect | Step::Wait(_) | Step::Done { .. } | Step::Failed(_) => return,
            }
        }
    }

    /// Waits for the sender's next event, or for the next timeout of the fetch.
    async fn drive(&mut self, client: &mut ClientConnection<'_>) {
        let next = client.next(self.fetch.poll_timeout()).await;
        self.handle(next, client);
    }

    /// Handles the message of this length, or the time-out if there is none.
    #[inline(never)]
    fn handle(&mut self, next: Result<Option<usize>, ClientError>, client: &mut ClientConnection<'_>) {
        let event = match next {
            // Without an event the session goes on by itself, and nothing is due.
            Ok(Some(len)) => client.handle_message(len),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.handle_event(event, client);
    }

    #[inline(never)]
    fn handle_event(
        &mut self,
        event: Result<Option<ClientEvent>, ClientError>,
        client: &mut ClientConnection<'_>,
    ) {
        let now = clock::now();
        let claimed = self.fetch.is_claimed();
        let mut tables = self.app.tables.borrow_mut();
        let tables = &mut *tables;
        let chunk = match event {
            Ok(Some(event)) => self.fetch.handle_event(now, &mut client.session, event, &mut tables.rng),
            Ok(None) => {
                self.fetch.handle_timeout(now, Some(&mut client.session), &mut tables.rng);
                None
            }
            Err(error) => {
                self.fetch.handle_error(now, error, &mut tables.rng);
                None
            }
        };
        if let Some(chunk) = chunk {
            // The content is in the record buffer that all connections share.
            let bytes = tables.message(chunk.len);
            let written = self.reservation.write(chunk.offset, bytes);
            bytes.zeroize();
            match written {
                Ok(stored) => self.fetch.handle_stored(now, stored),
                Err(error) => self.give_up(error, client),
            }
        } else if !claimed
            && self.fetch.is_claimed()
            && let Some(offer) = self.fetch.offer()
        {
            post_fetching(self.app, offer, &self.target);
        }
    }

    /// Before the claim: a drop that does not fit stays with its sender.
    fn approve(&mut self, now: Instant, client: &mut ClientConnection<'_>) {
        let Some(offer) = self.fetch.offer() else { return };
        let reserved = match offer.kind {
            Kind::Directory => Err(CommandError::Folder),
            _ => self.reservation.reserve(offer),
        };
        match reserved {
            Ok(()) => self.fetch.approve(now, &mut client.session).unwrap_or_default(),
            Err(error) => self.give_up(error, client),
        }
    }

    fn give_up(&mut self, error: CommandError, client: &mut ClientConnection<'_>) {
        self.error = Some(error);
        self.fetch.cancel(Some(&mut client.session));
    }

    /// Why the fetch failed, for the console.
    fn command_error(&self, error: FetchError) -> CommandError {
        match error {
            FetchError::Unreachable | FetchError::Canceled => self.error.unwrap_or(CommandError::Unreachable),
            FetchError::Session(error) => CommandError::Client(error),
            FetchError::Ambiguous => CommandError::Ambiguous,
            FetchError::Refused(code) => CommandError::Refused(code),
            _ => CommandError::Refused(ErrorCode::Unsupported),
        }
    }
}

#[inline(never)]
fn post_fetching(app: &AppState, offer: &Offer, target: &Target) {
    app.mailbox.post(Event::Fetching {
        token: offer.token,
        kind: offer.kind,
        name: Label::of(offer.name.as_str()),
        size: offer.size,
        from: target.sender,
    });
}
