//! Where the passphrase of the room comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::{Zeroize, Zeroizing};

use crate::cli::RoomArgs;
use crate::exit::Failure;
use crate::prompt;
use crate::signals::Signals;

/// The environment variable that may hold the passphrase.
pub(crate) const VARIABLE: &str = "DEADDROP_ROOM";

/// The passphrase: from `--room`, else `--room-file`, else the environment, else asked for on a
/// terminal without echo. `variable` is the value of [`VARIABLE`].
pub(crate) async fn passphrase(
    args: RoomArgs,
    variable: Option<OsString>,
    signals: &Signals,
) -> Result<Zeroizing<String>, Failure> {
    choose(args, variable, async || ask(signals).await).await
}

async fn choose(
    args: RoomArgs,
    variable: Option<OsString>,
    ask: impl AsyncFnOnce() -> Result<Zeroizing<String>, Failure>,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(room) = args.room {
        return checked(room.into_inner(), "--room");
    }
    if let Some(path) = args.room_file {
        let source = path.display().to_string();
        // On a thread of its own: a pipe can keep us waiting, and a signal is to end that.
        return checked(smol::unblock(move || from_file(&path)).await?, &source);
    }
    if let Some(value) = variable {
        let value = value.into_string().map_err(|value| {
            value.into_encoded_bytes().zeroize();
            Failure::usage(format!("the passphrase in {VARIABLE} is not UTF-8 text: set it as UTF-8"))
        })?;
        return checked(Zeroizing::new(value), VARIABLE);
    }
    checked(ask().await?, "the terminal")
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

/// Reads a room file. Its last line end is dropped; everything else is the passphrase.
fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refuse = |error: io::Error| {
        Failure::usage(format!(
            "cannot read the room file {}: {error}; check its path and rights",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(refuse)?;
    // Looked at through the handle, so that it is the file that is then read.
    let metadata = file.metadata().map_err(refuse)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!(
            "the room file {} is a folder: name the file in it",
            path.display()
        )));
    }
    private(path, metadata.uid(), metadata.mode(), rustix::process::geteuid().as_raw())?;
    // Read into memory that was set aside before, so that no copy is left behind by growing: the
    // longest passphrase, a line end, and one byte by which a longer file shows.
    let mut bytes = Zeroizing::new(vec![0; PASSPHRASE_MAX + 3]);
    let mut length = 0;
    loop {
        match file.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refuse(error)),
        }
    }
    bytes.truncate(length);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    text(bytes, &format!("the room file {}", path.display()), "save it as UTF-8")
}

/// The bytes of `source` as text, without a copy of them; `advice` says what to do if they are none.
fn text(mut bytes: Zeroizing<Vec<u8>>, source: &str, advice: &str) -> Result<Zeroizing<String>, Failure> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        let mut bytes = error.into_bytes();
        let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        bytes.zeroize();
        Failure::usage(if wide {
            format!("{source} is UTF-16 text: save it as UTF-8 without BOM")
        } else {
            format!("{source} is not UTF-8 text: {advice}")
        })
    })
}

/// Refuses a room file that others can read, or that belongs to someone else.
fn private(path: &Path, owner: u32, mode: u32, me: u32) -> Result<(), Failure> {
    // Where neither can be mended: a secret mounted into a container, sudo, a file system without modes.
    let instead = format!(
        "or pass on what is in it: cat {path} | deaddrop ... --room-file /dev/stdin, or {VARIABLE}=\"$(cat {path})\" \
         deaddrop ...",
        path = path.display()
    );
    if owner != me && owner != 0 {
        return Err(Failure::usage(format!(
            "the room file {} belongs to another user: make one of your own, {instead}",
            path.display()
        )));
    }
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "others can reach the room file {path}: keep it to yourself with: chmod 600 {path}, {instead}",
            path = path.display()
        )));
    }
    Ok(())
}

/// Asks on the terminal. When neither standard input nor standard error is one, nobody may be there
/// to answer, and waiting for them would only hang a script.
async fn ask(signals: &Signals) -> Result<Zeroizing<String>, Failure> {
    let nobody = || {
        Failure::usage(format!(
            "no passphrase and no terminal to ask on: give --room-file PATH, set {VARIABLE}, or give --room"
        ))
    };
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(nobody());
    }
    let bytes = prompt::ask("Room passphrase: ", signals).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::usage(format!(
            "no passphrase was typed: type one, give --room-file PATH, or set {VARIABLE}"
        )),
        _ => nobody(),
    })?;
    text(bytes, "the passphrase from the terminal", "set the terminal to UTF-8, or give --room-file PATH")
}

#[cfg(test)]
mod tests;
