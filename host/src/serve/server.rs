//! The state that a sender's connections share: the table of drops, the guard, and the drops' sources.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::drops::{DropEvent, DropSpec, Lapse, PutError};
use deaddrop_core::exchange::server::Turns;
use deaddrop_core::exchange::{Server as CoreServer, ServerEvent as CoreEvent, ServerSession, SessionEvent};
use deaddrop_core::guard::{Source as Counted, Warning};
use deaddrop_core::limits::{HOST, LEASE, LINGER, LINGER_BUSY};
use deaddrop_core::offer::EndReason;
use deaddrop_core::session::Misuse;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, Instance, Token};
use event_listener::Event;
use log::debug;

use crate::address::Address;
use crate::bulk::memory::BatchMemory;
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

/// Sources that wait for a drop, or whose claims have lapsed.
const WAITING: usize = 256;

/// The core's server, with a host's capacities.
pub(crate) type HostServer = CoreServer<DROPS, FETCHES, SOURCES, CONNECTIONS>;

/// What happens at a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerEvent {
    /// A receiver claimed a drop.
    Claimed {
        /// The drop.
        token: Token,
        /// The receiver's address.
        by: Address,
    },
    /// A claim lapsed.
    Lapsed {
        /// The drop.
        token: Token,
        /// The address of the receiver that held it.
        by: Address,
        /// Why.
        why: Lapse,
    },
    /// A receiver confirmed that it holds the whole drop.
    Fetched {
        /// The drop.
        token: Token,
        /// The receiver's address.
        by: Address,
    },
    /// A drop has ended.
    Ended {
        /// The drop.
        token: Token,
        /// Why.
        reason: EndReason,
        /// A receiver was given all of it and never confirmed.
        unconfirmed: bool,
        /// Its source had changed.
        changed: bool,
    },
    /// The guard warns of guesses.
    Warning(Warning),
}

/// The server of one sender.
pub(crate) struct Server {
    state: Mutex<State>,
    stopping: AtomicBool,
    /// Of the batches of all streams.
    batches: Arc<BatchMemory>,
    /// Notified when the state has changed in a way that concerns the event reader.
    pub(crate) changed: Event,
}

struct State {
    serving: Box<HostServer>,
    sources: BTreeMap<Token, Arc<Source>>,
    changed: BTreeSet<Token>,
    /// The connections that stand.
    links: BTreeMap<ConnId, Connected>,
    /// The members on each connection.
    members: BTreeMap<ConnId, Member>,
    /// Whose turn it is to claim a drop.
    turns: Box<Turns<WAITING>>,
    events: VecDeque<ServerEvent>,
}

/// A connection.
struct Connected {
    /// Wakes it.
    wake: Arc<Event>,
    /// What it is counted with.
    source: Counted,
}

/// The member on a connection.
struct Member {
    source: Counted,
    /// When the connection closed: a claim of it may outlive it by [`LEASE`].
    closed: Option<Instant>,
    /// It failed, so what was said last may not have arrived.
    broken: bool,
}

impl State {
    fn address(&self, conn: ConnId) -> Option<Address> {
        self.members.get(&conn).map(|member| Address::from_source(member.source.address()))
    }
}

impl Server {
    /// A server of this room, without drops.
    pub(crate) fn new(room: &RoomSecret) -> Self {
        let serving = CoreServer::new(clock::now(), room.prs(), &HOST, &mut system()).with_cipher(cipher());
        let serving = Box::new(serving);
        let state = State {
            serving,
            sources: BTreeMap::new(),
            changed: BTreeSet::new(),
            links: BTreeMap::new(),
            members: BTreeMap::new(),
            turns: Box::default(),
            events: VecDeque::new(),
        };
        Self {
            state: Mutex::new(state),
            stopping: AtomicBool::new(false),
            batches: Arc::default(),
            changed: Event::new(),
        }
    }

    /// The memory for the batches of all streams.
    pub(crate) fn batch_memory(&self) -> &Arc<BatchMemory> {
        &self.batches
    }

    /// Offers a drop.
    pub(crate) fn put(&self, spec: DropSpec, source: Source) -> Result<Token, PutError> {
        let mut state = lock(&self.state);
        let token = state.serving.drops.put(clock::now(), spec, &mut system())?;
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

    /// A connection was accepted, which `link` wakes. Returns its session, and the connections that were woken, an
    /// evicted one among them: it closes when it is polled.
    pub(crate) fn open(&self, source: Counted, link: &Arc<Event>) -> (ServerSession, Vec<ConnId>) {
        let mut state = lock(&self.state);
        let session = state.serving.open(clock::now(), source, &mut system());
        let woken = self.settle(&mut state);
        state.links.insert(session.conn(), Connected { wake: link.clone(), source });
        (session, woken)
    }

    /// Runs `act` on the core's server, then handles the events that it causes.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut HostServer) -> T) -> T {
        let mut state = lock(&self.state);
        let result = act(&mut state.serving);
        self.settle(&mut state);
        result
    }

    /// Handles the timeouts of the table of drops and the guard; returns when the next one is due.
    pub(crate) fn tick(&self) -> Option<Instant> {
        self.with(|serving| {
            let now = clock::now();
            serving.handle_timeout(now, &mut system());
            serving.poll_timeout()
        })
    }

