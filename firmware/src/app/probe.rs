//! Probes one sender: handshake, then its whole list, straight into the table of offers.

use deaddrop_core::discovery::{Probe, ProbeError};
use deaddrop_core::exchange::{List, ListEvent};
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::time::Instant;
use embassy_net::tcp::TcpSocket;

use super::client_connection::{ClientConnection, connect};
use super::clock;
use super::state::AppState;
use crate::PROFILE;

/// Runs the probe that is due. Gives the revision of the sender's list.
pub(super) async fn probe(
    app: &AppState,
    socket: &mut TcpSocket<'static>,
    due: &Probe,
) -> Result<u32, ProbeError> {
    let end = clock::now() + PROFILE.probe;
    if !connect(socket, due.peer, Some(end)).await {
        return Err(ProbeError::Unreachable);
    }
    let mut client = ClientConnection::new(app, socket, due.peer, Some(due.instance));
    let listed = list(app, &mut client, due, end).await;
    client.close(if listed.is_ok() { Close::Clean } else { Close::Reset }).await;
    listed.map_err(ProbeError::Session)
}

/// Shakes hands and reads all pages of the list.
async fn list(
    app: &AppState,
    client: &mut ClientConnection<'_>,
    due: &Probe,
    end: Instant,
) -> Result<u32, ClientError> {
    let mut list = List::new();
    loop {
        let len = client.next(Some(end)).await?.ok_or(ClientError::Silent)?;
        if let Some(revision) = handle_message(app, client, &mut list, due, len)? {
            return Ok(revision);
        }
    }
}

/// Handles one message; at the end of the list gives its revision.
#[inline(never)]
fn handle_message(
    app: &AppState,
    client: &mut ClientConnection<'_>,
    list: &mut List,
    due: &Probe,
    len: usize,
) -> Result<Option<u32>, ClientError> {
    match client.handle_message(len)? {
        None => {}
        Some(ClientEvent::Ready) => list.start(clock::now(), &mut client.session)?,
        Some(event) => match list.handle_event(clock::now(), &mut client.session, event)? {
            Some(ListEvent::End { revision }) => return Ok(Some(revision)),
            Some(line) => app.with(|tables| tables.browser.handle_line(clock::now(), due, &line)),
            None => {}
        },
    }
    Ok(None)
}
