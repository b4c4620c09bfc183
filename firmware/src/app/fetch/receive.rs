//! From a fresh connection to a complete drop in the store.

use core::net::SocketAddr;
use core::pin::pin;

use deaddrop_core::offer::{EndReason, Kind, Offer};
use deaddrop_core::session::{ClientEvent, FetchPlan};
use deaddrop_core::token::{FetchId, Token, TokenPrefix};
use deaddrop_core::wire::ErrorCode;

use super::error::AttemptError;
use super::target::Target;
use crate::PROFILE;
use crate::app::client_connection::ClientConnection;
use crate::app::clock;
use crate::app::outlined::Outlined;
use crate::app::probe::{Line, list};
use crate::app::state::AppState;
use crate::mailbox::{CommandError, Event, FetchRequest};
use crate::store::{Label, Slot};

/// Space in the store for the drop. Unless the drop is complete, it is wiped when the fetch ends, however that ends.
pub(super) struct Reservation<'a> {
    app: &'a AppState,
    slot: Option<Slot>,
    claimed: bool,
}

impl<'a> Reservation<'a> {
    /// Nothing reserved yet.
    pub(super) const fn new(app: &'a AppState) -> Self {
        Self { app, slot: None, claimed: false }
    }

    /// Whether the sender has granted the claim, on this connection or an earlier one.
    pub(super) const fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Reserves space for the drop, unless an earlier attempt did.
    fn reserve(&mut self, offer: &Offer) -> Result<Slot, CommandError> {
        if let Some(slot) = self.slot {
            return Ok(slot);
        }
        let made = self.app.store.borrow_mut().reserve(&offer.name, offer.kind, offer.size);
        let slot = made.map_err(CommandError::NoSpace)?;
        self.slot = Some(slot);
        Ok(slot)
    }

    fn write(&self, slot: Slot, at: u64, bytes: &[u8]) -> Result<u64, AttemptError> {
        let offset = usize::try_from(at).unwrap_or(usize::MAX);
        // The space is reserved, so this fails only if the entry was forgotten at the console.
        let written = self.app.store.borrow_mut().write(slot, offset, bytes);
        written.map_err(|_| AttemptError::Final(CommandError::Forgotten))?;
        Ok(at.saturating_add(bytes.len() as u64))
    }

    fn complete(&mut self, slot: Slot) -> Result<(), AttemptError> {
        let finished = self.app.store.borrow_mut().finish(slot);
        finished.map_err(|_| AttemptError::Final(CommandError::Forgotten))?;
        self.slot = None;
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            // It may have been forgotten at the console.
            let _ = self.app.store.borrow_mut().remove(slot);
        }
    }
}

/// Finds the drop, reserves space, claims it and receives it.
pub(super) async fn receive(
    app: &AppState,
    client: &mut ClientConnection<'_>,
    request: &FetchRequest,
    target: &mut Target,
    reservation: &mut Reservation<'_>,
    id: FetchId,
) -> Result<(Token, Slot), AttemptError> {
    if target.offer.is_none() {
        target.offer = Some(Outlined::new(pin!(pick(client, &request.token))).await?);
    }
    let Some(offer) = &target.offer else { return Err(AttemptError::Final(CommandError::Unknown)) };
    if offer.kind == Kind::Directory {
        return Err(AttemptError::Final(CommandError::Folder));
    }
    // Before the claim: a drop that does not fit stays with its sender.
    let slot = reservation.reserve(offer).map_err(AttemptError::Final)?;
    Outlined::new(pin!(claim(client, offer, reservation, id))).await?;
    if !core::mem::replace(&mut reservation.claimed, true) {
        post_fetching(app, offer, target.sender);
    }
    Outlined::new(pin!(stream(client, reservation, slot))).await?;
    Ok((offer.token, slot))
}

/// Claims the drop. Its data comes next.
async fn claim(
    client: &mut ClientConnection<'_>,
    offer: &Offer,
    reservation: &Reservation<'_>,
    id: FetchId,
) -> Result<(), AttemptError> {
    let plan = FetchPlan { token: offer.token, id, record_max: PROFILE.record_max, offset: 0, digest: None };
    client.session.fetch(clock::now(), &plan).map_err(|_| AttemptError::PROTOCOL)?;
    loop {
        match client.next().await? {
            ClientEvent::Begin(begin) => {
                if (offer.kind, &offer.name, offer.size) != (begin.kind, &begin.name, begin.size) {
                    // The sender would send something other than it listed.
                    return Err(AttemptError::Final(CommandError::Refused(ErrorCode::Changed)));
                }
                return Ok(());
            }
            ClientEvent::Refused(code) => return Err(refused(code, reservation)),
            ClientEvent::Filler => {}
            _ => return Err(AttemptError::PROTOCOL),
        }
    }
}

#[inline(never)]
fn post_fetching(app: &AppState, offer: &Offer, from: SocketAddr) {
    app.mailbox.post(Event::Fetching {
        token: offer.token,
        kind: offer.kind,
        name: Label::of(offer.name.as_str()),
        size: offer.size,
        from,
    });
}

/// Receives all records of a claimed drop.
async fn stream(
    client: &mut ClientConnection<'_>,
    reservation: &mut Reservation<'_>,
    slot: Slot,
) -> Result<(), AttemptError> {
    let mut stored = 0;
    loop {
        if client.session.needs_ready() {
            client.session.ready(clock::now()).map_err(|_| AttemptError::PROTOCOL)?;
        }
        match client.next().await? {
            ClientEvent::Data { len } => {
                stored = client.bytes(len, |bytes| reservation.write(slot, stored, bytes))?;
                client.stored(stored);
            }
            ClientEvent::Final { len } => {
                client.bytes(len, |bytes| reservation.write(slot, stored, bytes))?;
                return reservation.complete(slot);
            }
            ClientEvent::Refused(code) => return Err(refused(code, reservation)),
            ClientEvent::Filler => {}
            _ => return Err(AttemptError::PROTOCOL),
        }
    }
}

/// The one offer in the sender's list whose token has this prefix.
async fn pick(client: &mut ClientConnection<'_>, prefix: &TokenPrefix) -> Result<Offer, AttemptError> {
    let mut found: Option<Offer> = None;
    let mut ambiguous = false;
    let mut ended = None;
    let mut each = |line: &Line| match line {
        Line::Offer(offer) if prefix.matches(&offer.token) => match &found {
            Some(_) => ambiguous = true,
            None => found = Some(offer.clone()),
        },
        Line::Ending(ending) if prefix.matches(&ending.token) => ended = Some(ending.reason),
        _ => {}
    };
    list(client, &mut each).await?;
    if ambiguous {
        return Err(AttemptError::Final(CommandError::Ambiguous));
    }
    found.ok_or(AttemptError::Final(match ended {
        Some(EndReason::Expired) => CommandError::Refused(ErrorCode::Expired),
        Some(_) => CommandError::Refused(ErrorCode::Gone),
        None => CommandError::Refused(ErrorCode::Unknown),
    }))
}

/// What a refusal by the sender means.
const fn refused(code: ErrorCode, reservation: &Reservation<'_>) -> AttemptError {
    match code {
        // Our own claim, on an earlier connection that the sender has not noticed is gone.
        ErrorCode::Busy { .. } if reservation.is_claimed() => {
            AttemptError::Retry(CommandError::Refused(code))
        }
        _ => AttemptError::Final(CommandError::Refused(code)),
    }
}
