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
    let mut list = List::new();
    let mut connect_by = due.connect_by;
    loop {
        if !connect(socket, due.peer, Some(connect_by)).await {
            return Err(ProbeError::Unreachable);
        }
        let mut client = ClientConnection::new(app, socket, due.peer, Some(due.instance));
        let listed = read_list(app, &mut client, &mut list, due, end).await;
        client.close(if listed.is_ok() { Close::Clean } else { Close::Reset }).await;
        if let Some(revision) = listed.map_err(ProbeError::Session)? {
            return Ok(revision);
        }
        connect_by = end;
    }
}

/// Shakes hands and reads as many pages of the list as one connection allows; at the end of the list gives its
/// revision.
async fn read_list(
    app: &AppState,
    client: &mut ClientConnection<'_>,
    list: &mut List,
    due: &Probe,
    end: Instant,
) -> Result<Option<u32>, ClientError> {
    loop {
        let len = client.next(Some(end)).await?.ok_or(ClientError::Silent)?;
        if let Some(end) = handle_message(app, client, list, due, len)? {
            return Ok(end);
        }
    }
}

/// Handles one message. At the end of what one connection has of the list gives its revision, or none if it goes on.
#[inline(never)]
fn handle_message(
    app: &AppState,
    client: &mut ClientConnection<'_>,
    list: &mut List,
    due: &Probe,
    len: usize,
) -> Result<Option<Option<u32>>, ClientError> {
    match client.handle_message(len)? {
        None => {}
        Some(ClientEvent::Ready) => list.start(clock::now(), &mut client.session)?,
        Some(event) => match list.handle_event(clock::now(), &mut client.session, event)? {
            Some(ListEvent::End { revision }) => return Ok(Some(Some(revision))),
            Some(ListEvent::More) => return Ok(Some(None)),
            Some(line) => app.with(|tables| tables.browser.handle_line(clock::now(), due, &line)),
            None => {}
        },
    }
    Ok(None)
}
