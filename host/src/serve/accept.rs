//! Accepts connections, each served by a task of its own.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::debug;
use smol::Executor;

use super::connection::serve_connection;
use super::server::Server;
use crate::clock;
use crate::lock::lock;
use crate::transport::link::Link;
use crate::transport::socket::{Socket, sleep_until};

/// How long to accept nothing when the system has no more descriptors to give.
const PAUSE: Duration = Duration::from_millis(50);

/// The addresses of ours to take connections at; `None` for all.
pub(crate) type Only = Arc<Mutex<Option<Vec<IpAddr>>>>;

/// Accepts connections until it is dropped, and with it every connection.
pub(crate) async fn accept(listener: TcpListener, server: Arc<Server>, only: Only) -> io::Result<()> {
    let listener = Socket::new(listener)?;
    let connections = Executor::new();
    let accepting = async {
        loop {
            match listener.get_ref().accept() {
                Ok((stream, from)) => {
                    if !is_allowed(&stream, &only) {
                        debug!("serve: {from} is not served: it came in by an interface that is not chosen");
                        continue;
                    }
                    // A connection that broke before it was set up needs no serving.
                    let link = match Link::accepted(stream, server.changed.clone()) {
                        Ok(link) => link,
                        Err(error) => {
                            debug!("serve: {from} is not served: {error}");
                            continue;
                        }
                    };
                    debug!("serve: {from} is accepted");
                    let server = server.clone();
                    let serving = async move { serve_connection(&server, link, SocketAddr::ip(&from)).await };
                    connections.spawn(serving).detach();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => listener.ready(true, false).await?,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    // Out of descriptors, most likely: some come back when connections end.
                    _ => {
                        debug!("serve: nothing is accepted for {} ms: {error}", PAUSE.as_millis());
                        sleep_until(clock::now() + PAUSE).await;
                    }
                },
            }
        }
    };
    connections.run(accepting).await
}

/// Whether the connection came in at an address that connections are taken at.
fn is_allowed(stream: &TcpStream, only: &Only) -> bool {
    let only = lock(only);
    let by = stream.local_addr().map(|address| address.ip());
    only.as_ref().is_none_or(|only| by.is_ok_and(|by| only.contains(&by)))
}
