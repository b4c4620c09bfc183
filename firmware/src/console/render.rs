//! Text for events, store entries and errors, with peers' strings escaped. Lines end with CR LF, as serial terminals
//! expect.

use core::fmt::{self, Write};
use core::net::{IpAddr, SocketAddr};

use deaddrop_core::offer::{EndReason, Kind};
use deaddrop_core::text::{Bytes, Span, line};

use crate::mailbox::{Event, OfferSummary, Status};
use crate::store::{Held, Label, State};

/// The text of an event; nothing for [`Event::Received`], whose text needs the store entry: see [`received`].
pub fn event(to: &mut impl Write, event: &Event) -> fmt::Result {
    match event {
        Event::Appeared { offer, from } | Event::Offer { offer, from } => {
            what(to, offer.kind, &offer.name, offer.size)?;
            write!(to, " from {}, for {}", Address(from.ip()), Span(offer.ttl))?;
            write!(to, " more\r\n  fetch {}\r\n", offer.token)
        }
        Event::Offers { count: 0, .. } => to.write_str("Nothing is offered in this room\r\n"),
        Event::Offers { more: true, .. } => {
            to.write_str("There are more than this board can keep: fetch those with: fetch TOKEN from IP\r\n")
        }
        Event::Offers { .. } | Event::Received { .. } => Ok(()),
        Event::Gone { token, reason } => write!(to, "Gone ({reason}): {token}\r\n"),
        Event::Fetching { kind, name, size, from, .. } => {
            to.write_str("Fetching ")?;
            what(to, *kind, name, *size)?;
            write!(to, " from {}\r\n", Address(from.ip()))
        }
        Event::Offering { drop, at } => offering(to, drop, at),
        Event::Fetched { name, size, by, .. } => {
            to.write_str("Fetched: ")?;
            label(to, name)?;
            write!(to, ", {}, by {}; wiped here\r\n", Bytes(*size), Address(*by))
        }
        Event::Ended { name, reason, unconfirmed, .. } => {
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
        Event::Forgotten { name } => {
            to.write_str("Wiped: ")?;
            label(to, name)?;
            to.write_str("\r\n")
        }
        Event::Auto(true) => to.write_str("Messages are fetched as they are offered\r\n"),
        Event::Auto(false) => to.write_str("Nothing is fetched unless you say so\r\n"),
        Event::Address(Some(address)) => write!(to, "On the network as {address}\r\n"),
        Event::AddressTaken(address) => {
            write!(
                to,
                "Address {address} is taken: another device has it too. Give that one or this board another\r\n"
            )
        }
        Event::Address(None) => to.write_str("Off the network: check cable or Wi-Fi\r\n"),
        Event::Notice(line) => write!(to, "{line}\r\n"),
        Event::Status(status) => self::status(to, status),
        Event::Failed { token: Some(token), why } => write!(to, "Not done: {why}\r\n  {token}\r\n"),
        Event::Failed { token: None, why } => write!(to, "Not done: {why}\r\n"),
        Event::Guessing { source, failures } => guessing(to, *source, *failures),
    }
}

/// The text for a received drop: `Received file "a.txt", 12 bytes, as #1`.
pub fn received(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    to.write_str("Received ")?;
    entry(to, held)?;
    if held.kind == Kind::Message {
        to.write_str(":\r\n")
    } else {
        write!(to, ": show #{}\r\n", held.slot.number())
    }
}

/// The text for a pasted file: `Kept file "a.txt", 12 bytes, as #1`.
pub fn kept(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    to.write_str("Kept ")?;
    entry(to, held)?;
    write!(to, ": offer #{}\r\n", held.slot.number())
}

/// The line of an entry in `list`.
pub fn listed(to: &mut impl Write, held: &Held<'_>) -> fmt::Result {
    write!(to, "#{} ", held.slot.number())?;
    what(to, held.kind, &Label::of(held.name), held.size as u64)?;
    match held.state {
        State::Incoming => to.write_str(", not all here yet\r\n"),
        State::Whole => to.write_str("\r\n"),
        State::Offered(token) => write!(to, ", offered\r\n  {token}\r\n"),
    }
}

/// The line about the store in `status`.
pub fn space(to: &mut impl Write, entries: usize, free: usize, capacity: usize) -> fmt::Result {
    write!(to, "Kept here: {entries}, {free} of {capacity} bytes free\r\n")
}

/// The text for an offered drop, with the command that fetches it.
fn offering(to: &mut impl Write, drop: &OfferSummary, at: &SocketAddr) -> fmt::Result {
    to.write_str("Offering ")?;
    what(to, drop.kind, &drop.name, drop.size)?;
    write!(to, ", for {}\r\n", Span(drop.ttl))?;
    write!(to, "  deaddrop fetch --from {}:{} --token {}\r\n", Address(at.ip()), at.port(), drop.token)
}

fn status(to: &mut impl Write, status: &Status) -> fmt::Result {
    match (status.link, status.address) {
        (false, _) => to.write_str("Network: no link\r\n")?,
        (true, None) => to.write_str("Network: no address yet\r\n")?,
        (true, Some(address)) => write!(to, "Network: {address}, drops at port {}\r\n", status.port)?,
    }
    write!(
        to,
        "Room: {} members heard, {} offers; {} of this board's own\r\nMessages are fetched {}; on for {}\r\n",
        status.members,
        status.offers,
        status.drops,
        if status.auto { "as they are offered" } else { "when you say so" },
        Span(status.up),
    )
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

/// A drop, in the host's form: `file "a.txt", 12 bytes`.
fn what(to: &mut impl Write, kind: Kind, name: &Label, size: u64) -> fmt::Result {
    to.write_str(kind.word())?;
    if !name.as_str().is_empty() {
        to.write_str(" ")?;
        label(to, name)?;
    }
    write!(to, ", {}", Bytes(size))
}

fn label(to: &mut impl Write, name: &Label) -> fmt::Result {
    write!(to, "\"{}{}\"", line(name.as_str()), if name.is_cut() { "..." } else { "" })
}

/// A peer's or the user's text in quotes, escaped and cut to a label's length.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        label(f, &Label::of(self.0))
    }
}

/// An IP address. A board's peers have IPv4 alone, so core's formatter of IPv6 stays out of the image.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(_) => f.write_str("an IPv6 address"),
        }
    }
}

#[cfg(test)]
mod tests;
