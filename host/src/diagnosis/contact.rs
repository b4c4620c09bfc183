//! Tries one sender: connect, greeting, handshake, list, large packets.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::exchange::{List, ListEvent};
use deaddrop_core::session::{ClientError, ClientEvent, Close};
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{GREETING_LEN, Greeting, Status};

use super::large_packets;
use crate::clock;
use crate::fetch::connection::ClientConnection;
use crate::fetch::contact::{Contact, offers};
use crate::fetch::credentials::Credentials;
use crate::fetch::error::ConnectionError;
use crate::transport::link::{Interest, Link, Route};

/// How long a connection may take. An address that nobody on the link has is known to the system after about 3 s.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// How long the greeting may take.
const GREETING_WITHIN: Duration = Duration::from_secs(4);
/// How long handshake and list may take: a few losses and no more.
const LIST_WITHIN: Duration = Duration::from_secs(6);

/// Tries a sender as a member of the room; without one, no further than its greeting.
pub(super) async fn try_sender(route: Route, credentials: Option<&Arc<Credentials>>) -> Contact {
    let contact = match credentials {
        Some(credentials) => list(route, credentials).await,
        None => greet(route).await,
    };
    // Everything so far fits into small packets.
    match contact.is_good() && large_packets::are_lost(route).await {
        true => Contact::LargePacketsLost,
        false => contact,
    }
}

async fn connect(route: Route) -> Result<Link, Contact> {
    let begun = clock::now();
    let connected = Link::connect(route, begun + CONNECT_WITHIN, None).await;
    connected.map_err(|error| Contact::unconnected(&error, clock::now().since(begun)))
}

async fn greet(route: Route) -> Contact {
    let link = match connect(route).await {
        Ok(link) => link,
        Err(contact) => return contact,
    };
    let greeting = read_greeting(&link, clock::now() + GREETING_WITHIN).await;
    link.close(Close::Clean);
    match greeting.map(|bytes| Greeting::parse(&bytes)) {
        Ok(Ok(greeting)) if matches!(greeting.status, Status::Busy { .. }) => Contact::Busy,
        Ok(Ok(_)) => Contact::Greeted,
        Ok(Err(error)) => Contact::NoGreeting(error.to_string()),
        Err(error) => Contact::NoGreeting(error.to_string()),
    }
}

async fn read_greeting(link: &Link, by: Instant) -> io::Result<[u8; GREETING_LEN]> {
    let mut greeting = [0; GREETING_LEN];
    let mut read = 0;
    while let Some(rest) = greeting.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match link.stream().read(rest) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => read += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if clock::now() >= by {
                    return Err(ErrorKind::TimedOut.into());
                }
                link.wait(Interest { read: true, write: false, until: Some(by) }).await?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(greeting)
}

/// Shakes hands and reads the list.
async fn list(route: Route, credentials: &Arc<Credentials>) -> Contact {
    let link = match connect(route).await {
        Ok(link) => link,
        Err(contact) => return contact,
    };
    let mut connection = match ClientConnection::over(link, route, credentials, None) {
        Ok(connection) => connection,
        Err(error) => return Contact::ended(&error),
    };
    let (mut list, mut seen, mut ready) = (List::new(), Vec::new(), false);
    let end = clock::now() + LIST_WITHIN;
    let contact = loop {
        if clock::now() >= end {
            break if ready { Contact::Stalled } else { Contact::NoGreeting("no answer in time".into()) };
        }
        let event = match connection.turn(Some(end)).await {
            Ok(Some(event)) => event,
            Ok(None) => continue,
            Err(ConnectionError::Session(ClientError::Silent)) if ready => break Contact::Stalled,
            Err(error) => break Contact::ended(&error),
        };
        let now = clock::now();
        let line = if event == ClientEvent::Ready {
            ready = true;
            list.start(now, &mut connection.session).map_err(ClientError::from).map(|()| None)
        } else {
            list.handle_event(now, &mut connection.session, event)
        };
        match line {
            Ok(Some(ListEvent::End { .. } | ListEvent::More)) => {
                break Contact::Member { offers: offers(&seen) };
            }
            Ok(Some(line)) => seen.push(line),
            Ok(None) => {}
            Err(error) => break Contact::ended(&error.into()),
        }
    };
    let how = if contact.is_good() { Close::Clean } else { Close::Reset };
    connection.close(how, false).await;
    contact
}
