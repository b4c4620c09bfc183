//! Beacons as the smol front end hears them: one task a socket, all into one channel.

use async_channel::{Receiver, Sender, bounded};
use deaddrop_core::discovery::Arrival;
use deaddrop_core::wire::Beacon;
use smol::{Async, LocalExecutor, Task};

use super::beacons::{Beacons, Ear};

/// Beacons that may wait to be looked at; what comes on top is lost, as datagrams are.
const WAITING: usize = 256;

/// Hears on all sockets.
pub(crate) struct Hearing {
    sender: Sender<(Arrival, Beacon)>,
    receiver: Receiver<(Arrival, Beacon)>,
    tasks: Vec<Task<()>>,
}

impl Hearing {
    /// Hears nothing yet.
    pub(crate) fn new() -> Self {
        let (sender, receiver) = bounded(WAITING);
        Self { sender, receiver, tasks: Vec::new() }
    }

    /// Hears on the sockets that there are now.
    pub(crate) fn listen(&mut self, executor: &LocalExecutor<'_>, beacons: &Beacons) -> std::io::Result<()> {
        let ears = beacons.ears()?;
        self.tasks.clear();
        for ear in ears {
            let sender = self.sender.clone();
            self.tasks.push(executor.spawn(hear(ear, sender)));
        }
        Ok(())
    }

    /// The next beacon.
    pub(crate) async fn next(&self) -> (Arrival, Beacon) {
        match self.receiver.recv().await {
            Ok(heard) => heard,
            // Not while we hold a sender ourselves.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn hear(ear: Ear, sender: Sender<(Arrival, Beacon)>) {
    let Ok(ready) = ear.socket.try_clone().and_then(Async::new) else { return };
    while ready.readable().await.is_ok() {
        match ear.hear() {
            Ok(Some(heard)) => {
                let _ = sender.try_send(heard);
            }
            Ok(None) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            // An interface that goes down says so here; what remains of it is closed at the next refresh.
            Err(_) => {
                smol::Timer::after(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
