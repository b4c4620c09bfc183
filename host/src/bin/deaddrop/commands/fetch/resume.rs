//! What earlier fetches have left: goes on with it, begins it anew, or discards it.

use std::path::PathBuf;
use std::time::Duration;

use deaddrop::{
    Address, Browser, Claim, Destination, Error, FetchError, FoundOffer, Kept, Place, Receiver, SaveError,
    Token, Unfinished, text,
};

use super::Wanted;
use crate::exit::Failure;
use crate::platform;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// Where a drop can go: a file, and what is printed or passed on.
pub(super) struct Places {
    /// Absent with `--out -`.
    pub(super) folder: Option<Destination>,
    /// For messages, and for any drop with `--out -`.
    pub(super) spool: Destination,
    /// Nothing is printed: `--out` names a place.
    pub(super) to_file: bool,
}

/// The folder for what is printed and has to be kept.
pub(super) fn state_folder() -> Option<PathBuf> {
    platform::state_folder().map(|state| state.join("deaddrop"))
}

/// What an earlier fetch has left of the drop that is wanted. Without a token that is a drop which nobody else can have
/// any more, from the sender that is named, if one is.
pub(super) fn find(wanted: &Wanted, places: &Places) -> Result<Option<Unfinished>, Failure> {
    let mut found = Vec::new();
    if let Some(folder) = &places.folder {
        found.extend(folder.unfinished(wanted.token.as_ref()));
    }
    if !places.to_file {
        found.extend(places.spool.unfinished(wanted.token.as_ref()));
    }
    if wanted.token.is_none() {
        let from = |unfinished: &Unfinished| {
            let was_at = Address::from(unfinished.from());
            wanted.at.is_empty() || wanted.at.iter().any(|place| place.addresses().contains(&was_at))
        };
        found.retain(|unfinished| unfinished.is_ours() && from(unfinished));
    } else if found.iter().any(|other| other.offer().token != found[0].offer().token) {
        return Err(Failure::usage(
            "several unfinished drops here begin with that token: give more of its characters",
        ));
    }
    Ok(found.into_iter().next())
}

/// Removes what cannot be gone on with, because a record is damaged, and says so.
pub(in crate::commands) async fn warn_damaged(ui: &Ui, place: &Destination) -> Result<(), Failure> {
    for path in place.remove_damaged() {
        let message = format!(
            "an earlier fetch cannot be gone on with, because its record is damaged: {} has a part of a drop, or all of it; \
             look at it, and remove it",
            path.display()
        );
        ui.show(&Event::Warning { code: "unfinished", message: &message }).await?;
    }
    Ok(())
}

/// Goes on with what an earlier fetch has left. `None` if that was not asked for by name and cannot be had now.
pub(super) async fn resume(
    ui: &Ui,
    signals: &Signals,
    wanted: &Wanted,
    receiver: &Receiver,
    browser: Option<&mut Browser>,
    mut unfinished: Unfinished,
) -> Result<Option<Claim>, Failure> {
    if wanted.restart {
        unfinished.restart()?;
    }
    let claimed = claim(wanted, receiver, browser, &mut unfinished).await;
    match told(ui, signals, claimed, &unfinished).await? {
        Ok(claim) => Ok(Some(claim)),
        Err(failure) if wanted.token.is_some() || signals.received().is_some() => Err(failure),
        Err(failure) => {
            // Another drop may be meant.
            ui.show(&Event::Warning { code: "unfinished", message: &failure.message }).await?;
            Ok(None)
        }
    }
}

/// The same with a drop that was chosen among those that are offered.
pub(super) async fn at(
    ui: &Ui,
    signals: &Signals,
    wanted: &Wanted,
    receiver: &Receiver,
    chosen: &FoundOffer,
    unfinished: &mut Unfinished,
) -> Result<Claim, Failure> {
    if wanted.restart {
        unfinished.restart()?;
    }
    let claimed = receiver.resume(unfinished, &[chosen.place()]).await;
    told(ui, signals, claimed, unfinished).await?
}

