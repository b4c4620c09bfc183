//! News, entries and failures in words, peers' words escaped. Lines end with CR and LF, as serial terminals want them.

use core::fmt::{self, Write};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use deaddrop_core::offer::{EndReason, Kind};

use super::escape;
use crate::desk::{Brief, News, Status};
use crate::store::{Held, Label, State};

/// What this news prints; nothing for [`News::Received`], whose words are with the drop in the store.
pub fn news(to: &mut impl Write, news: &News) -> fmt::Result {
    match news {
        News::Appeared { offer, from } | News::Offer { offer, from } => {
            what(to, offer.kind, &offer.name, offer.size)?;
            write!(to, " from {}, for ", Address(from.ip()))?;
            span(to, offer.ttl)?;
            write!(to, " more\r\n  fetch {}\r\n", offer.token)
        }
        News::Offers { count: 0, .. } => to.write_str("Nothing is offered in this room\r\n"),
        News::Offers { more: true, .. } => {
            to.write_str("There are more than this board can keep: fetch those with: fetch TOKEN from IP\r\n")
        }
        News::Offers { .. } | News::Received { .. } => Ok(()),
        News::Gone { token, reason } => write!(to, "Gone ({reason}): {token}\r\n"),
        News::Fetching { kind, name, size, from, .. } => {
            to.write_str("Fetching ")?;
            what(to, *kind, name, *size)?;
            write!(to, " from {}\r\n", Address(from.ip()))
        }
        News::Offering { drop, at } => offering(to, drop, at),
        News::Fetched { name, size, by, .. } => {
            to.write_str("Fetched: ")?;
            label(to, name)?;
            write!(to, ", {}, by {}; wiped here\r\n", Bytes(*size), Address(*by))
        }
        News::Ended { name, reason, unconfirmed, .. } => {
            to.write_str(match reason {
                EndReason::Expired => "Expired: ",
                _ => "Taken back: ",
            })?;
            label(to, name)?;
            to.write_str(if *unconfirmed {
                "; a receiver that did not confirm may have it all the same; wiped here\r\n"
            } else {
                "; wiped here\r\n"
            })
        }
        News::Forgotten { name } => {
            to.write_str("Wiped: ")?;
            label(to, name)?;
            to.write_str("\r\n")
        }
        News::Auto(true) => to.write_str("Messages are fetched as they are offered\r\n"),
        News::Auto(false) => to.write_str("Nothing is fetched unless you say so\r\n"),
        News::Address(Some(address)) => write!(to, "On the network as {address}\r\n"),
        News::Address(None) => to.write_str("Off the network: check the cable\r\n"),
        News::Status(status) => self::status(to, status),
        News::Failed { token: Some(token), why } => write!(to, "Not done: {why}\r\n  {token}\r\n"),
        News::Failed { token: None, why } => write!(to, "Not done: {why}\r\n"),
        News::Guessing { source, failures } => guessing(to, *source, *failures),
    }
}

/// Where a received drop is: `Received file "a.txt", 12 bytes, as #1`.
pub fn received(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    to.write_str("Received ")?;
    entry(to, held)?;
    if held.kind == Kind::Message {
        to.write_str(":\r\n")
    } else {
        write!(to, ": show #{}\r\n", held.slot.number())
    }
}

/// What was put: `Kept file "a.txt", 12 bytes, as #1`.
pub fn kept(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    to.write_str("Kept ")?;
    entry(to, held)?;
    write!(to, ": offer #{}\r\n", held.slot.number())
}

/// An entry's line in the list.
pub fn listed(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    write!(to, "#{} ", held.slot.number())?;
    what(to, held.kind, &Label::of(held.name), held.size as u64)?;
    match held.state {
        State::Incoming => to.write_str(", not all here yet\r\n"),
        State::Whole => to.write_str("\r\n"),
        State::Offered(token) => write!(to, ", offered\r\n  {token}\r\n"),
    }
}

/// What the store has room for.
pub fn room(to: &mut impl Write, entries: usize, free: usize, capacity: usize) -> fmt::Result {
    write!(to, "Kept here: {entries}, {free} of {capacity} bytes free\r\n")
}

/// Where one's own drop can be fetched.
fn offering(to: &mut impl Write, drop: &Brief, at: &SocketAddr) -> fmt::Result {
    to.write_str("Offering ")?;
    what(to, drop.kind, &drop.name, drop.size)?;
    to.write_str(", for ")?;
    span(to, drop.ttl)?;
    write!(to, "\r\n  deaddrop fetch --from {}:{} --token {}\r\n", Address(at.ip()), at.port(), drop.token)
}

fn status(to: &mut impl Write, status: &Status) -> fmt::Result {
    match (status.link, status.address) {
        (false, _) => to.write_str("Network: no cable\r\n")?,
        (true, None) => to.write_str("Network: no address yet\r\n")?,
        (true, Some(address)) => write!(to, "Network: {address}, drops at port {}\r\n", status.port)?,
    }
    write!(
        to,
        "Room: {} members heard, {} offers; {} of this board's own\r\nMessages are fetched {}; on for ",
        status.members,
        status.offers,
        status.drops,
        if status.auto { "as they are offered" } else { "when you say so" },
    )?;
    span(to, status.up)?;
    to.write_str("\r\n")
}

fn guessing(to: &mut impl Write, source: Option<IpAddr>, failures: u32) -> fmt::Result {
    write!(to, "Warning: {failures} wrong guesses at the passphrase")?;
    match source {
        Some(source) => write!(to, " from {}", Address(source))?,
        None => to.write_str(" from many addresses")?,
    }
    to.write_str(": look who is on this network; a strong passphrase holds\r\n")
}

fn entry(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    what(to, held.kind, &Label::of(held.name), held.size as u64)?;
    write!(to, ", as #{}", held.slot.number())
}

/// A drop in words, as the host has them: `file "a.txt", 12 bytes`.
fn what(to: &mut impl Write, kind: Kind, name: &Label, size: u64) -> fmt::Result {
    to.write_str(kind.word())?;
    if !name.as_str().is_empty() {
        to.write_str(" ")?;
        label(to, name)?;
    }
    write!(to, ", {}", Bytes(size))
}

fn label(to: &mut impl Write, name: &Label) -> fmt::Result {
    write!(to, "\"{}{}\"", escape::line(name.as_str()), if name.is_cut() { "..." } else { "" })
}

/// Words of someone else, in quotes, escaped and in short.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        label(f, &Label::of(self.0))
    }
}

/// An address. This board has none but IPv4, and so neither has a peer of it: the words for others are not worth their
/// flash.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(_) => f.write_str("an IPv6 address"),
        }
    }
}

/// A span of time in its largest fitting unit, rounded down, as on the host.
fn span(to: &mut impl Write, time: Duration) -> fmt::Result {
    let (count, unit) = match time.as_secs() {
        seconds @ 0..=600 => (seconds, "s"),
        seconds @ 601..=36_000 => (seconds / 60, "min"),
        seconds @ 36_001..=259_200 => (seconds / 3_600, "h"),
        seconds => (seconds / 86_400, "days"),
    };
    write!(to, "{count} {unit}")
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "byte" } else { "bytes" })
    }
}

#[cfg(test)]
mod tests;
