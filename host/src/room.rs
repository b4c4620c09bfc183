//! Where the passphrase of the room comes from, and how strong it is.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use deaddrop_core::limits::{HOST, PASSPHRASE_MAX};
use zeroize::{Zeroize, Zeroizing};

use crate::cli::RoomArgs;
use crate::exit::Failure;

/// The environment variable that may hold the passphrase.
pub const VARIABLE: &str = "DEADDROP_ROOM";

/// The code of the warning that [`weak`] words.
pub const WEAK_CODE: &str = "weak-passphrase";

/// Below this many bits a passphrase gets a warning.
const STRONG_BITS: f64 = 40.0;
/// The bits of one word out of a large dictionary.
const WORD_BITS: f64 = 17.0;

/// The passphrase: from `--room`, else `--room-file`, else the environment, else asked for on a
/// terminal without echo. `variable` is the value of [`VARIABLE`].
pub fn passphrase(args: RoomArgs, variable: Option<OsString>) -> Result<Zeroizing<String>, Failure> {
    choose(args, variable, ask)
}

fn choose(
    args: RoomArgs,
    variable: Option<OsString>,
    ask: impl FnOnce() -> Result<Zeroizing<String>, Failure>,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(room) = args.room {
        return checked(room.into_inner(), "--room");
    }
    if let Some(path) = &args.room_file {
        return checked(from_file(path)?, &path.display().to_string());
    }
    if let Some(value) = variable {
        let value = value.into_string().map_err(|value| {
            value.into_encoded_bytes().zeroize();
            Failure::usage(format!("the passphrase in {VARIABLE} is not UTF-8"))
        })?;
        return checked(Zeroizing::new(value), VARIABLE);
    }
    checked(ask()?, "the terminal")
}

fn checked(passphrase: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>, Failure> {
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
    let refuse =
        |error: io::Error| Failure::usage(format!("cannot read the room file {}: {error}", path.display()));
    let mut file = File::open(path).map_err(refuse)?;
    // Looked at through the handle, so that it is the file that is then read.
    let metadata = file.metadata().map_err(refuse)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("the room file {} is a folder", path.display())));
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
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        Failure::usage(format!("the room file {} is not UTF-8 text", path.display()))
    })
}

/// Refuses a room file that others can read, or that belongs to someone else.
fn private(path: &Path, owner: u32, mode: u32, me: u32) -> Result<(), Failure> {
    if owner != me && owner != 0 {
        return Err(Failure::usage(format!(
            "the room file {} belongs to another user: make one of your own",
            path.display()
        )));
    }
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "others can reach the room file {path}: keep it to yourself with: chmod 600 {path}",
            path = path.display()
        )));
    }
    Ok(())
}

/// Asks on the terminal. When neither standard input nor standard error is one, nobody may be there
/// to answer, and waiting for them would only hang a script.
fn ask() -> Result<Zeroizing<String>, Failure> {
    let nobody = || {
        Failure::usage(format!(
            "no passphrase and no terminal to ask on: give --room-file PATH, set {VARIABLE}, or give --room"
        ))
    };
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(nobody());
    }
    match rpassword::prompt_password("Room passphrase: ") {
        Ok(passphrase) => Ok(Zeroizing::new(passphrase)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::interrupted()),
        Err(_) => Err(nobody()),
    }
}

/// The text of a warning if the passphrase could be guessed over the network in reasonable time.
///
/// The estimate is an upper bound: what an attacker must try who knows only which sorts of characters
/// are in it, and that people repeat characters, count up, and use single words.
pub fn weak(passphrase: &str) -> Option<String> {
    let bits = bits(passphrase);
    (bits < STRONG_BITS).then(|| {
        let per_day = 86_400_000 / HOST.total_refill.as_millis().max(1);
        format!(
            "this passphrase is worth {bits:.0} bits at most, and anyone on the network can try {} guesses \
             and then {} a day: use four or more random words",
            grouped(u128::from(HOST.total_burst)),
            grouped(per_day),
        )
    })
}

fn bits(passphrase: &str) -> f64 {
    let sort = |c: char| match c {
        'a'..='z' => (0, 26.0),
        'A'..='Z' => (1, 26.0),
        '0'..='9' => (2, 10.0),
        c if c.is_ascii() => (3, 33.0),
        _ => (4, 128.0),
    };
    let mut sorts = [0.0_f64; 5];
    let mut counted = 0_u16;
    let mut last: Option<char> = None;
    for c in passphrase.chars() {
        let (which, many) = sort(c);
        if let Some(slot) = sorts.get_mut(which) {
            *slot = many;
        }
        // "aaaa" and "1234" add nothing after their first character.
        let follows = last.is_some_and(|last| u32::from(c).abs_diff(u32::from(last)) <= 1);
        counted = counted.saturating_add(u16::from(!follows));
        last = Some(c);
    }
    let alphabet: f64 = sorts.iter().sum();
    let by_characters = f64::from(counted) * alphabet.max(1.0).log2();
    // One word with a few characters after it is in every guesser's list.
    let word = passphrase.trim_end_matches(|c: char| !c.is_alphabetic());
    let tail = passphrase.chars().count() - word.chars().count();
    // Scripts from U+2E80 on write several words without a space between.
    let in_a_word = |c: char| c.is_alphabetic() && c < '\u{2e80}';
    let one_word = (1..=12).contains(&word.chars().count()) && word.chars().all(in_a_word);
    if one_word && tail <= 4 {
        let tail_bits = f64::from(u16::try_from(tail).unwrap_or(u16::MAX)) * 43_f64.log2();
        return by_characters.min(WORD_BITS + tail_bits);
    }
    by_characters
}

/// A number with a comma before every three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