    /// Handles the events of the core's server; returns the connections that it wakes.
    fn settle(&self, state: &mut State) -> Vec<ConnId> {
        let now = clock::now();
        let mut changed = false;
        let mut woken = Vec::new();
        while let Some(event) = state.serving.poll_event(now, &mut system()) {
            match event {
                CoreEvent::Wake(conn) => {
                    if let Some(link) = state.links.get(&conn) {
                        link.wake.notify(usize::MAX);
                    }
                    woken.push(conn);
                    continue;
                }
                CoreEvent::Warning(warning) => state.events.push_back(ServerEvent::Warning(warning)),
                CoreEvent::Drop(DropEvent::Claimed { token, conn }) => {
                    let Some(by) = state.address(conn) else { continue };
                    state.events.push_back(ServerEvent::Claimed { token, by });
                }
                CoreEvent::Drop(DropEvent::Lapsed { token, conn, why }) => {
                    let Some(source) = state.members.get(&conn).map(|member| member.source) else { continue };
                    state.turns.lapsed(now, &token, source);
                    let by = Address::from_source(source.address());
                    state.events.push_back(ServerEvent::Lapsed { token, by, why });
                }
                CoreEvent::Drop(DropEvent::Ended { token, reason, unconfirmed }) => {
                    // The last reference, unless a connection is reading from the source at this moment.
                    state.sources.remove(&token);
                    state.turns.ended(&token);
                    let changed = state.changed.remove(&token);
                    state.events.push_back(ServerEvent::Ended { token, reason, unconfirmed, changed });
                }
                _ => continue,
            }
            changed = true;
        }
        if changed {
            self.changed.notify(usize::MAX);
        }
        woken
    }

    /// A whole message has come on a connection.
    pub(crate) fn handle_message(&self, session: &mut ServerSession, message: &mut [u8]) {
        let (mut state, now) = (lock(&self.state), clock::now());
        // Claims that have lapsed by now count before others take their place.
        state.serving.handle_timeout(now, &mut system());
        self.settle(&mut state);
        let State { serving, links, members, turns, .. } = &mut *state;
        let source = links.get(&session.conn()).map_or(session.source().into(), |connected| connected.source);
        let event = session.handle_message_in_turn(now, serving, &mut system(), message, |drops, fetch| {
            turns.ask(now, drops, fetch, source)
        });
        if session.is_member() {
            // Whatever the event: that of a first request takes the place of `Member`.
            let member = Member { source, closed: None, broken: false };
            members.entry(session.conn()).or_insert(member);
        }
        if let Ok(Some(SessionEvent::Fetched { token })) = event {
            // Before the drop's end, which this fetch may cause and which `settle` reports.
            state
                .events
                .push_back(ServerEvent::Fetched { token, by: Address::from_source(session.source()) });
            self.changed.notify(usize::MAX);
        }
        if session.is_parked() {
            // The time at which the next guess token comes is a new timeout.
            self.changed.notify(usize::MAX);
        }
        self.settle(&mut state);
    }

    /// Writes the next message of a connection into `out`, and returns its length.
    pub(crate) fn poll_transmit(
        &self,
        session: &mut ServerSession,
        out: &mut [u8],
    ) -> Result<Option<usize>, Misuse> {
        let mut state = lock(&self.state);
        let State { serving, sources, .. } = &mut *state;
        let attributes = |token: &Token| sources.get(token).and_then(|source| source.attributes());
        let written = session.poll_transmit_with(clock::now(), serving, out, attributes);
        self.settle(&mut state);
        written
    }

    /// The source of the drop that a connection is sending is no longer what was offered.
    pub(crate) fn handle_changed(&self, session: &mut ServerSession, token: Token) {
        let mut state = lock(&self.state);
        state.changed.insert(token);
        debug!("files: the source of a drop has changed");
        session.handle_changed(clock::now(), &mut state.serving, &mut system());
        self.settle(&mut state);
    }

    /// The receivers that hold a claim on a drop: connection, address, and the bytes that each says are stored.
    pub(crate) fn receivers(&self, token: &Token) -> Vec<(ConnId, Address, u64)> {
        let state = lock(&self.state);
        let receivers = state.serving.drops.receivers(token);
        receivers.filter_map(|(conn, stored)| Some((conn, state.address(conn)?, stored))).collect()
    }

    /// The next event, if there is one.
    pub(crate) fn next_event(&self) -> Option<ServerEvent> {
        lock(&self.state).events.pop_front()
    }

    /// The source of a drop, while the drop lives.
    pub(crate) fn source(&self, token: &Token) -> Option<Arc<Source>> {
        lock(&self.state).sources.get(token).cloned()
    }

    /// A connection has ended.
    pub(crate) fn closed(&self, session: &mut ServerSession, broken: bool) {
        let mut state = lock(&self.state);
        let now = clock::now();
        session.closed(now, &mut state.serving);
        self.settle(&mut state);
        state.links.remove(&session.conn());
        if let Some(member) = state.members.get_mut(&session.conn()) {
            (member.closed, member.broken) = (Some(now), broken);
        }
        // Twice as long as a claim lasts: its lapse is noticed some time after it.
        state.members.retain(|_, member| member.closed.is_none_or(|at| now < at + LEASE * 2));
    }

    /// Whether somebody is connected, or a receiver is likely to come back: one whose connection failed, or one that was
    /// told that the drop is busy.
    pub(crate) fn expects_receivers(&self) -> bool {
        let (state, now) = (lock(&self.state), clock::now());
        let busy = state.serving.drops.busy_told().is_some_and(|at| now < at + LINGER_BUSY);
        let back = |member: &Member| member.closed.is_some_and(|at| member.broken && now < at + LINGER);
        !state.links.is_empty() || busy || state.members.values().any(back)
    }

    /// Ends every connection.
    pub(crate) fn stop(&self) {
        let mut state = lock(&self.state);
        state.serving.stop();
        self.stopping.store(true, Ordering::Release);
        for link in state.links.values() {
            link.wake.notify(usize::MAX);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
