//! The programs for the drops that are here: one at a time, beside the fetches.
//!
//! A drop that waits for its program is saved and confirmed, so its lane goes on. What waits is bounded: then lanes wait too.

use std::net::SocketAddr;
use std::path::PathBuf;

use async_channel::{Receiver, Sender};
use deaddrop::{Endpoint, Offer};

use super::exec::{Ended, Exec};
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// How many drops can wait for their program.
const WAITING_MAX: usize = 64;

/// A drop that is here.
pub(super) struct Arrived {
    pub(super) offer: Offer,
    pub(super) from: SocketAddr,
    pub(super) paths: Vec<PathBuf>,
}

/// The drops that wait for their program.
pub(super) struct Programs {
    arrived: Sender<Arrived>,
    waiting: Receiver<Arrived>,
}

impl Default for Programs {
    fn default() -> Self {
        let (arrived, waiting) = async_channel::bounded(WAITING_MAX);
        Self { arrived, waiting }
    }
}

impl Programs {
    /// Has the program run for a drop; waits as long as too many wait.
    pub(super) async fn add(&self, arrived: Arrived) {
        // It is closed once nothing more is fetched.
        let _ = self.arrived.send(arrived).await;
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.arrived.close();
    }

    /// Runs the program for one drop after the other, until nothing more comes. After a signal it is not run, which is told
    /// of each drop.
    pub(super) async fn run(&self, exec: &Exec, ui: &Ui, signals: &Signals) -> Result<(), Failure> {
        while let Ok(arrived) = self.waiting.recv().await {
            run(exec, ui, signals, &arrived).await?;
        }
        Ok(())
    }
}

async fn run(exec: &Exec, ui: &Ui, signals: &Signals, arrived: &Arrived) -> Result<(), Failure> {
    let Arrived { offer, from, paths } = arrived;
    let (token, program) = (offer.token, exec.program.display());
    if signals.received().is_some() {
        let message =
            format!("{program} was not run for {token}, which is fetched, because this command ends");
        return ui.show(&Event::Warning { code: "exec-failed", message: &message }).await;
    }
    match exec.run(signals, (offer, Endpoint(*from)), paths).await {
        Ok(Ended { code, signal, timed_out }) => {
            ui.show(&Event::Executed { token, code, signal, timed_out }).await
        }
        Err(error) => {
            let message = format!("{program} could not be run for {token}, which is fetched: {error}");
            ui.show(&Event::Warning { code: "exec-failed", message: &message }).await
        }
    }
}
