//! Events as text for a person.

use std::io::Write;
use std::path::Path;

use deaddrop::text::{self, Bytes, Span};
use deaddrop::{Address, Endpoint, Kind, Name};
use zeroize::Zeroizing;

use super::event::{Content, Event, Serving};

/// What an event adds to standard output, and to standard error always or unless `--quiet`.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) results: Zeroizing<Vec<u8>>,
    pub(super) errors: Vec<u8>,
    pub(super) notices: Vec<u8>,
}

pub(super) fn lines(event: &Event<'_>, out_is_terminal: bool) -> Lines {
    let mut lines = Lines::default();
    match event {
        Event::Ready { addresses, serving: Some(serving), again: true } => {
            lines.notices = moved_notice(addresses, serving);
        }
        Event::Ready { addresses, serving: Some(serving), .. } => {
            lines.notices = serving_notice(addresses, serving);
        }
        Event::Ready { addresses, serving: None, .. } => {
            let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let on = if list.is_empty() { "no network yet" } else { &list };
            let apart = "No network is in use but loopback, so only this machine is heard: join a network; if --interface is \
                         given, name its interface too\n";
            let apart = if is_apart(addresses) { apart } else { "" };
            lines.notices = format!("Listening on {on}; interrupt to stop.\n{apart}").into_bytes();
        }
        Event::Offer { token, from, kind, name, size, ttl } => {
            let what = what(*kind, name, *size);
            let offer =
                format!("{what}, for {} more\n  {}\n", Span(*ttl), fetch_line(*from, &token.to_string()));
            lines.results = Zeroizing::new(offer.into_bytes());
        }
        Event::Gone { token, reason } => {
            lines.results = Zeroizing::new(format!("Gone ({reason}): {token}\n").into_bytes());
        }
        Event::Received { content: Content::Message(bytes), .. } => {
            lines.results = message(bytes, out_is_terminal);
        }
        Event::Received { content: Content::Saved(path), size, .. } => {
            let path = path.to_string_lossy();
            lines.errors = format!("Saved {}, {}\n", text::line(&path), Bytes(*size)).into_bytes();
        }
        Event::Received { content: Content::Bundle(paths, files), size, .. } => {
            let (files, bytes) = (Files(*files), Bytes(*size));
            let saved = paths.iter().map(|path| text::line(&path.to_string_lossy()).to_string());
            let saved = saved.collect::<Vec<_>>().join(", ");
            lines.errors = format!("Saved {saved}, {files}, {bytes}\n").into_bytes();
        }
        Event::Received { content: Content::Written, .. } => {}
        Event::Resumed { offset, size, .. } if offset == size => {
            lines.notices = b"All of it is here from an earlier fetch\n".to_vec();
        }
        Event::Resumed { offset, size, .. } => {
            let (offset, size) = (Bytes(*offset), Bytes(*size));
            lines.notices = format!("Going on after {offset} of {size}\n").into_bytes();
        }
        // The error that follows says it.
        Event::Kept { .. } => {}
        // In the trace of `-v`.
        Event::Claimed { .. } | Event::Lapsed { .. } => {}
        // On a terminal its own lines show it.
        Event::Progress { .. } => {}
        Event::Fetched { by, size, fetched, of, .. } => {
            let count = match of {
                Some(1) => String::new(),
                Some(of) => format!(" ({fetched} of {of} fetched)"),
                None => format!(" ({fetched} fetched)"),
            };
            lines.notices = format!("Fetched by {by}, {}{count}\n", Bytes(*size)).into_bytes();
        }
        Event::Executed { code: Some(0), timed_out: false, .. } => {}
        Event::Executed { token, code, signal, timed_out } => {
            let why = if *timed_out { "its time was over, and it ended" } else { "ended" };
            let how = match (code, signal) {
                (Some(code), _) => format!("with exit code {code}"),
                (None, Some(signal)) => format!("by signal {signal}"),
                (None, None) => "in an unknown way".into(),
            };
            lines.notices = format!("deaddrop: the program run for {token}: {why} {how}\n").into_bytes();
        }
        Event::Expired { token, fetched, of } => {
            let how = match (fetched, of) {
                (0, _) => "Expired".into(),
                (fetched, Some(of)) => format!("Expired ({fetched} of {of} fetched)"),
                (1, None) => "Ended at its TTL, fetched once".into(),
                (fetched, None) => format!("Ended at its TTL, fetched {fetched} times"),
            };
            lines.notices = format!("{how}: {token}\n").into_bytes();
        }
        Event::Passphrase { text: Some(text), .. } => {
            // Set aside before, so that no copy is left behind by growing.
            let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
            line.extend_from_slice(text.as_bytes());
            line.push(b'\n');
            lines.results = line;
        }
        Event::Passphrase { path, .. } => lines.notices = kept(path.unwrap_or(Path::new(""))),
        Event::Added { path, .. } => lines.notices = kept(path),
        Event::Page { path, seed, .. } => {
            let next = if *seed {
                "Write it to one board, into the region SEED_A of its flash, and remove it: two boards with one seed use the \
                 same keys. firmware/docs/provisioning.md of the sources says where \
                 that is on each board.\n"
            } else {
                "It makes a board a member of the room: write it into the region RECORD of the board's flash, and remove it \
                 when the boards have it. firmware/docs/provisioning.md of the sources says where \
                 that is on each board.\n"
            };
            lines.notices = [kept(path), next.as_bytes().to_vec()].concat();
        }
        Event::Room { name, default, .. } => {
            // A script gets the names alone.
            let mark = if *default && out_is_terminal { "  (used where no room is given)" } else { "" };
            lines.results = Zeroizing::new(format!("{}{mark}\n", text::line(name.as_str())).into_bytes());
        }
        Event::Check { check, ok, message, commands } => {
            let mark = if *ok { "ok    " } else { "FAULT " };
            let mut shown = format!("{mark} {check}: {}\n", text::line(message));
            for command in *commands {
                shown.push_str(&format!("         {}\n", text::line(command)));
            }
            lines.results = Zeroizing::new(shown.into_bytes());
        }
        Event::Diagnosis { message, .. } => {
            lines.results = Zeroizing::new(format!("{}\n", text::line(message)).into_bytes());
        }
        Event::Warning { message, .. } => {
            lines.notices = format!("deaddrop: warning: {}\n", text::line(message)).into_bytes();
        }
        Event::Error { message, .. } => {
            lines.errors = format!("deaddrop: {}\n", text::line(message)).into_bytes();
        }
    }
    lines
}

