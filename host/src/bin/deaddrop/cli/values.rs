//! The values of options, checked as they are read. Each refusal says what would be accepted.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use deaddrop::{Fetches, Zeroizing, text};
use deaddrop_core::limits::{FETCHES_MAX, TCP_PORT_MIN, TTL_MAX, TTL_MIN};

/// Bytes of a room's name, as of any file's.
const ROOM_NAME_MAX: usize = 255;

/// Text that may be a secret: wiped when dropped, and not shown by `Debug`.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Text(Zeroizing<String>);

impl Text {
    /// The text, which may be a secret.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The text, still wiped when dropped.
    pub(crate) fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

impl FromStr for Text {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Zeroizing::new(text.into())))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

/// The name of a room: that of a file, so that it leads out of no folder and is not hidden.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomName(String);

impl RoomName {
    /// The room that is used where none is given.
    pub(crate) const DEFAULT: &str = "default";

    /// That room's name.
    pub(crate) fn default_room() -> Self {
        Self(Self::DEFAULT.into())
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the room that is used where none is given.
    pub(crate) fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl RoomName {
    /// The name that is written so; `slash` says why a path is none.
    fn parse(name: &str, slash: &'static str) -> Result<Self, String> {
        let unseen = |c: char| text::is_control(c) || text::is_invisible(c);
        let refusal = match name {
            "" => "a room's name is not empty",
            name if name.len() > ROOM_NAME_MAX => "a room's name has at most 255 bytes",
            name if name.contains('/') => slash,
            name if name.starts_with(['.', '-']) => "a room's name does not begin with a dot or a dash",
            name if name.contains(unseen) => "a room's name has no characters that nobody sees",
            name => return Ok(Self(name.into())),
        };
        Err(refusal.into())
    }
}

impl FromStr for RoomName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name, "a room's name has no slash: give --room-file for a path")
    }
}

/// The name of a room that is made, which may be written into any file instead.
pub(super) fn made_room(name: &str) -> Result<RoomName, String> {
    RoomName::parse(name, "a room's name has no slash: give --out for a path")
}

/// The name of a room that is kept, which has no other place.
pub(super) fn kept_room(name: &str) -> Result<RoomName, String> {
    RoomName::parse(name, "a room's name has no slash")
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn within(text: &str, low: u64, high: u64, what: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|value| (low..=high).contains(value))
        .ok_or_else(|| format!("give {what} from {low} to {high}"))
}

/// A time as people write it: seconds as a plain number, or numbers with units.
fn time(text: &str, low: Duration, high: Duration) -> Result<Duration, String> {
    let text = text.trim();
    let time = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    // Whole seconds, because a part of one would be cut off in what is shown of the drop.
    time.filter(|time| (low..=high).contains(time) && time.subsec_nanos() == 0).ok_or_else(|| {
        format!(
            "give a time from {} s to {} d, in seconds (90) or with units (90s, 5m, 1h30m, 2d)",
            low.as_secs(),
            high.as_secs() / 86_400
        )
    })
}

/// A size as people write it: bytes as a plain number, or a number with a unit, of powers of 1,024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    size.ok_or_else(|| {
        "give a size in bytes (4096) or with a unit of powers of 1,024 (500k, 20M, 2G, 1T)".into()
    })
}

/// The limit of time of a program.
pub(super) fn exec_timeout(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

/// A program.
pub(super) fn program(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("give a program".into()) } else { Ok(text.into()) }
}

/// Which drops are fetched as they appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoFetch {
    /// None.
    None,
    /// Messages alone.
    Messages,
    /// Messages, files and folders.
    All,
}

impl FromStr for AutoFetch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "messages" => Ok(Self::Messages),
            "all" => Ok(Self::All),
            _ => Err("give messages, all, or none".into()),
        }
    }
}

/// The folder for what is fetched unattended.
pub(super) fn out_folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text == "-" {
        return Err("give a folder that exists".into());
    }
    Ok(text.into())
}

pub(super) fn ttl(text: &str) -> Result<Duration, String> {
    time(text, TTL_MIN, TTL_MAX)
}

pub(super) fn wait(text: &str) -> Result<Duration, String> {
    time(text, Duration::ZERO, Duration::from_secs(86_400))
}

pub(super) fn fetches(text: &str) -> Result<Fetches, String> {
    if text == "all" {
        return Ok(Fetches::All);
    }
    let most = u64::try_from(FETCHES_MAX).unwrap_or(u64::MAX);
    let count = within(text, 1, most, "a count").map_err(|refusal| format!("{refusal}, or all"))?;
    u8::try_from(count).map(Fetches::Counted).map_err(|error| error.to_string())
}

