//! The connections of a transfer, one after the other: by which route, and when another is better.

use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use smol::future;

use super::{ROUTES, Transfer};
use crate::address::Address;
use crate::clock;
use crate::fetch::connection::ClientConnection;
use crate::fetch::error::ConnectionError;
use crate::fetch::leads::Connected;
use crate::files::target::Target;
use crate::random::system;
use crate::transport::socket::sleep_until;

impl Transfer {
    /// Follows a lead, if there is one: gives up the connection, and connects by the new routes first.
    pub(super) fn follow_lead(&mut self, now: Instant) {
        let Some(mut routes) = self.leads.take() else { return };
        if self.connection.is_some() {
            self.network_error = Some("an address has changed".into());
            self.fetch.handle_error(now, ClientError::Reset, &mut system());
            if self.fetch.is_whole() {
                // Nothing more is read from it.
                self.disconnect();
            }
        }
        self.fetch.retry_now();
        self.routes.retain(|known| !routes.contains(known));
        routes.append(&mut self.routes);
        routes.truncate(ROUTES);
        self.routes = routes;
        self.leads.set_routes(&self.routes);
    }

    /// Takes the connection out of use.
    pub(super) fn disconnect(&mut self) -> Option<ClientConnection> {
        self.leads.set_connection(None);
        self.connection.take()
    }

    /// Waits until then, or until the stopper or a lead says something new.
    pub(super) async fn wait(&self, until: Instant) {
        let stopped = async {
            // Once it was used, it has been acted on.
            if self.stopper.is_stopped() {
                future::pending::<()>().await;
            }
            self.stopper.stopped().await;
        };
        future::or(sleep_until(until), future::or(stopped, self.leads.given())).await;
    }

    /// Connects by the first of the routes that leads to the sender.
    pub(super) async fn connect(&mut self, incoming: Option<&Target>) {
        let offset = self.fetch.resume_offset();
        let before = || self.prefix.filter(|(stored, _)| *stored == offset).map(|(_, digest)| digest);
        let digest = incoming.map_or_else(before, |incoming| incoming.prefix_digest(offset));
        // Once the drop is here, the stopper only ends waits: the confirmation is still tried.
        let stop = (!self.fetch.is_whole()).then_some(&self.stopper);
        let opening = ClientConnection::open(&self.routes, &self.credentials, self.expected, stop);
        let late = async {
            match self.fetch.poll_timeout() {
                Some(at) => self.wait(at).await,
                None => self.leads.given().await,
            }
            None
        };
        let opened = future::or(async { Some(opening.await) }, late).await;
        let now = clock::now();
        match opened {
            Some(Ok(connection)) => {
                (self.sender, self.reached) = (connection.route.to, true);
                // The next connection is tried there first.
                self.routes.sort_by_key(|route| *route != connection.route);
                let woken = if stop.is_none() { connection.woken_by(&self.stopper) } else { connection };
                let local = woken.stream().local_addr().ok().map(Address::from);
                let notify = woken.notify().clone();
                self.leads.set_connection(Some(Connected { local, route: woken.route, notify }));
                self.connection = Some(woken);
                (self.bulk_tried, self.loss_told) = (false, false);
                self.fetch.handle_open(now, digest);
            }
            // What is due is done on the next round.
            Some(Err(ConnectionError::Stopped)) | None => {}
            Some(Err(error)) => {
                self.note(&error);
                self.fetch.handle_unreachable(now, &mut system());
            }
        }
    }
}
