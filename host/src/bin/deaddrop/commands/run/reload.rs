//! Reads the room file again when it is asked for.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use deaddrop::{Room, Zeroizing};
use smol::future;

use crate::commands::setup::{derive, warn_weak};
use crate::exit::Failure;
use crate::passphrase;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// What is in the room file, and the room that it makes.
type Found = (Zeroizing<String>, Room);

/// One reading of the room file.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<Found, Failure>> + 'a>>;

/// Reads the room file when it is asked for, until there is a room in it.
///
/// The file may be a pipe to which nobody writes: each request begins another reading. Those of before go on, because what is
/// written to a pipe comes to any one of those who read from it.
pub(super) async fn room(ui: &Ui, signals: &Signals, path: &Path) -> Result<Room, Failure> {
    let mut readings = Vec::new();
    loop {
        let asked = async {
            signals.reload().await;
            None
        };
        let found = future::or(asked, async { Some(first(&mut readings).await) }).await;
        match found {
            None => readings.push(Box::pin(read(path, signals)) as Reading<'_>),
            Some(Ok((passphrase, room))) => {
                warn_weak(ui, &passphrase).await?;
                return Ok(room);
            }
            Some(Err(failure)) => warn_unchanged(ui, &failure).await?,
        }
    }
}

/// Says why the room is still the one of before.
pub(super) async fn warn_unchanged(ui: &Ui, failure: &Failure) -> Result<(), Failure> {
    let message = format!("{}; still in the room of before", failure.message);
    ui.show(&Event::Warning { code: "room-file", message: &message }).await
}

async fn read(path: &Path, signals: &Signals) -> Result<Found, Failure> {
    let passphrase = passphrase::from_file(path).await?;
    // Not every passphrase that can be read makes a room.
    let room = derive(Room::derive(passphrase.clone()), signals).await?;
    Ok((passphrase, room))
}

/// Waits for a reading that finds a room, or until the newest has failed. Those that have ended are gone then.
async fn first(readings: &mut Vec<Reading<'_>>) -> Result<Found, Failure> {
    poll_fn(|context| {
        let (newest, mut place, mut ended) = (readings.len(), 0, None);
        readings.retain_mut(|reading| {
            place += 1;
            let Poll::Ready(found) = reading.as_mut().poll(context) else { return true };
            if found.is_ok() || (place == newest && ended.is_none()) {
                ended = Some(found);
            }
            false
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
