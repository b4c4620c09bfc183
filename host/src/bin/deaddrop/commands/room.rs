//! `deaddrop room`: make and keep rooms.

use std::io;
use std::path::PathBuf;

use deaddrop::{Error, Zeroizing};
use deaddrop_core::derive::prepare;

use super::setup::warn_weak;
use crate::cli::{RoomAction, RoomAdd, RoomName, RoomNew};
use crate::exit::Failure;
use crate::passphrase;
use crate::platform;
use crate::rooms::Rooms;
use crate::signals::Signals;
use crate::strength::stands;
use crate::ui::{Event, Ui};
use crate::{private_file, qr, room_file, shell, words};

/// Makes a room, keeps one, or lists those that are kept.
pub(super) async fn room(ui: &Ui, signals: &Signals, action: RoomAction) -> Result<(), Failure> {
    match action {
        RoomAction::New(new) => make(ui, new).await,
        RoomAction::Add(add) => keep(ui, signals, add).await,
        RoomAction::List(_) => list(ui).await,
    }
}

async fn make(ui: &Ui, new: RoomNew) -> Result<(), Failure> {
    if new.qr && !new.force && !ui.out_is_terminal() {
        return Err(Failure::usage(
            "standard output is not a terminal: leave out --qr, or write the code there all the same with --force",
        ));
    }
    // What the others call it is theirs to say, unless it has a name here.
    let name = new.name.as_ref().map_or("NAME", RoomName::as_str);
    let path = match &new.name {
        Some(name) => Some(place(name)?),
        None => new.out,
    };
    let passphrase = words::passphrase(new.words)?;
    let bits = words::bits(new.words);
    let code = new.qr.then(|| qr::drawn(&passphrase)).transpose()?;
    if let Some(code) = &code
        && !new.force
    {
        fits(qr::columns(code))?;
    }
    if let Some(path) = path.clone() {
        let passphrase = passphrase.clone();
        smol::unblock(move || room_file::create(&path, &passphrase)).await?;
    }
    let text = path.is_none().then_some(passphrase.as_str());
    ui.show(&Event::Passphrase { text, path: path.as_deref(), words: new.words, bits }).await?;
    ui.notice(&format!("Strength: {}.", stands(bits))).await?;
    if path.is_some() {
        let name = shell::quoted(name);
        let notice = format!(
            "Give the passphrase in that file to the others, by another way than this network. They keep it with deaddrop \
             room add {name}."
        );
        ui.notice(&notice).await?;
    }
    if let Some(code) = code {
        ui.copy_out(io::Cursor::new(Zeroizing::new(code.as_bytes().to_vec()))).await?;
    }
    Ok(())
}

/// Refuses a code that the terminal would break, before the room is made: it is not drawn again later.
fn fits(columns: usize) -> Result<(), Failure> {
    match platform::window_of_stderr() {
        Some((has @ 1.., _)) if usize::from(has) < columns => Err(Failure::usage(format!(
            "the QR code takes {columns} columns and the terminal has {has}, so no room was made: make the terminal \
             wider, or leave out --qr"
        ))),
        _ => Ok(()),
    }
}

async fn keep(ui: &Ui, signals: &Signals, add: RoomAdd) -> Result<(), Failure> {
    let path = place(&add.name)?;
    let passphrase = passphrase::new(signals).await?;
    // What no command would take later is refused now.
    prepare(&passphrase).map_err(Error::from)?;
    warn_weak(ui, &passphrase).await?;
    let to = path.clone();
    smol::unblock(move || room_file::create(&to, &passphrase)).await?;
    ui.show(&Event::Added { name: &add.name, path: &path }).await
}

/// Where a new room goes. Refused at once where one is already, and not only once a passphrase was typed.
fn place(name: &RoomName) -> Result<PathBuf, Failure> {
    let rooms = Rooms::ours().ok_or_else(passphrase::homeless)?;
    match rooms.find(name)? {
        Some(path) => Err(private_file::exists(&path)),
        None => Ok(rooms.path(name)),
    }
}

async fn list(ui: &Ui) -> Result<(), Failure> {
    let rooms = Rooms::ours().ok_or_else(passphrase::homeless)?;
    let folder = rooms.folder().to_owned();
    let listed = smol::unblock(move || rooms.list()).await?;
    if listed.is_empty() {
        let notice = format!(
            "There is no room in {}: make one with deaddrop room new --name default, or add one that you were told \
             of with deaddrop room add default",
            folder.display()
        );
        ui.notice(&notice).await?;
    }
    for room in listed {
        ui.show(&Event::Room { name: &room.name, path: &room.path, default: room.name.is_default() }).await?;
        if let Some(Failure { message, .. }) = &room.refused {
            ui.show(&Event::Warning { code: "room-file", message }).await?;
        }
    }
    Ok(())
}
