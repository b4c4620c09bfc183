//! Probes one sender: handshake, then its whole list, straight into the table of offers.

use core::net::SocketAddr;
use core::time::Duration;

use deaddrop_core::discovery::{Probe, ProbeResult};
use deaddrop_core::limits::REQUESTS_MAX;
use deaddrop_core::offer::Offer;
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::{Ending, ErrorCode};
use embassy_net::tcp::TcpSocket;

use super::client_connection::{ClientConnection, connect};
use super::clock;
use super::state::{AppState, Tables};

/// How long a probe may take in all. One probe runs at a time, so a sender that trickles its list must not keep the board
/// from all others.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// When to probe a busy sender again that named no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// Runs the probe that is due.
pub(super) async fn probe(app: &AppState, socket: &mut TcpSocket<'static>, due: &Probe) -> ProbeResult {
    let end = clock::now() + PROBE_TIMEOUT;
    if !connect(socket, due.peer, end).await {
        return ProbeResult::Failed;
    }
    let mut client = ClientConnection::new(app, socket, due.peer, Some(due.instance), end);
    if let Err(error) = client.handshake().await {
        return result_of(error);
    }
    let mut update = ListUpdate::new(app, due.instance, due.peer);
    let listed = list(&mut client, &mut |line| update.line(line)).await;
    let result = match listed {
        Ok(revision) => {
            update.complete();
            ProbeResult::Listed { revision }
        }
        Err(error) => result_of(error),
    };
    client.close(Close::Clean).await;
    result
}

/// What a failed connection says about the sender.
fn result_of(error: ClientError) -> ProbeResult {
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
    /// A drop that ended recently.
    Ending(Ending),
}

/// Requests all pages of a list; returns the revision of the first page.
pub(super) async fn list(
    client: &mut ClientConnection<'_>,
    each: &mut dyn FnMut(&Line),
) -> Result<u32, ClientError> {
    let mut after: Option<Token> = None;
    let mut first = None;
    for page in 0..REQUESTS_MAX {
        client.session.list(clock::now(), after).map_err(|_| ClientError::Protocol)?;
        loop {
            let (token, line) = match client.next().await? {
                ClientEvent::Offer(offer) => (offer.token, Line::Offer(offer)),
                ClientEvent::Ending(ending) => (ending.token, Line::Ending(ending)),
                ClientEvent::ListEnd { revision, more } => {
                    // A change since the first page has a higher revision, so the sender is probed again.
                    let revision = *first.get_or_insert(revision);
                    // One request of the connection's limit is left for a fetch.
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

/// A list on its way into the table of offers. Dropped before it is complete, it withdraws nothing.
struct ListUpdate<'a> {
    app: &'a AppState,
    instance: Instance,
    from: SocketAddr,
    /// An offer did not fit into the table.
    full: bool,
    complete: bool,
}

impl<'a> ListUpdate<'a> {
    fn new(app: &'a AppState, instance: Instance, from: SocketAddr) -> Self {
        app.with(|tables| tables.offers.begin_list(instance));
        Self { app, instance, from, full: false, complete: false }
    }

    #[inline(never)]
    fn line(&mut self, line: &Line) {
        let now = clock::now();
        self.app.with(|tables| match line {
            Line::Offer(offer) => {
                self.full |= tables.offers.offer(now, self.instance, self.from, offer).is_err();
            }
            Line::Ending(ending) => tables.offers.ending(now, self.instance, ending.token, ending.reason),
        });
    }

    fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for ListUpdate<'_> {
    fn drop(&mut self) {
        self.app.with(|Tables { offers, more_offers, .. }| {
            if self.complete {
                offers.complete(clock::now(), self.instance);
                *more_offers = self.full;
            } else {
                offers.abort_list(self.instance);
            }
        });
    }
}
