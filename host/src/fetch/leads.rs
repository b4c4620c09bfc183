//! What a transfer and those who look for its sender tell each other while it runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use deaddrop_core::token::Instance;
use event_listener::Event;

use crate::address::Address;
use crate::lock::lock;
use crate::transport::link::Route;

/// Shared by a transfer and what looks for its sender.
#[derive(Default)]
pub(crate) struct Leads {
    state: Mutex<State>,
    /// Notified when there is a lead.
    given: Event,
}

#[derive(Default)]
struct State {
    /// The process that the drop comes from, once it has answered.
    sender: Option<Instance>,
    /// The ways to it that are tried.
    routes: Vec<Route>,
    /// The connection, while there is one.
    connection: Option<Connected>,
    /// The lead that has not been followed yet.
    lead: Option<Vec<Route>>,
}

/// A connection of a transfer.
#[derive(Clone)]
pub(super) struct Connected {
    /// This machine's address there.
    pub(super) local: Option<Address>,
    /// The way to the sender.
    pub(super) route: Route,
    /// Ends a wait on it.
    pub(super) notify: Arc<Event>,
}

impl Leads {
    /// The process that the drop comes from, once it has answered.
    pub(crate) fn sender(&self) -> Option<Instance> {
        lock(&self.state).sender
    }

    /// The addresses of the sender that are tried.
    pub(crate) fn tried(&self) -> Vec<SocketAddr> {
        lock(&self.state).routes.iter().map(|route| route.to).collect()
    }

    /// The way that the connection takes, and this machine's address there; `None` while there is no connection.
    pub(crate) fn connection(&self) -> Option<(Route, Option<Address>)> {
        lock(&self.state).connection.as_ref().map(|connected| (connected.route, connected.local))
    }

    /// Has the transfer give up its connection, if it has one, and connect at once: by these routes, which lead to the same
    /// process, or else by those it knows.
    pub(crate) fn give(&self, routes: Vec<Route>) {
        let mut state = lock(&self.state);
        state.lead = Some(routes);
        if let Some(connected) = &state.connection {
            connected.notify.notify(usize::MAX);
        }
        drop(state);
        self.given.notify(usize::MAX);
    }

    /// The transfer tries these routes.
    pub(super) fn set_routes(&self, routes: &[Route]) {
        lock(&self.state).routes = routes.to_vec();
    }

    /// A connection has opened or, with `None`, closed.
    pub(super) fn set_connection(&self, connected: Option<Connected>) {
        lock(&self.state).connection = connected;
    }

    /// The sender has answered, and is this process.
    pub(super) fn set_sender(&self, sender: Instance) {
        lock(&self.state).sender = Some(sender);
    }

    /// Whether there is a lead to follow.
    pub(super) fn any(&self) -> bool {
        lock(&self.state).lead.is_some()
    }

    /// The lead to follow, once.
    pub(super) fn take(&self) -> Option<Vec<Route>> {
        lock(&self.state).lead.take()
    }

    /// Waits until there is a lead to follow.
    pub(super) async fn given(&self) {
        loop {
            let given = self.given.listen();
            if self.any() {
                return;
            }
            given.await;
        }
    }
}
