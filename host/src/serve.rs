//! What a sender's connections share: the table of drops, the guard, and the drops' sources.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::drops::{DropEvent, DropSpec, PutError};
use deaddrop_core::exchange::{Server as CoreServer, ServerEvent, ServerSession, SessionEvent};
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::EndReason;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use event_listener::Event;

use crate::cipher::cipher;
use crate::files::source::Source;
use crate::lock::lock;
use crate::{clock, random::system};

/// Drops one process holds, live and lately ended.
const DROPS: usize = 16;
/// Fetches of one drop.
const FETCHES: usize = deaddrop_core::limits::FETCHES_MAX;
/// Sources the guard remembers.
const SOURCES: usize = 1_024;
/// Connections the guard watches: unauthenticated and parked.
const CONNECTIONS: usize = HOST.unauthenticated + HOST.parked;

/// The core's server, with a host's capacities.
pub(crate) type HostServing = CoreServer<DROPS, FETCHES, SOURCES, CONNECTIONS>;

/// What a sender's owner hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServingEvent {
    /// A receiver confirmed that it holds the whole drop.
    Fetched {
        /// The drop.
        token: Token,
        /// The receiver's address.
        by: IpAddr,
    },
    /// A drop is over.
    Ended {
        /// The drop.
        token: Token,
        /// Why.
        reason: EndReason,
        /// A receiver had all of it and never confirmed.
        unconfirmed: bool,
        /// Its source was no longer what had been offered.
        changed: bool,
    },
    /// Somebody tries passphrases.
    Warning(Warning),
}

/// The server of one process.
pub(crate) struct Server {
    state: Mutex<State>,
    stopping: AtomicBool,
    /// Rings when connections should look at their state, and when there are events to read.
    pub(crate) bell: Arc<Event>,
}

struct State {
    serving: Box<HostServing>,
    sources: BTreeMap<Token, Arc<Source>>,
    changed: BTreeSet<Token>,
    events: VecDeque<ServingEvent>,
}

impl Server {
    /// A server of this room, without drops.
    pub(crate) fn new(room: &RoomSecret) -> Self {
        let serving = CoreServer::new(clock::now(), room.prs(), &HOST, &mut system()).with_cipher(cipher());
        let serving = Box::new(serving);
        let state =
            State { serving, sources: BTreeMap::new(), changed: BTreeSet::new(), events: VecDeque::new() };
        Self { state: Mutex::new(state), stopping: AtomicBool::new(false), bell: Arc::new(Event::new()) }
    }

    /// Offers a drop.
    pub(crate) fn put(&self, terms: DropSpec, source: Source) -> Result<Token, PutError> {
        let mut state = lock(&self.state);
        let token = state.serving.drops.put(clock::now(), terms, &mut system())?;
        state.sources.insert(token, Arc::new(source));
        Ok(token)
    }

    /// Takes all drops back.
    pub(crate) fn withdraw_all(&self) {
        let mut state = lock(&self.state);
        let tokens: Vec<Token> = state.sources.keys().copied().collect();
        for token in tokens {
            state.serving.drops.withdraw(clock::now(), &token, &mut system());
        }
        self.settle(&mut state);
    }

    /// The name of this process on the wire.
    pub(crate) fn instance(&self) -> Instance {
        lock(&self.state).serving.instance()
    }

    /// The revision of the drops to announce, while there are any.
    pub(crate) fn live(&self) -> Option<u32> {
        let state = lock(&self.state);
        (state.serving.drops.live() > 0).then(|| state.serving.drops.revision())
    }

    /// A connection was accepted.
    pub(crate) fn open(&self, source: IpAddr) -> ServerSession {
        let mut state = lock(&self.state);
        let session = state.serving.open(clock::now(), source, &mut system());
        self.settle(&mut state);
        session
    }

    /// Runs `act` on the core's server, then carries out what follows from it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut HostServing) -> T) -> T {
        let mut state = lock(&self.state);
        let result = act(&mut state.serving);
        self.settle(&mut state);
        result
    }

    /// What the table of drops and the guard have to do at this moment; gives the next such moment.
    pub(crate) fn tick(&self) -> Option<Instant> {
        self.with(|serving| {
            let now = clock::now();
            serving.handle_timeout(now, &mut system());
            serving.poll_timeout()
        })
    }

    fn settle(&self, state: &mut State) {
        let now = clock::now();
        let mut woken = false;
        while let Some(event) = state.serving.poll_event(now, &mut system()) {
            match event {
                // All connections are woken; the one that is meant finds out by itself.
                ServerEvent::Wake(_) => {}
                ServerEvent::Warning(warning) => state.events.push_back(ServingEvent::Warning(warning)),
                ServerEvent::Drop(DropEvent::Ended { token, reason, unconfirmed }) => {
                    // The last copy goes with it, unless a connection is reading from it this moment.
                    state.sources.remove(&token);
                    let changed = state.changed.remove(&token);
                    state.events.push_back(ServingEvent::Ended { token, reason, unconfirmed, changed });
                }
                _ => continue,
            }
            woken = true;
        }
        if woken {
            self.bell.notify(usize::MAX);
        }
    }

    /// A whole message has come on a connection.
    pub(crate) fn handle_message(&self, session: &mut ServerSession, message: &mut [u8]) {
        let mut state = lock(&self.state);
        let event = session.handle_message(clock::now(), &mut state.serving, &mut system(), message);
        if let Ok(Some(SessionEvent::Fetched { token })) = event {
            // Told before the end that it may bring about, which `settle` tells.
            state.events.push_back(ServingEvent::Fetched { token, by: session.source() });
            self.bell.notify(usize::MAX);
        }
        if session.is_parked() {
            // Whoever keeps the time has to know when the next guess token comes.
            self.bell.notify(usize::MAX);
        }
        self.settle(&mut state);
    }

    /// The source of the drop that a connection is sending is no longer what was offered.
    pub(crate) fn handle_changed(&self, session: &mut ServerSession, token: Token) {
        let mut state = lock(&self.state);
        state.changed.insert(token);
        session.handle_changed(clock::now(), &mut state.serving, &mut system());
        self.settle(&mut state);
    }

    /// The next event, if there is one.
    pub(crate) fn next_event(&self) -> Option<ServingEvent> {
        lock(&self.state).events.pop_front()
    }

    /// Where a drop's bytes come from, while it lives.
    pub(crate) fn source(&self, token: &Token) -> Option<Arc<Source>> {
        lock(&self.state).sources.get(token).cloned()
    }

    /// A connection has ended.
    pub(crate) fn closed(&self, session: &mut ServerSession) {
        let mut state = lock(&self.state);
        session.closed(clock::now(), &mut state.serving);
        self.settle(&mut state);
    }

    /// From here on connections end.
    pub(crate) fn stop(&self) {
        lock(&self.state).serving.stop();
        self.stopping.store(true, Ordering::Release);
        self.bell.notify(usize::MAX);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