/// The notice that a passphrase is in a file.
fn kept(path: &Path) -> Vec<u8> {
    let path = path.to_string_lossy();
    format!("Kept in {}, which only you can read.\n", text::line(&path)).into_bytes()
}

/// The notice that a drop is being taken.
pub(super) fn taking(event: &Event<'_>) -> Vec<u8> {
    match event {
        Event::Offer { from, kind, name, size, .. } => {
            format!("Taking {} from {}\n", what(*kind, name, *size), Address::from(from.0)).into_bytes()
        }
        _ => Vec::new(),
    }
}

/// A message byte for byte; on a terminal with its control characters escaped and a line end added.
fn message(bytes: &[u8], out_is_terminal: bool) -> Zeroizing<Vec<u8>> {
    if !out_is_terminal {
        return Zeroizing::new(bytes.to_vec());
    }
    // No byte takes more than six when escaped (`\u{9b}` stands for two, `\xff` and `\u{1b}` for one).
    let mut shown = Zeroizing::new(Vec::with_capacity(bytes.len() * 6 + 1));
    // Writing into memory does not fail.
    let _ = write!(shown, "{}", text::lines(bytes, "\n"));
    if !bytes.ends_with(b"\n") {
        shown.push(b'\n');
    }
    shown
}

fn serving_notice(addresses: &[Address], serving: &Serving<'_>) -> Vec<u8> {
    let mut what = what(serving.kind, serving.name, serving.size);
    if let Some(files) = serving.files {
        what.push_str(&format!(" in {}", Files(files)));
    }
    let notice = format!("Offering {what}, for {}\n  {}\n", Span(serving.ttl), serving.token);
    let apart = if is_apart(addresses) { APART } else { "" };
    [&*notice, &*fetch_lines(addresses, serving), apart].concat().into_bytes()
}

/// What a sender says that only its own machine can reach.
const APART: &str = "No network is in use but loopback, so only this machine can fetch the drop: join a network; if \
                     --interface is given, name its interface too\n";

/// Whether this machine has addresses of loopback alone.
fn is_apart(addresses: &[Address]) -> bool {
    !addresses.is_empty() && addresses.iter().all(Address::is_loopback)
}

/// That a drop can be fetched from other addresses than before.
fn moved_notice(addresses: &[Address], serving: &Serving<'_>) -> Vec<u8> {
    if addresses.iter().all(Address::is_loopback) {
        return APART.as_bytes().to_vec();
    }
    let notice = "This machine's addresses have changed: the drop can be fetched with\n";
    [notice, &fetch_lines(addresses, serving)].concat().into_bytes()
}

/// The commands by which a drop can be fetched by hand.
fn fetch_lines(addresses: &[Address], serving: &Serving<'_>) -> String {
    let line = |address: &Address| {
        let from = Endpoint(address.at(serving.port));
        format!("  {}\n", fetch_line(from, &serving.token.to_string()))
    };
    reachable(addresses).into_iter().map(line).collect()
}

/// The addresses that others are to be told. One of loopback is of use only where there is no other; a link-local one
/// only where there is none that is valid everywhere, because its zone is another on each machine.
fn reachable(addresses: &[Address]) -> Vec<&Address> {
    let wide = |address: &&Address| !address.is_loopback() && !address.is_link_local();
    let others = |address: &&Address| !address.is_loopback();
    let some = |of: Vec<_>| Some(of).filter(|of: &Vec<_>| !of.is_empty());
    some(addresses.iter().filter(wide).collect())
        .or_else(|| some(addresses.iter().filter(others).collect()))
        .unwrap_or_else(|| addresses.iter().take(1).collect())
}

/// The command by which a drop can be fetched by hand, to be copied as it stands: some shells take brackets for a
/// pattern of file names.
fn fetch_line(from: Endpoint, token: &str) -> String {
    let quote = if from.0.is_ipv6() { "'" } else { "" };
    format!("deaddrop fetch --from {quote}{from}{quote} --token {token}")
}

/// A drop in words, those of its sender escaped.
pub(crate) fn what(kind: Kind, name: &Name, size: u64) -> String {
    // The word of people for what is a directory in JSON and on the wire.
    let kind = if kind == Kind::Directory { "folder" } else { kind.word() };
    match name.as_str() {
        "" => format!("{kind}, {}", Bytes(size)),
        name => format!("{kind} \"{}\", {}", text::line(name), Bytes(size)),
    }
}

/// A number of files.
pub(super) struct Files(pub(super) u32);

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("1 file"),
            n => write!(f, "{n} files"),
        }
    }
}
