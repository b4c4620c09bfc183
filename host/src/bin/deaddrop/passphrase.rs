//! Where the passphrase of the room comes from.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::{Zeroize, Zeroizing};

use crate::cli::{RoomArgs, RoomName};
use crate::exit::Failure;
use crate::platform;
use crate::prompt;
use crate::room_file::{self, text};
use crate::rooms::Rooms;
use crate::signals::Signals;

/// The environment variable that may hold the passphrase.
pub(crate) const VARIABLE: &str = "DEADDROP_ROOM";

/// How else than on a terminal a passphrase is given.
struct Advice {
    without_a_terminal: &'static str,
    without_typing: &'static str,
}

const TO_JOIN: Advice = Advice {
    without_a_terminal: "make a room with deaddrop room new --name default, keep one that you were told of with deaddrop \
                         room add default, or give --room-file, --room-name or DEADDROP_ROOM",
    without_typing: "give --room-file PATH, or set DEADDROP_ROOM",
};

/// No flag and no variable holds a passphrase that is to be kept.
const TO_KEEP: Advice = Advice {
    without_a_terminal: "pass it through standard input: deaddrop room add NAME < FILE",
    without_typing: "or pass it through standard input: deaddrop room add NAME < FILE",
};

/// Where else than on the command line a passphrase may be found.
pub(crate) struct Surroundings {
    /// The value of [`VARIABLE`].
    variable: Option<OsString>,
    /// The rooms with names; none of a user without a home.
    rooms: Option<Rooms>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn ours() -> Self {
        Self { variable: std::env::var_os(VARIABLE), rooms: Rooms::ours() }
    }
}

/// The passphrase of a room to join: from `--room`, else `--room-file`, else `--room-name`, else the environment, else
/// the default room, else asked for on a terminal without echo.
pub(crate) async fn passphrase(
    args: RoomArgs,
    surroundings: Surroundings,
    signals: &Signals,
) -> Result<Zeroizing<String>, Failure> {
    Ok(find(args, surroundings, signals).await?.passphrase)
}

/// A passphrase, and the file that it is from.
pub(crate) struct Found {
    pub(crate) passphrase: Zeroizing<String>,
    pub(crate) file: Option<PathBuf>,
}

/// The same as [`passphrase`], with the file to read it from again, if it is from one.
pub(crate) async fn find(
    args: RoomArgs,
    surroundings: Surroundings,
    signals: &Signals,
) -> Result<Found, Failure> {
    choose(args, surroundings, async || ask("Room passphrase: ", signals, &TO_JOIN).await).await
}

/// The same where there may be none: nobody is asked.
pub(crate) async fn given(
    args: RoomArgs,
    surroundings: Surroundings,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut absent = false;
    let found = choose(args, surroundings, async || {
        absent = true;
        Ok(Zeroizing::new(String::new()))
    });
    let found = found.await;
    if absent { Ok(None) } else { found.map(|found| Some(found.passphrase)) }
}

/// The passphrase in a room file.
pub(crate) async fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let (source, path) = (path.display().to_string(), path.to_owned());
    // On a thread of its own: a pipe can keep us waiting, and a signal is to end that.
    checked(smol::unblock(move || room_file::read(&path)).await?, &source)
}

/// The passphrase of a room to be kept: asked for twice on a terminal, so that a slip is not kept with it. Read from
/// standard input where that is no terminal.
pub(crate) async fn new(signals: &Signals) -> Result<Zeroizing<String>, Failure> {
    if io::stdin().is_terminal() {
        return twice(async |question| ask(question, signals, &TO_KEEP).await).await;
    }
    let refuse = |error| Failure::failed(format!("cannot read standard input: {error}"));
    let mut stdin = platform::stdin().map_err(refuse)?;
    let bytes = smol::unblock(move || room_file::read_line(&mut stdin)).await.map_err(refuse)?;
    checked(text(bytes, "the passphrase from standard input", "convert it to UTF-8")?, "standard input")
}

async fn twice(
    ask: impl AsyncFn(&'static str) -> Result<Zeroizing<String>, Failure>,
) -> Result<Zeroizing<String>, Failure> {
    let first = checked(ask("Room passphrase: ").await?, "the terminal")?;
    if *ask("The same once more: ").await? != *first {
        return Err(Failure::usage("the two passphrases differ, and none is kept: start again"));
    }
    Ok(first)
}

/// The failure of a user without a home, who has no rooms with names.
pub(crate) fn homeless() -> Failure {
    let variables = platform::CONFIGURATION_VARIABLES;
    Failure::usage(format!("rooms with names need a folder for them: set {variables} to an absolute path"))
}

async fn choose(
    args: RoomArgs,
    surroundings: Surroundings,
    ask: impl AsyncFnOnce() -> Result<Zeroizing<String>, Failure>,
) -> Result<Found, Failure> {
    let found = |passphrase| Found { passphrase, file: None };
    let Surroundings { variable, rooms } = surroundings;
    if let Some(room) = args.room {
        return checked(room.into_inner(), "--room").map(found);
    }
    let from_file = async |path: PathBuf| {
        let passphrase = from_file(&path).await?;
        Ok(Found { passphrase, file: Some(path) })
    };
    if let Some(path) = args.room_file {
        return from_file(path).await;
    }
    if let Some(name) = args.room_name {
        return from_file(rooms.ok_or_else(homeless)?.existing(&name)?).await;
    }
    if let Some(value) = variable {
        let value = value.into_string().map_err(|value| {
            value.into_encoded_bytes().zeroize();
            Failure::usage(format!("the passphrase in {VARIABLE} is not UTF-8 text: set it as UTF-8"))
        })?;
        return checked(Zeroizing::new(value), VARIABLE).map(found);
    }
    let default = rooms.map(|rooms| rooms.find(&RoomName::default_room())).transpose()?.flatten();
    if let Some(path) = default {
        return from_file(path).await;
    }
    checked(ask().await?, "the terminal").map(found)
}

fn checked(passphrase: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>, Failure> {
    if passphrase.starts_with('\u{feff}') {
        return Err(Failure::usage(format!(
            "the passphrase from {source} starts with a byte order mark, which an editor has put there: save it as \
             UTF-8 without BOM"
        )));
    }
    match passphrase.len() {
        0 => Err(Failure::usage(format!("the passphrase from {source} is empty"))),
        1..=PASSPHRASE_MAX => Ok(passphrase),
        _ => Err(Failure::usage(format!(
            "the passphrase from {source} is too long: it has at most {PASSPHRASE_MAX} bytes"
        ))),
    }
}

/// Asks on the terminal. When neither standard input nor standard error is one, nobody may be there
/// to answer, and waiting for them would only hang a script.
async fn ask(
    question: &'static str,
    signals: &Signals,
    advice: &Advice,
) -> Result<Zeroizing<String>, Failure> {
    let nobody = || {
        Failure::usage(format!(
            "no passphrase was given, and there is no terminal to ask on: {}",
            advice.without_a_terminal
        ))
    };
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(nobody());
    }
    let bytes = prompt::ask(question, signals).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Failure::usage(format!("no passphrase was typed: type one, {}", advice.without_typing))
        }
        _ => nobody(),
    })?;
    let advice = format!("set the terminal to UTF-8, {}", advice.without_typing);
    text(bytes, "the passphrase from the terminal", &advice)
}

#[cfg(test)]
mod tests;
