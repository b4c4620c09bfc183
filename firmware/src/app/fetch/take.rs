//! From a fresh conversation to a drop that is in the store, whole.

use core::net::SocketAddr;
use core::pin::pin;

use deaddrop_core::offer::{EndReason, Kind, Offer};
use deaddrop_core::session::{ClientEvent, FetchPlan};
use deaddrop_core::token::{FetchId, Token, TokenPrefix};
use deaddrop_core::wire::ErrorCode;

use super::target::Target;
use super::{Broken, Wanted, broken};
use crate::PROFILE;
use crate::app::apart::Apart;
use crate::app::clock;
use crate::app::dialogue::Dialogue;
use crate::app::look::{Line, list};
use crate::app::member::Member;
use crate::desk::{Failure, News};
use crate::store::{Label, Slot};

/// Room in the store for a drop that is coming. Unless it is kept, it is wiped when the fetch ends, however that does.
pub(super) struct Room<'a> {
    member: &'a Member,
    slot: Option<Slot>,
    claimed: bool,
}

impl<'a> Room<'a> {
    /// None yet.
    pub(super) const fn new(member: &'a Member) -> Self {
        Self { member, slot: None, claimed: false }
    }

    /// Whether a sender has once granted the claim.
    pub(super) const fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Makes room, unless there is some from an earlier try.
    fn make(&mut self, offer: &Offer) -> Result<Slot, Failure> {
        if let Some(slot) = self.slot {
            return Ok(slot);
        }
        let made = self.member.store.borrow_mut().reserve(&offer.name, offer.kind, offer.size);
        let slot = made.map_err(Failure::NoRoom)?;
        self.slot = Some(slot);
        Ok(slot)
    }

    fn write(&self, slot: Slot, at: u64, bytes: &[u8]) -> Result<u64, Broken> {
        let offset = usize::try_from(at).unwrap_or(usize::MAX);
        // There is room for all of it, so it is the person who has taken it away.
        let written = self.member.store.borrow_mut().write(slot, offset, bytes);
        written.map_err(|_| Broken::Over(Failure::Forgotten))?;
        Ok(at.saturating_add(bytes.len() as u64))
    }

    fn keep(&mut self, slot: Slot) -> Result<(), Broken> {
        let finished = self.member.store.borrow_mut().finish(slot);
        finished.map_err(|_| Broken::Over(Failure::Forgotten))?;
        self.slot = None;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            // If it is not there, it was forgotten.
            let _ = self.member.store.borrow_mut().remove(slot);
        }
    }
}

/// Finds the drop, makes room for it, claims it and takes it in.
pub(super) async fn take(
    member: &Member,
    dialogue: &mut Dialogue<'_>,
    wanted: &Wanted,
    target: &mut Target,
    room: &mut Room<'_>,
    id: FetchId,
) -> Result<(Token, Slot), Broken> {
    if target.offer.is_none() {
        target.offer = Some(Apart::new(pin!(pick(dialogue, &wanted.token))).await?);
    }
    let Some(offer) = &target.offer else { return Err(Broken::Over(Failure::Unknown)) };
    if offer.kind == Kind::Directory {
        return Err(Broken::Over(Failure::Folder));
    }
    // What cannot fit is refused before it is claimed.
    let slot = room.make(offer).map_err(Broken::Over)?;
    Apart::new(pin!(claim(dialogue, offer, room, id))).await?;
    if !core::mem::replace(&mut room.claimed, true) {
        tell(member, offer, target.sender);
    }
    Apart::new(pin!(stream(dialogue, room, slot))).await?;
    Ok((offer.token, slot))
}

/// Claims the drop; what comes next is its bytes.
async fn claim(
    dialogue: &mut Dialogue<'_>,
    offer: &Offer,
    room: &Room<'_>,
    id: FetchId,
) -> Result<(), Broken> {
    let plan = FetchPlan { token: offer.token, id, record_max: PROFILE.record_max, offset: 0, digest: None };
    dialogue.session.fetch(clock::now(), &plan).map_err(|_| protocol())?;
    loop {
        match dialogue.next().await.map_err(broken)? {
            ClientEvent::Begin(begin) => {
                if (offer.kind, &offer.name, offer.size) != (begin.kind, &begin.name, begin.size) {
                    // What would be sent is not what was chosen.
                    return Err(Broken::Over(Failure::Refused(ErrorCode::Changed)));
                }
                return Ok(());
            }
            ClientEvent::Refused(code) => return Err(refused(code, room)),
            ClientEvent::Filler => {}
            _ => return Err(protocol()),
        }
    }
}

#[inline(never)]
fn tell(member: &Member, offer: &Offer, from: SocketAddr) {
    member.desk.tell(News::Fetching {
        token: offer.token,
        kind: offer.kind,
        name: Label::of(offer.name.as_str()),
        size: offer.size,
        from,
    });
}

/// Takes in all records of a claimed drop.
async fn stream(dialogue: &mut Dialogue<'_>, room: &mut Room<'_>, slot: Slot) -> Result<(), Broken> {
    let mut stored = 0;
    loop {
        if dialogue.session.needs_ready() {
            dialogue.session.ready(clock::now()).map_err(|_| protocol())?;
        }
        match dialogue.next().await.map_err(broken)? {
            ClientEvent::Data { len } => {
                stored = dialogue.bytes(len, |bytes| room.write(slot, stored, bytes))?;
                dialogue.stored(stored);
            }
            ClientEvent::Final { len } => {
                dialogue.bytes(len, |bytes| room.write(slot, stored, bytes))?;
                return room.keep(slot);
            }
            ClientEvent::Refused(code) => return Err(refused(code, room)),
            ClientEvent::Filler => {}
            _ => return Err(protocol()),
        }
    }
}

/// The one drop of a sender's list whose token begins like this.
async fn pick(dialogue: &mut Dialogue<'_>, prefix: &TokenPrefix) -> Result<Offer, Broken> {
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
    list(dialogue, &mut each).await.map_err(broken)?;
    if ambiguous {
        return Err(Broken::Over(Failure::Ambiguous));
    }
    found.ok_or(Broken::Over(match ended {
        Some(EndReason::Expired) => Failure::Refused(ErrorCode::Expired),
        Some(_) => Failure::Refused(ErrorCode::Gone),
        None => Failure::Refused(ErrorCode::Unknown),
    }))
}

/// What a sender's no means.
const fn refused(code: ErrorCode, room: &Room<'_>) -> Broken {
    match code {
        // Our own claim, on a connection that its sender has not given up yet.
        ErrorCode::Busy { .. } if room.is_claimed() => Broken::Off(Failure::Refused(code)),
        _ => Broken::Over(Failure::Refused(code)),
    }
}

const fn protocol() -> Broken {
    Broken::Over(Failure::Client(deaddrop_core::session::ClientError::Protocol))
}