fn port_from(text: &str, low: u16) -> Result<u16, String> {
    let port = within(text, u64::from(low), u64::from(u16::MAX), "a port")?;
    u16::try_from(port).map_err(|error| error.to_string())
}

/// A port of ours: beacons may not point below 1024, so nothing below is of use.
pub(super) fn port(text: &str) -> Result<u16, String> {
    port_from(text, TCP_PORT_MIN)
}

/// A port of another machine, which may well have a low one forwarded.
pub(super) fn any_port(text: &str) -> Result<u16, String> {
    port_from(text, 1)
}

/// Words of a passphrase: with fewer than four it would be weak.
pub(super) fn words(text: &str) -> Result<usize, String> {
    let count = within(text, 4, 24, "a count")?;
    usize::try_from(count).map_err(|error| error.to_string())
}

pub(super) fn room_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text == "-" {
        return Err("give a new file; without --out the passphrase is printed".into());
    }
    Ok(text.into())
}

pub(super) fn page_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text == "-" {
        return Err("give a new file; without --out it goes to standard output".into());
    }
    Ok(text.into())
}

pub(super) fn key_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("give the file with the key, or - for standard input".into());
    }
    Ok(text.into())
}

pub(super) fn out(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("give a new file, a folder, or - for standard output".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_they_say() {
        assert_eq!(ttl("1"), Ok(Duration::from_secs(1)));
        assert_eq!(ttl("604800"), Ok(Duration::from_secs(604_800)));
        for bad in ["0", "604801", "-1", "1.5", "", "0s", "8d", "99999999999999999999"] {
            let refusal =
                "give a time from 1 s to 7 d, in seconds (90) or with units (90s, 5m, 1h30m, 2d)".to_owned();
            assert_eq!(ttl(bad), Err(refusal), "{bad}");
        }
        assert_eq!((fetches("1"), fetches("64")), (Ok(Fetches::Counted(1)), Ok(Fetches::Counted(64))));
        assert_eq!(fetches("all"), Ok(Fetches::All));
        for bad in ["0", "65", "257", "All", ""] {
            assert_eq!(fetches(bad), Err("give a count from 1 to 64, or all".to_owned()), "{bad}");
        }
        assert_eq!((port("1024"), port("65535")), (Ok(1024), Ok(65535)));
        assert!(port("0").is_err() && port("1023").is_err() && port("65536").is_err());
        assert!(any_port("0").is_err() && any_port("1").is_ok());
        assert!(wait("0").is_ok() && wait("86400").is_ok() && wait("86401").is_err());
        assert!(out("").is_err());
        assert!(room_file("").is_err() && room_file("-").is_err() && room_file("x").is_ok());
        assert_eq!((words("4"), words("24")), (Ok(4), Ok(24)));
        assert!(words("3").is_err() && words("25").is_err());
    }

    #[test]
    fn a_time_may_be_written_as_people_write_it() {
        for (text, seconds) in [
            ("120", 120),
            ("90s", 90),
            ("5m", 300),
            ("5 min", 300),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("1.5h", 5_400),
            ("2d", 172_800),
            ("1 week", 604_800),
            (" 7 ", 7),
            ("007", 7),
        ] {
            assert_eq!(ttl(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        // A month, the half of a second, a unit alone or of something else, and a sign.
        for bad in
            ["1M", "1500ms", "0.5s", "m", "5x", "5m30", "-5m", "5 m m", "1h-30m", "\u{661}m", "5\u{b5}"]
        {
            assert!(ttl(bad).is_err(), "{bad}");
        }
        assert_eq!(wait("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_size_may_be_written_as_people_write_it() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4_096),
            ("500k", 512_000),
            ("20M", 20 << 20),
            ("2G", 2 << 30),
            ("2 GiB", 2 << 30),
            ("2gb", 2 << 30),
            ("1T", 1 << 40),
            (" 7 ", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "-1", "1.5G", "2X", "2GG", "18446744073709551616", "99999999999T", "\u{661}"] {
            assert!(size(bad).unwrap_err().contains("500k, 20M, 2G"), "{bad}");
        }
    }

    #[test]
    fn a_rooms_name_is_that_of_a_visible_file_in_one_folder() {
        for name in ["default", "work", "Büro 2", "a.b", "room-1", "请", &"x".repeat(255)] {
            assert_eq!(name.parse::<RoomName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        let longer = "x".repeat(256);
        for bad in [
            "",
            "/etc/passwd",
            "a/b",
            "..",
            ".",
            ".hidden",
            "-x",
            "a\nb",
            "\u{1b}[31m",
            "a\0",
            "a\u{202e}b",
            &longer,
        ] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn secret_text_is_not_shown() {
        assert_eq!(format!("{:?}", "marker".parse::<Text>()), "Ok(Text(..))");
    }
}
