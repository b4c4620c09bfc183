//! Fetching one drop: as many tries as it takes, and one word on what became of it.

mod take;
mod target;

use core::net::Ipv4Addr;
use core::time::Duration;

use deaddrop_core::session::{ClientError, Close, Input};
use deaddrop_core::token::{FetchId, Token, TokenPrefix};
use embassy_net::tcp::TcpSocket;

use super::clock;
use super::dialogue::Dialogue;
use super::member::Member;
use super::memory::RECORD;
use super::rounds::Part;
use crate::desk::{Failure, News};
use crate::store::Slot;
use take::{Room, take};
use target::Target;

/// How long one connection may last: as long as a member needs that sends the whole store at the least rate.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60);
/// How long to look for a sender that cannot be reached.
const REACH_WITHIN: Duration = Duration::from_secs(3);
/// How long to go on after a connection broke with a claim on it.
const RESUME_WITHIN: Duration = Duration::from_secs(60);
/// The gap between tries.
const RETRY: Duration = Duration::from_millis(300);
/// How long the confirmation of a whole drop may take before it is here without.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);
/// How long one connection may take over it, before another is tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The beginning of its token.
    pub(super) token: TokenPrefix,
    /// Where its sender is, if the person said so.
    pub(super) from: Option<(Ipv4Addr, Option<u16>)>,
}

/// Why a drop did not come.
enum Broken {
    /// Nobody was there, or the connection broke: another try may help.
    Off(Failure),
    /// No other try will.
    Over(Failure),
}

/// Fetches it and tells what became of it.
pub(super) async fn fetch(
    member: &Member,
    socket: &mut TcpSocket<'static>,
    message: &mut [u8; RECORD],
    wanted: &Wanted,
) {
    let (token, result) = match Target::find(member, wanted) {
        Ok(mut target) => {
            let result = tries(member, socket, message, wanted, &mut target).await;
            (target.token(), result)
        }
        Err(why) => (None, Err(why)),
    };
    let news = match result {
        Ok((token, slot)) => News::Received { token, slot },
        Err(why) => News::Failed { token: token.or(wanted.token.whole()), why },
    };
    member.answer(news).await;
}

/// Tries until it is here, or no try will help.
async fn tries(
    member: &Member,
    socket: &mut TcpSocket<'static>,
    message: &mut [u8; RECORD],
    wanted: &Wanted,
    target: &mut Target,
) -> Result<(Token, Slot), Failure> {
    let mut room = Room::new(member);
    // One for all tries: by it the sender knows that the claim is ours.
    let id = FetchId::random(&mut member.state.borrow_mut().rng);
    let begun = clock::now();
    loop {
        match once(member, socket, message, wanted, target, &mut room, id).await {
            Ok(taken) => return Ok(taken),
            Err(Broken::Over(why)) => return Err(why),
            Err(Broken::Off(why)) => {
                let within = if room.is_claimed() { RESUME_WITHIN } else { REACH_WITHIN };
                if begun + within <= clock::now() {
                    return Err(why);
                }
            }
        }
        member.rounds.made(Part::Errands, clock::now());
        clock::at(clock::now() + RETRY).await;
    }
}

/// One connection, and more if the drop has come and only its confirmation is missing.
async fn once(
    member: &Member,
    socket: &mut TcpSocket<'static>,
    message: &mut [u8; RECORD],
    wanted: &Wanted,
    target: &mut Target,
    room: &mut Room<'_>,
    id: FetchId,
) -> Result<(Token, Slot), Broken> {
    if member.online.get().network.is_none() {
        return Err(Broken::Off(Failure::NoNetwork));
    }
    let end = clock::now() + CONNECTION_WITHIN;
    let opened = Dialogue::open(member, socket, message, target.sender, target.expected, end).await;
    let mut dialogue = opened.map_err(broken)?;
    let (token, slot) = match take(member, &mut dialogue, wanted, target, room, id).await {
        Ok(taken) => taken,
        Err(Broken::Over(why)) => {
            dialogue.release().await;
            return Err(Broken::Over(why));
        }
        Err(off) => {
            dialogue.close(Close::Reset).await;
            return Err(off);
        }
    };
    let until = clock::now() + COMMIT_WITHIN;
    let mut confirmed = confirm(&mut dialogue, token, id).await;
    dialogue.close(if confirmed { Close::Clean } else { Close::Reset }).await;
    // It is here all the same if its sender cannot be told.
    while !confirmed && clock::now() < until {
        clock::at(clock::now() + RETRY).await;
        if let Ok(mut again) =
            Dialogue::open(member, socket, message, target.sender, target.expected, until).await
        {
            confirmed = confirm(&mut again, token, id).await;
            again.close(Close::Clean).await;
        }
    }
    Ok((token, slot))
}

/// Confirms the whole drop, so that its sender forgets it. False if no answer came.
async fn confirm(dialogue: &mut Dialogue<'_>, token: Token, id: FetchId) -> bool {
    dialogue.end_by(clock::now() + ANSWER_WITHIN);
    // A sender that knows no more of the claim has nothing left to confirm.
    dialogue.session.commit(clock::now(), token, id).is_ok()
        && matches!(dialogue.next().await, Ok(Input::Burned | Input::Refused(_)))
}

/// What a failed conversation means for the fetch. `None`: there was no connection.
fn broken(error: Option<ClientError>) -> Broken {
    match error {
        None => Broken::Off(Failure::Unreachable),
        Some(error @ (ClientError::Reset | ClientError::Silent | ClientError::Busy)) => {
            Broken::Off(Failure::Client(error))
        }
        Some(error) if error.retry_after().is_some() => Broken::Off(Failure::Client(error)),
        Some(error) => Broken::Over(Failure::Client(error)),
    }
}
