//! From a fresh connection to a claimed drop, or to the reason why not.

use std::time::Duration;

use deaddrop_core::limits::RECORD_MAX;
use deaddrop_core::offer::{EndReason, Offer};
use deaddrop_core::session::{ClientError, ClientEvent, FetchPlan, HandshakeError};
use deaddrop_core::token::{FetchId, Instance, TokenPrefix};
use deaddrop_core::wire::{ErrorCode, GreetingError};

use crate::clock;
use crate::exit::Failure;
use crate::look::{Listing, list, shake_hands};
use crate::member::Member;
use crate::net::link::Link;
use crate::pump::{ClientPump, PumpError};
use crate::stop::Stop;

/// Which drop is wanted from a sender.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one in each process, never in a collection")]
pub(crate) enum Wanted {
    /// The one that was offered just so.
    Offered(Box<Offer>),
    /// The one whose token is this, or begins like this.
    Token(TokenPrefix),
}

/// A drop that is ours to receive, if we go on.
pub(crate) struct Claim<'a, L: Link> {
    pub(crate) pump: ClientPump<'a, L>,
    pub(crate) id: FetchId,
    pub(crate) offer: Offer,
}

/// Why a sender gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No connection, or one that broke before it said anything.
    Nobody(String),
    /// It does not know our passphrase.
    NotMember,
    /// Another receiver holds the drop, or the sender is flooded.
    Busy(Option<Duration>),
    /// It has no such drop.
    Unknown,
    /// The drop has been taken.
    Gone,
    /// The drop's TTL has passed.
    Expired,
    /// The drop's source changed under it.
    Changed,
    /// Several of its drops begin with the given characters.
    Ambiguous,
    /// Too many unconfirmed handshakes with that address.
    NoBudget,
    /// The sender said something that makes no sense.
    Broken(String),
    /// A signal asks us to end.
    Stopped(Failure),
}

impl From<PumpError> for Refusal {
    fn from(e: PumpError) -> Self {
        match e {
            PumpError::Session(e) => match e {
                ClientError::NotMember => Self::NotMember,
                ClientError::Busy => Self::Busy(None),
                ClientError::Handshake(HandshakeError::Busy { retry_after }) => Self::Busy(Some(retry_after)),
                // Another program, or another process than the one that was meant.
                ClientError::Handshake(
                    HandshakeError::Greeting(GreetingError::Magic)
                    | HandshakeError::OtherInstance
                    | HandshakeError::OwnInstance,
                )
                | ClientError::Reset
                | ClientError::Silent => Self::Nobody(e.to_string()),
                ClientError::NoBudget => Self::NoBudget,
                _ => Self::Broken(e.to_string()),
            },
            PumpError::Io(e) => Self::Nobody(e.to_string()),
            PumpError::Stopped(failure) | PumpError::Unstored(failure) => Self::Stopped(failure),
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Gone => Self::Gone,
            ErrorCode::Expired => Self::Expired,
            ErrorCode::Busy { retry_after } => Self::Busy(Some(retry_after)),
            ErrorCode::Unknown => Self::Unknown,
            ErrorCode::Changed => Self::Changed,
            code => Self::Broken(format!("the sender refused the request ({code})")),
        }
    }
}

/// Shakes hands over `link`, finds the drop, and claims it under `id`.
pub(crate) async fn claim<'a, L: Link>(
    link: L,
    member: &'a Member,
    expected: Option<Instance>,
    wanted: &Wanted,
    id: FetchId,
    stop: Option<&'a Stop>,
) -> Result<Claim<'a, L>, Refusal> {
    let mut pump = shake_hands(link, member, expected, stop).await?;
    let offer = match wanted {
        Wanted::Offered(offer) => Offer::clone(offer),
        Wanted::Token(prefix) => pick(list(&mut pump).await?, prefix)?,
    };
    let plan = FetchPlan { token: offer.token, id, record_max: RECORD_MAX, offset: 0, digest: None };
    pump.session.fetch(clock::now(), &plan).map_err(|e| Refusal::Broken(e.to_string()))?;
    loop {
        let input = match pump.next().await {
            Ok(input) => input,
            Err(e) => {
                // The claim may have been granted already.
                pump.release().await;
                return Err(e.into());
            }
        };
        match input {
            ClientEvent::Begin(begin) => {
                if (offer.kind, &offer.name, offer.size) != (begin.kind, &begin.name, begin.size) {
                    // What would be sent is not what was chosen.
                    pump.release().await;
                    return Err(Refusal::Changed);
                }
                return Ok(Claim { pump, id, offer });
            }
            ClientEvent::Refused(code) => return Err(code.into()),
            ClientEvent::Filler => {}
            _ => return Err(Refusal::Broken("the sender answered another question".into())),
        }
    }
}

/// The one drop of a sender's list whose token begins with these characters.
pub(crate) fn pick(listing: Listing, prefix: &TokenPrefix) -> Result<Offer, Refusal> {
    let mut offers = listing.offers.into_iter().filter(|offer| prefix.matches(&offer.token));
    match (offers.next(), offers.next()) {
        (Some(offer), None) => Ok(offer),
        (Some(_), Some(_)) => Err(Refusal::Ambiguous),
        (None, _) => {
            let ending = listing.endings.iter().find(|ending| prefix.matches(&ending.token));
            Err(match ending.map(|ending| ending.reason) {
                Some(EndReason::Expired) => Refusal::Expired,
                Some(_) => Refusal::Gone,
                None => Refusal::Unknown,
            })
        }
    }
}
