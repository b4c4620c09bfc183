//! Whether the host takes part in the network: the control requests say so, and the runner follows.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::watch::{Receiver, Watch};

/// Tasks of the runner that follow.
const FOLLOWERS: usize = 3;

/// The session since the host chose to carry frames; `None` while it does not.
pub(crate) type Session = Option<u32>;

/// All of it runs in one task.
pub(crate) struct Link(Watch<NoopRawMutex, Session, FOLLOWERS>);

impl Link {
    pub(crate) const fn new() -> Self {
        Self(Watch::new_with(None))
    }

    pub(crate) fn set(&self, session: Session) {
        self.0.sender().send(session);
    }

    pub(crate) fn follow(&self) -> Option<Follower<'_>> {
        self.0.receiver().map(Follower)
    }
}

/// One of [`FOLLOWERS`].
pub(crate) struct Follower<'a>(Receiver<'a, NoopRawMutex, Session, FOLLOWERS>);

impl Follower<'_> {
    /// The session, at this moment.
    pub(crate) fn now(&mut self) -> Session {
        self.0.try_get().flatten()
    }

    /// Waits until there is a session.
    pub(crate) async fn up(&mut self) -> Session {
        self.0.get_and(Option::is_some).await
    }

    /// Waits until this session is over.
    pub(crate) async fn over(&mut self, session: Session) {
        self.0.get_and(|now| *now != session).await;
    }
}