/// Shows from where a claim goes on; or says what remains if it could not be had.
async fn told(
    ui: &Ui,
    signals: &Signals,
    claimed: Result<Claim, Error>,
    unfinished: &Unfinished,
) -> Result<Result<Claim, Failure>, Failure> {
    let token = unfinished.offer().token;
    Ok(match claimed {
        Ok(claim) => {
            if claim.resumed_from() > 0 {
                let (offset, size) = (claim.resumed_from(), claim.offer().size);
                ui.show(&Event::Resumed { token, offset, size }).await?;
            }
            Ok(claim)
        }
        Err(error) => {
            let over = matches!(error, Error::Fetch(FetchError::Gone | FetchError::Expired));
            // What stands under its name is not what was received.
            let replaced = matches!(error, Error::Save(SaveError::NotResumable { .. }));
            let failure = signals.failure(error);
            let rest = match unfinished.stored() {
                0 if over => String::new(),
                _ if replaced => {
                    format!(", or give the drop up with deaddrop fetch --discard --token {token}")
                }
                0 => format!(
                    "; the claim of an earlier fetch is given up with deaddrop fetch --discard --token {token}"
                ),
                _ => format!(
                    "; what an earlier fetch received is kept in {}, and removed with deaddrop fetch --discard --token \
                     {token}",
                    unfinished.path().display()
                ),
            };
            Err(Failure { message: format!("{}{rest}", failure.message), ..failure })
        }
    })
}

/// Claims it again: at the address that is named; else where its sender was, then where it is found.
async fn claim(
    wanted: &Wanted,
    receiver: &Receiver,
    browser: Option<&mut Browser>,
    unfinished: &mut Unfinished,
) -> Result<Claim, Error> {
    if !wanted.at.is_empty() {
        return receiver.resume(unfinished, &wanted.at).await;
    }
    let at = [was_at(unfinished)];
    let at_once = receiver.clone().wait(Duration::ZERO).patience(Duration::ZERO);
    let error = match at_once.resume(unfinished, &at).await {
        Err(Error::Fetch(FetchError::Busy(_) | FetchError::Flooded(_) | FetchError::NoBudget)) => {
            return receiver.resume(unfinished, &at).await;
        }
        Err(
            error @ (Error::Fetch(FetchError::Unreachable(_) | FetchError::NotMember | FetchError::Unknown)
            | Error::Interface(_)),
        ) => error,
        claimed => return claimed,
    };
    let Some(browser) = browser else { return Err(error) };
    let token = unfinished.offer().token.into();
    let found = receiver.find(browser, Some(&token)).await?;
    let Some(found) = found.first() else { return Err(error) };
    receiver.resume(unfinished, &[found.place()]).await
}

/// Where its sender was.
fn was_at(unfinished: &Unfinished) -> Place {
    let at = unfinished.from();
    Place::new([at.into()], Some(at.port()))
}

/// Removes what an earlier fetch has left.
pub(super) async fn discard(
    ui: &Ui,
    wanted: &Wanted,
    receiver: &Receiver,
    unfinished: Option<Unfinished>,
) -> Result<(), Failure> {
    let Some(unfinished) = unfinished else {
        return Err(Failure::unknown(
            "nothing unfinished with that token is here, or a fetch of it still runs: run this in the folder of the fetch, or \
             name that with --out",
        ));
    };
    let path = unfinished.path();
    let ours = unfinished.is_ours() && !unfinished.is_whole();
    let was_at = [was_at(&unfinished)];
    receiver.discard(unfinished, if wanted.at.is_empty() { &was_at } else { &wanted.at }).await;
    if path.symlink_metadata().is_ok() {
        return Err(Failure::failed(format!(
            "{} cannot be removed, or is not what this user's fetch has left: remove it by hand",
            path.display()
        )));
    }
    ui.notice(&format!("Removed what was in {}", path.display())).await?;
    if ours {
        ui.notice("Its sender gives the drop to nobody else, and says in the end that nobody confirmed it.")
            .await?;
    }
    Ok(())
}

/// The failure of a fetch of which something is kept, which is told too.
pub(super) async fn kept(ui: &Ui, mut failure: Failure, kept: &Kept, token: Token) -> Failure {
    let path = kept.path.display();
    let again = format!("or remove it with deaddrop fetch --discard --token {token}");
    let what = if kept.is_archive {
        format!(
            "all of it is kept in {path}, a tar archive: unpack it from there with tar -xf, and remove it"
        )
    } else if kept.is_whole() {
        format!("the whole drop is kept in {path}: run the same fetch again to finish it, {again}")
    } else if kept.stored > 0 {
        let (stored, size) = (text::Bytes(kept.stored), text::Bytes(kept.size));
        format!("{stored} of {size} are kept in {path}: run the same fetch again to go on, {again}")
    } else if kept.is_ours {
        format!("its sender holds the drop for this receiver: run the same fetch again to have it, {again}")
    } else {
        format!("its claim is kept in {path}: run the same fetch again to go on, {again}")
    };
    let event =
        Event::Kept { token, path: &kept.path, stored: kept.stored, size: kept.size, reason: failure.code };
    // If it cannot be shown, the failure says the same.
    let _ = ui.show(&event).await;
    failure.message = format!("{}; {what}", failure.message);
    failure
}
