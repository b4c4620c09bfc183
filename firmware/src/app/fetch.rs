//! Fetching one drop: as many tries as it takes, and one word on what became of it.

mod take;
mod target;

use core::net::Ipv4Addr;
use core::pin::pin;
use core::time::Duration;

use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::token::{FetchId, Token, TokenPrefix};
use embassy_net::tcp::TcpSocket;

use super::apart::Apart;
use super::clock;
use super::dialogue::{Dialogue, connect};
use super::member::Member;
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
pub(super) async fn fetch(member: &Member, socket: &mut TcpSocket<'static>, wanted: &Wanted) {
    // Borrowed and not taken out: it would be there twice.
    let mut target = Target::find(member, wanted);
    let result = match &mut target {
        Ok(target) => tries(member, socket, wanted, target).await,
        Err(why) => Err(*why),
    };
    let token = target.as_ref().ok().and_then(Target::token);
    let news = match result {
        Ok((token, slot)) => News::Received { token, slot },
        Err(why) => News::Failed { token: token.or(wanted.token.whole()), why },
    };
    member.answer(news).await;
}

/// Tries until it is here and confirmed, or no try will help.
async fn tries(
    member: &Member,
    socket: &mut TcpSocket<'static>,
    wanted: &Wanted,
    target: &mut Target,
) -> Result<(Token, Slot), Failure> {
    let mut room = Room::new(member);
    // One for all tries: by it the sender knows that the claim is ours.
    let id = FetchId::random(&mut member.state.borrow_mut().rng);
    let mut give_up = clock::now() + REACH_WITHIN;
    let mut here = None;
    loop {
        let had = (here.is_some(), room.is_claimed());
        let tried = once(member, socket, wanted, target, &mut room, id, &mut here).await;
        let now = clock::now();
        give_up = match (here.is_some(), room.is_claimed()) {
            same if same == had => give_up,
            (true, _) => now + COMMIT_WITHIN,
            (false, _) => now + RESUME_WITHIN,
        };
        match (tried, here) {
            (Ok(()), Some(here)) => return Ok(here),
            // It is here all the same if its sender cannot be told.
            (_, Some(here)) if give_up <= now => return Ok(here),
            (Err(Broken::Over(why)), None) => return Err(why),
            (Err(Broken::Off(why)), None) if give_up <= now => return Err(why),
            (Err(Broken::Off(Failure::Unreachable)), _) => target.go_elsewhere(member),
            _ => {}
        }
        member.rounds.made(Part::Errands, now);
        clock::at(now + RETRY).await;
    }
}

/// One connection: takes the drop, unless it is here already, and confirms it.
async fn once(
    member: &Member,
    socket: &mut TcpSocket<'static>,
    wanted: &Wanted,
    target: &mut Target,
    room: &mut Room<'_>,
    id: FetchId,
    here: &mut Option<(Token, Slot)>,
) -> Result<(), Broken> {
    if member.online.get().network.is_none() {
        return Err(Broken::Off(Failure::NoNetwork));
    }
    let end = clock::now() + CONNECTION_WITHIN;
    if !connect(socket, target.sender, end).await {
        return Err(Broken::Off(Failure::Unreachable));
    }
    let mut dialogue = Dialogue::new(member, socket, target.sender, target.expected, end);
    dialogue.greet().await.map_err(broken)?;
    let mut taken = Ok(());
    if here.is_none() {
        let taking = pin!(take(member, &mut dialogue, wanted, target, room, id));
        taken = Apart::new(taking).await.map(|whole| *here = Some(whole));
    }
    if let Some((token, _)) = *here
        && !confirm(&mut dialogue, token, id).await
    {
        taken = Err(Broken::Off(Failure::Client(ClientError::Silent)));
    }
    let how = match &taken {
        Ok(()) => Close::Clean,
        Err(Broken::Over(_)) => dialogue.give_up().await,
        Err(Broken::Off(_)) => Close::Reset,
    };
    dialogue.close(how).await;
    taken
}

/// Confirms the whole drop, so that its sender forgets it. False if no answer came.
async fn confirm(dialogue: &mut Dialogue<'_>, token: Token, id: FetchId) -> bool {
    dialogue.end_by(clock::now() + ANSWER_WITHIN);
    // A sender that knows no more of the claim has nothing left to confirm.
    dialogue.session.commit(clock::now(), token, id).is_ok()
        && matches!(dialogue.next().await, Ok(ClientEvent::Burned | ClientEvent::Refused(_)))
}

/// What a failed conversation means for the fetch.
fn broken(error: ClientError) -> Broken {
    match error {
        ClientError::Reset | ClientError::Silent | ClientError::Busy => Broken::Off(Failure::Client(error)),
        _ if error.retry_after().is_some() => Broken::Off(Failure::Client(error)),
        _ => Broken::Over(Failure::Client(error)),
    }
}
