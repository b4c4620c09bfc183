//! Looks for the sender of a claimed drop again, while nothing comes from it: its address or ours may have changed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::discovery::Probe;
use deaddrop_core::token::Token;
use log::debug;
use smol::future;

use super::target::Target;
use crate::address::Endpoint;
use crate::clock;
use crate::fetch::credentials::Credentials;
use crate::fetch::leads::Leads;
use crate::fetch::probe::{probe, probe_peer};
use crate::fetch::progress::FetchProgress;
use crate::fetch::transfer::Transfer;
use crate::lan::browser::Browser;
use crate::network::Network;
use crate::transport::link::Route;
use crate::transport::socket::sleep_until;

/// After how long without a byte the sender is looked for.
const STALLED: Duration = Duration::from_secs(1);
/// The same once it was looked for in vain, at most: a slow or lossy network is no reason to ask around for ever.
const STALLED_MAX: Duration = Duration::from_secs(8);
/// How long the old address has to answer before the connection is taken to another one. More than a connect takes on a
/// slow network that loses packets.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How long the transfer has to follow a lead before it gets another.
const FOLLOWED_WITHIN: Duration = Duration::from_millis(250);

/// Looks for the sender of one transfer.
pub(crate) struct Seeker {
    network: Network,
    credentials: Arc<Credentials>,
    token: Token,
    leads: Arc<Leads>,
    progress: FetchProgress,
}

impl Seeker {
    /// Looks for the sender of this drop.
    pub(super) fn of(
        transfer: &Transfer,
        token: Token,
        network: &Network,
        credentials: &Arc<Credentials>,
    ) -> Self {
        let (network, credentials) = (network.clone(), credentials.clone());
        // Nothing looks at the share of the whole.
        Self { network, credentials, token, leads: transfer.leads(), progress: transfer.progress(0) }
    }

    /// Gives the transfer leads for as long as this is polled. Never returns.
    pub(crate) async fn seek<T>(&self) -> T {
        let mut patience = STALLED;
        loop {
            let stored = self.progress.stored();
            sleep_until(clock::now() + patience).await;
            if self.progress.stored() != stored {
                continue;
            }
            let found = self.look(stored).await;
            patience = if found { STALLED } else { (patience * 2).min(STALLED_MAX) };
        }
    }

    /// Looks until bytes come again; true if there was something to follow.
    async fn look(&self, stored: u64) -> bool {
        debug!("receiver: nothing comes from the sender, so it is looked for");
        let Ok(mut browser) = Browser::open(&self.network) else { return false };
        browser.join(self.credentials.clone());
        // Addresses that have answered, while the one that is used did too.
        let mut others: Vec<SocketAddr> = Vec::new();
        let (mut found, mut changes) = (self.leave_old_address(&browser), browser.changes());
        let mut connected = self.leads.connection().is_some();
        loop {
            let was_connected = std::mem::replace(&mut connected, self.leads.connection().is_some());
            // Once, when it is lost: what was heard then is worth a try. What is given after that is known.
            if was_connected && !connected {
                others.clear();
            }
            let known = [&others[..], &self.leads.tried()].concat();
            let elsewhere = browser.elsewhere(self.leads.sender(), &self.token, &known, changes);
            let late = async {
                sleep_until(clock::now() + STALLED).await;
                None
            };
            let happened = future::or(async { Some(elsewhere.await) }, late).await;
            if self.progress.stored() != stored {
                return found;
            }
            if browser.changes() != changes {
                changes = browser.changes();
                // Without a connection the next try may be seconds away.
                if self.leave_old_address(&browser) || self.leads.connection().is_none() {
                    self.leads.give(Vec::new());
                    found = true;
                }
            }
            let at = happened.unwrap_or_default();
            let Some(first) = at.first() else { continue };
            if self.answers_still().await {
                others.extend(at);
                continue;
            }
            debug!("receiver: the sender is at {} now", Endpoint(*first));
            let routes = Target::one(at.iter().copied(), &self.network);
            self.leads.give(routes.map(|target| target.routes).unwrap_or_default());
            others.extend(at);
            found = true;
            // The transfer goes on with it meanwhile, whatever is heard.
            sleep_until(clock::now() + FOLLOWED_WITHIN).await;
        }
    }

    /// Gives the connection up if this machine no longer has the address that it was made from: true if so.
    fn leave_old_address(&self, browser: &Browser) -> bool {
        let local = self.leads.connection().and_then(|(_, local)| local);
        let gone = local.is_some_and(|local| !local.is_loopback() && !browser.addresses().contains(&local));
        if gone {
            debug!("receiver: this machine has another address now");
            self.leads.give(Vec::new());
        }
        gone
    }

    /// Whether there is a connection, and the sender answers where that leads.
    async fn answers_still(&self) -> bool {
        let Some((route, _)) = self.leads.connection() else { return false };
        let late = async {
            sleep_until(clock::now() + ANSWERS_WITHIN).await;
            false
        };
        future::or(self.answers(route), late).await
    }

    async fn answers(&self, route: Route) -> bool {
        match self.leads.sender() {
            Some(instance) if route.via.is_none() => {
                let peer = Probe { peer: route.to, instance, connect_by: clock::now() + ANSWERS_WITHIN };
                probe_peer(&peer, &self.credentials).await.is_ok()
            }
            _ => probe(&[route], &self.credentials).await.1.is_ok(),
        }
    }
}
