//! A look at one sender: handshake, then its whole list.

use std::time::Duration;

use deaddrop_core::limits::REQUESTS_MAX;
use deaddrop_core::offer::Offer;
use deaddrop_core::session::{ClientError, ClientEvent, ClientSession};
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Ending, ErrorCode};

use crate::cipher::cipher;
use crate::clock;
use crate::member::Member;
use crate::net::link::Link;
use crate::pump::{ClientPump, PumpError};
use crate::stop::Stop;

/// How long a look may take in all: long enough to wait for a guess token. Looks are few at a time, and a
/// sender that says a word every few seconds must not keep one of them for half an hour.
const LOOK_WITHIN: Duration = Duration::from_secs(30);

/// What a sender has.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Its revision.
    pub(crate) revision: u32,
    /// Its drops.
    pub(crate) offers: Vec<Offer>,
    /// What it had until lately.
    pub(crate) endings: Vec<Ending>,
}

/// Shakes hands: afterwards a request may be made.
pub(crate) async fn shake_hands<'a, L: Link>(
    link: L,
    member: &'a Member,
    expected: Option<Instance>,
    stop: Option<&'a Stop>,
) -> Result<ClientPump<'a, L>, PumpError> {
    let mut pump = meet(link, member, expected, stop)?;
    while pump.next().await? != ClientEvent::Ready {}
    Ok(pump)
}

fn meet<'a, L: Link>(
    link: L,
    member: &'a Member,
    expected: Option<Instance>,
    stop: Option<&'a Stop>,
) -> Result<ClientPump<'a, L>, PumpError> {
    let address = link.stream().peer_addr()?.ip();
    let session = ClientSession::new(clock::now(), address, expected, member.own).with_cipher(cipher());
    Ok(ClientPump::new(link, session, member, stop))
}

/// Shakes hands, asks for the whole list, and closes.
pub(crate) async fn look<L: Link>(
    link: L,
    member: &Member,
    expected: Option<Instance>,
    stop: Option<&Stop>,
) -> Result<Listing, PumpError> {
    look_within(LOOK_WITHIN, link, member, expected, stop).await
}

async fn look_within<L: Link>(
    span: Duration,
    link: L,
    member: &Member,
    expected: Option<Instance>,
    stop: Option<&Stop>,
) -> Result<Listing, PumpError> {
    let mut pump = meet(link, member, expected, stop)?.end_by(clock::now() + span);
    while pump.next().await? != ClientEvent::Ready {}
    let listing = list(&mut pump).await?;
    pump.close();
    Ok(listing)
}

/// Asks for all pages of the list.
pub(crate) async fn list<L: Link>(pump: &mut ClientPump<'_, L>) -> Result<Listing, PumpError> {
    let mut listing = Listing::default();
    let mut after: Option<Token> = None;
    for page in 0..REQUESTS_MAX {
        pump.session.list(clock::now(), after).map_err(|_| ClientError::Protocol)?;
        loop {
            match pump.next().await? {
                ClientEvent::Offer(offer) => {
                    after = after.max(Some(offer.token));
                    listing.offers.push(offer);
                }
                ClientEvent::Ending(ending) => {
                    after = after.max(Some(ending.token));
                    listing.endings.push(ending);
                }
                ClientEvent::ListEnd { revision, more } => {
                    // The revision of the first page: what changed since is listed again.
                    if page == 0 {
                        listing.revision = revision;
                    }
                    // A request is left for what the caller wants to do with the list.
                    if more && page + 2 < REQUESTS_MAX {
                        break;
                    }
                    return Ok(listing);
                }
                ClientEvent::Refused(ErrorCode::Busy { .. }) => return Err(ClientError::Busy.into()),
                ClientEvent::Filler => {}
                _ => return Err(ClientError::Protocol.into()),
            }
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Instant;

    use deaddrop_core::crypto::keys::RoomSecret;

    use super::*;
    use crate::net::link::SmolLink;

    #[test]
    fn a_sender_that_takes_its_time_does_not_keep_a_look() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let member = Member::new(&RoomSecret::new([1; 32]), None);
        let begun = Instant::now();
        let looked = smol::block_on(async {
            let link = SmolLink::connect(address, None).await.unwrap();
            look_within(Duration::from_millis(10), link, &member, None, None).await
        });
        assert!(matches!(looked, Err(PumpError::Session(ClientError::Silent))), "{looked:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "sooner than the session's own deadline");
    }
}
