//! Makes a whole drop durable, and keeps its claim alive while that takes its time.

use std::sync::Arc;

use deaddrop_core::exchange::Fetch;
use deaddrop_core::session::ClientError;
use event_listener::Event;
use log::debug;

use super::connection::ClientConnection;
use super::error::ConnectionError;
use crate::files::save::{Leftover, SaveError, Unplaced};
use crate::files::target::{Finished, Target};
use crate::{clock, random::system};

/// Drops of up to this many bytes are synced on the connection's own thread.
const QUICK: u64 = 8 * 1024 * 1024;

/// Makes the drop durable under its name. If the connection breaks meanwhile, the confirmation goes over another one.
pub(super) async fn persist(
    fetch: &mut Fetch,
    connection: &mut Option<ClientConnection>,
    incoming: Target,
) -> Result<(Finished, Leftover), Unplaced> {
    let size = incoming.size();
    let finished = finish(fetch, connection, incoming).await;
    // Without the error, which holds a path.
    debug!("files: {size} bytes {}", if finished.is_ok() { "are durable" } else { "cannot be made durable" });
    finished
}

async fn finish(
    fetch: &mut Fetch,
    connection: &mut Option<ClientConnection>,
    incoming: Target,
) -> Result<(Finished, Leftover), Unplaced> {
    if incoming.size() <= QUICK && !incoming.is_bundle() {
        return incoming.finish();
    }
    let (done, result) = async_channel::bounded(1);
    let notify = connection.as_ref().map(|connection| NotifyOnDrop(connection.notify().clone()));
    // Handed over by a channel, from which it is taken back if the system starts no thread.
    let (give, take) = async_channel::bounded(1);
    let _ = give.try_send(incoming);
    let taken = take.clone();
    let work = move || {
        // Dropped after `done`, so that the connection finds either a result or a closed channel.
        let _notify = notify;
        let done = done;
        if let Ok(incoming) = taken.try_recv() {
            // The receiver lives until there is a result.
            let _ = done.try_send(incoming.finish());
        }
    };
    let Ok(worker) = std::thread::Builder::new().name("deaddrop sync".into()).spawn(work) else {
        debug!(
            "files: no thread is started, so that the claim is not kept alive while the drop is made durable"
        );
        return take.try_recv().map_or(Err(bug()), Target::finish);
    };
    while result.is_empty() && !result.is_closed() {
        let Some(live) = connection else { break };
        let now = clock::now();
        if fetch.poll_timeout().is_some_and(|at| at <= now) {
            fetch.handle_timeout(now, Some(&mut live.session), &mut system());
        }
        if let Err(error) = live.turn(fetch.poll_timeout()).await {
            let error = if let ConnectionError::Session(error) = error { error } else { ClientError::Reset };
            fetch.handle_error(clock::now(), error, &mut system());
            *connection = None;
        }
    }
    let finished = result.recv().await;
    // It has sent its result, or panicked, which the closed channel says too.
    let _ = worker.join();
    finished.unwrap_or_else(|_| Err(bug()))
}

fn bug() -> Unplaced {
    Unplaced { error: SaveError::Bug, kept: None, leftover: Box::default() }
}

/// Notifies when dropped.
struct NotifyOnDrop(Arc<Event>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify(usize::MAX);
    }
}
