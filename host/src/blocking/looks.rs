//! Looks at several senders at once, each by a thread of its own.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use deaddrop_core::token::Instance;
use event_listener::Event;
use smol::future::block_on;

use super::link::BlockingLink;
use crate::look::{Listing, look};
use crate::member::Member;
use crate::pump::PumpError;
use crate::stop::Stop;

/// Most looks at once; others wait for their turn.
const AT_ONCE: usize = 32;

/// Looks, each named by a `K`. Dropping them ends those under way.
pub(super) struct Looks<'scope, 'env, K> {
    scope: &'scope Scope<'scope, 'env>,
    member: &'env Member,
    end: Stop,
    bell: Arc<Event>,
    reports: (Sender<Reported<K>>, Receiver<Reported<K>>),
    queue: VecDeque<(K, SocketAddr, Option<Instance>)>,
    under_way: usize,
}

/// What came of a look.
type Reported<K> = (K, Result<Listing, PumpError>);

impl<'scope, 'env, K: Send + 'scope> Looks<'scope, 'env, K> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, member: &'env Member) -> Self {
        Self {
            scope,
            member,
            end: Stop::default(),
            bell: Arc::default(),
            reports: channel(),
            queue: VecDeque::new(),
            under_way: 0,
        }
    }

    /// Rings whenever there is something for [`next`](Self::next).
    pub(super) fn bell(&self) -> Arc<Event> {
        self.bell.clone()
    }

    /// Takes a look at this sender.
    pub(super) fn take(&mut self, key: K, sender: SocketAddr, expected: Option<Instance>) {
        self.queue.push_back((key, sender, expected));
        self.start();
    }

    /// Whether there is more to come.
    pub(super) fn under_way(&self) -> bool {
        self.under_way > 0
    }

    /// What came of a look that has ended since.
    pub(super) fn next(&mut self) -> Option<Reported<K>> {
        let report = self.reports.1.try_recv().ok()?;
        self.under_way -= 1;
        self.start();
        Some(report)
    }

    fn start(&mut self) {
        while self.under_way < AT_ONCE
            && let Some((key, sender, expected)) = self.queue.pop_front()
        {
            self.under_way += 1;
            let (member, end) = (self.member, self.end.clone());
            let report = Report {
                key: Some(key),
                result: Err(io::Error::other("the look was given up").into()),
                to: self.reports.0.clone(),
                bell: self.bell.clone(),
            };
            let looking = move || {
                let result = BlockingLink::connect(sender, &end)
                    .and_then(|link| block_on(look(link, member, expected, Some(&end))));
                report.send(result);
            };
            // A thread that cannot be started reports that: its report is dropped with it.
            let _ = Builder::new().name("deaddrop look".into()).spawn_scoped(self.scope, looking);
        }
    }
}

impl<K> Drop for Looks<'_, '_, K> {
    fn drop(&mut self) {
        self.end.ask();
    }
}

/// Reports when dropped, so that every look that began ends.
struct Report<K> {
    key: Option<K>,
    result: Result<Listing, PumpError>,
    to: Sender<Reported<K>>,
    bell: Arc<Event>,
}

impl<K> Report<K> {
    fn send(mut self, result: Result<Listing, PumpError>) {
        self.result = result;
    }
}

impl<K> Drop for Report<K> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let result = std::mem::replace(&mut self.result, Ok(Listing::default()));
            let _ = self.to.send((key, result));
            self.bell.notify(usize::MAX);
        }
    }
}
