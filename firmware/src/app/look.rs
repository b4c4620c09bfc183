//! A look at one sender: handshake, then its whole list, straight into the table of offers.

use core::net::SocketAddr;
use core::time::Duration;

use deaddrop_core::discovery::{Probe, ProbeResult};
use deaddrop_core::limits::REQUESTS_MAX;
use deaddrop_core::offer::Offer;
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Ending, ErrorCode};
use embassy_net::tcp::TcpSocket;

use super::clock;
use super::dialogue::{Dialogue, connect};
use super::member::{Member, State};

/// How long a look may take in all. Looks are one at a time, and a sender that says a word every few seconds must not
/// keep the board from all others.
const LOOK_WITHIN: Duration = Duration::from_secs(15);
/// When to ask a busy sender again that named no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// Takes the look, and says how it ended.
pub(super) async fn look(member: &Member, socket: &mut TcpSocket<'static>, look: &Probe) -> ProbeResult {
    let end = clock::now() + LOOK_WITHIN;
    if !connect(socket, look.peer, end).await {
        return ProbeResult::Failed;
    }
    let mut dialogue = Dialogue::new(member, socket, look.peer, Some(look.instance), end);
    if let Err(error) = dialogue.greet().await {
        return outcome(error);
    }
    let mut keeping = Keeping::new(member, look.instance, look.peer);
    let listed = list(&mut dialogue, &mut |line| keeping.line(line)).await;
    let outcome = match listed {
        Ok(revision) => {
            keeping.complete();
            ProbeResult::Listed { revision }
        }
        Err(error) => outcome(error),
    };
    dialogue.close(Close::Clean).await;
    outcome
}

/// What a failed conversation says of a sender.
fn outcome(error: ClientError) -> ProbeResult {
    match error {
        ClientError::NotMember => ProbeResult::NotMember,
        ClientError::NoBudget => ProbeResult::NoBudget,
        ClientError::Busy | ClientError::Handshake(_) => {
            ProbeResult::Busy { retry_after: error.retry_after().unwrap_or(BUSY_RETRY) }
        }
        _ => ProbeResult::Failed,
    }
}

/// A line of a list.
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box an offer with")]
pub(super) enum Line {
    /// A drop that can be fetched.
    Offer(Offer),
    /// A drop that ended lately.
    Ending(Ending),
}

/// Asks for all pages of a list; gives the revision that the first one told.
pub(super) async fn list(
    dialogue: &mut Dialogue<'_>,
    each: &mut dyn FnMut(&Line),
) -> Result<u32, ClientError> {
    let mut after: Option<Token> = None;
    let mut first = None;
    for page in 0..REQUESTS_MAX {
        dialogue.session.list(clock::now(), after).map_err(|_| ClientError::Protocol)?;
        loop {
            let (token, line) = match dialogue.next().await? {
                ClientEvent::Offer(offer) => (offer.token, Line::Offer(offer)),
                ClientEvent::Ending(ending) => (ending.token, Line::Ending(ending)),
                ClientEvent::ListEnd { revision, more } => {
                    // What changed since the first page is listed again.
                    let revision = *first.get_or_insert(revision);
                    // A request is left for what the caller wants to do with the list.
                    if more && page + 2 < REQUESTS_MAX {
                        break;
                    }
                    return Ok(revision);
                }
                ClientEvent::Refused(ErrorCode::Busy { .. }) => return Err(ClientError::Busy),
                ClientEvent::Filler => continue,
                _ => return Err(ClientError::Protocol),
            };
            after = after.max(Some(token));
            each(&line);
        }
    }
    Ok(first.unwrap_or_default())
}

/// A list that is being read. One that breaks off, or is given up, withdraws nothing.
struct Keeping<'a> {
    member: &'a Member,
    instance: Instance,
    from: SocketAddr,
    /// There was an offer that found no room.
    full: bool,
    complete: bool,
}

impl<'a> Keeping<'a> {
    fn new(member: &'a Member, instance: Instance, from: SocketAddr) -> Self {
        member.with(|state| state.offers.begin_list(instance));
        Self { member, instance, from, full: false, complete: false }
    }

    #[inline(never)]
    fn line(&mut self, line: &Line) {
        let now = clock::now();
        self.member.with(|state| match line {
            Line::Offer(offer) => {
                self.full |= state.offers.offer(now, self.instance, self.from, offer).is_err();
            }
            Line::Ending(ending) => state.offers.ending(now, self.instance, ending.token, ending.reason),
        });
    }

    fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        self.member.with(|State { offers, more_offers, .. }| {
            if self.complete {
                offers.complete(clock::now(), self.instance);
                *more_offers = self.full;
            } else {
                offers.abort_list(self.instance);
            }
        });
    }
}
