//! `deaddrop doctor`: say what is in the way of finding the others.

use std::time::Duration;

use deaddrop::diagnosis::{Check, Examination, Verdict};
use deaddrop::{Room, Zeroizing};

use super::resolve;
use super::setup::{derive, network};
use crate::cli::{Named, NetArgs};
use crate::exit::{Exit, Failure};
use crate::messages;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// The word for the check of the room, and for what is wrong with it.
const ROOM: &str = "room";

/// What to examine.
pub(super) struct Job {
    /// The machines that were named, if any.
    pub(super) senders: Vec<Named>,
    /// How long to listen, if it was said.
    pub(super) wait: Option<Duration>,
    /// What all commands share.
    pub(super) net: NetArgs,
    /// The room, if one is given, or why it cannot be had.
    pub(super) passphrase: Result<Option<Zeroizing<String>>, Failure>,
}

/// Makes one check after the other. Fails with what is most likely in the way.
pub(super) async fn doctor(ui: &Ui, signals: &Signals, job: Job) -> Result<(), Failure> {
    // A name that is not found is one more check that has failed.
    let (places, unresolved) = resolve::look_up_all(signals, &job.senders).await?;
    let mut examination = Examination::new(&network(&job.net)).named(places);
    if let Some(wait) = job.wait {
        examination = examination.listen_for(wait);
    }
    let room = match job.passphrase {
        Ok(Some(passphrase)) => derive(Room::derive(passphrase), signals).await.map(Some),
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    let (ok, message) = match &room {
        Ok(Some(_)) => (true, "its passphrase can be read, and by nobody else if it is in a file"),
        Ok(None) => (true, "none is given, so senders are tried no further than their greeting"),
        Err(failure) => (false, &*failure.message),
    };
    ui.show(&Event::Check { check: ROOM, ok, message, commands: &[] }).await?;
    if let Ok(Some(room)) = &room {
        examination = examination.room(room);
    }
    while let Some(findings) = examination.next().await? {
        for finding in findings {
            let (check, ok, message) = (finding.check().word(), !finding.is_fault(), finding.to_string());
            ui.show(&Event::Check { check, ok, message: &message, commands: finding.commands() }).await?;
        }
    }
    for message in &unresolved {
        let check = Check::Sender.word();
        ui.show(&Event::Check { check, ok: false, message, commands: &[] }).await?;
    }
    // No command works before the room can be had.
    if let Err(failure) = room {
        return Err(Failure::new(Exit::Failed, ROOM, failure.message));
    }
    let verdict = examination.verdict();
    let (code, message) = messages::diagnosis(&verdict, job.net.mdns);
    // What is wrong with this machine can be the reason that the name is not found.
    let of_this_machine = !verdict.is_good() && !matches!(verdict, Verdict::Sender { .. });
    if let Some(message) = unresolved.into_iter().next().filter(|_| !of_this_machine) {
        return Err(Failure::new(Exit::Failed, "name-not-found", message));
    }
    if verdict.is_good() {
        return ui.show(&Event::Diagnosis { code, message: &message }).await;
    }
    Err(Failure::new(Exit::Failed, code, message))
}
