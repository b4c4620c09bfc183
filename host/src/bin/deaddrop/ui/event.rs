//! Everything that can be told, and its form as JSON. The fields are a contract with scripts.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64;
use deaddrop::{Address, EndReason, Endpoint, Kind, Lapse, Name, Offer, Token};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::cli::RoomName;

/// Something that happened.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    /// A sender serves its drop, or a listener listens; again when this machine's addresses are others.
    Ready {
        /// This machine's addresses that others may reach it at.
        #[serde(serialize_with = "as_texts")]
        addresses: &'a [Address],
        /// What a sender serves; absent from a listener.
        #[serde(flatten)]
        serving: Option<Serving<'a>>,
        /// The addresses are others than before. A script sees that the event comes again.
        #[serde(skip)]
        again: bool,
    },
    /// A drop can be fetched.
    Offer {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// Where its sender serves it.
        #[serde(serialize_with = "as_text")]
        from: Endpoint,
        /// What it holds.
        #[serde(serialize_with = "as_text")]
        kind: Kind,
        /// Its name, in its sender's words.
        #[serde(serialize_with = "as_name")]
        name: &'a Name,
        /// Its size in bytes.
        size: u64,
        /// What is left of its TTL.
        #[serde(rename = "ttl_ms", serialize_with = "as_millis")]
        ttl: Duration,
    },
    /// A drop can no longer be fetched.
    Gone {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// Why.
        #[serde(serialize_with = "as_text")]
        reason: EndReason,
    },
    /// A drop is here, whole and verified.
    Received {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// What it holds.
        #[serde(serialize_with = "as_text")]
        kind: Kind,
        /// Its name, in its sender's words.
        #[serde(serialize_with = "as_name")]
        name: &'a Name,
        /// Its size in bytes.
        size: u64,
        /// The bytes, or where they are.
        #[serde(flatten, serialize_with = "as_content")]
        content: Content<'a>,
    },
    /// A fetch goes on with what an earlier one has received.
    Resumed {
        /// Names the drop.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// How many bytes of it are here.
        offset: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// A drop is not where it was to go, and what is here of it is kept for a later fetch.
    Kept {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// Where.
        #[serde(serialize_with = "as_path")]
        path: &'a Path,
        /// How many bytes of it are kept.
        stored: u64,
        /// Its size in bytes.
        size: u64,
        /// Why, as the code of the error that follows.
        reason: &'a str,
    },
    /// A receiver has claimed the drop.
    Claimed {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// The receiver's address.
        #[serde(serialize_with = "as_text")]
        by: Address,
    },
    /// A claim lapsed.
    Lapsed {
        /// Names the drop.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// The address of the receiver that held it.
        #[serde(serialize_with = "as_text")]
        by: Address,
        /// Why.
        #[serde(serialize_with = "as_lapse")]
        why: Lapse,
    },
    /// More of a drop has come to its receiver.
    Progress {
        /// Names the drop.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// The receiver's address, at a sender.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
        by: Option<Address>,
        /// How many bytes the receiver has stored.
        stored: u64,
        /// The drop's size in bytes.
        size: u64,
        /// How many files of a directory are whole, at a receiver.
        #[serde(skip_serializing_if = "Option::is_none")]
        files_done: Option<u32>,
    },
    /// A receiver has confirmed that it holds the drop.
    Fetched {
        /// Names it.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// The receiver's address.
        #[serde(serialize_with = "as_text")]
        by: Address,
        /// The drop's size in bytes.
        size: u64,
        /// How many receivers have it now.
        fetched: u64,
        /// How many may have it; absent if all may.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<u8>,
    },
    /// The TTL passed.
    Expired {
        /// Names the drop.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// How many receivers have it: scripts count them.
        #[serde(skip)]
        fetched: u64,
        /// How many were to have it; absent if all were that asked for it.
        #[serde(skip)]
        of: Option<u8>,
    },
    /// The program that is run for each received drop has ended.
    Executed {
        /// Names the drop.
        #[serde(serialize_with = "as_text")]
        token: Token,
        /// Its exit code, if it ended by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// The number of the signal that ended it otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// Whether its time was over.
        timed_out: bool,
    },
    /// A passphrase was made.
    Passphrase {
        /// The passphrase; absent if it went into a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        /// The file that it went into.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_file")]
        path: Option<&'a Path>,
        /// How many words it has.
        words: usize,
        /// The bits of chance in it.
        #[serde(serialize_with = "as_tenths")]
        bits: f64,
    },
    /// A room is kept under a name: one of a list.
    Room {
        /// Its name.
        #[serde(serialize_with = "as_text")]
        name: &'a RoomName,
        /// Its file.
        #[serde(serialize_with = "as_path")]
        path: &'a Path,
        /// Whether it is the one that is used where none is given.
        default: bool,
    },
    /// A room was added.
    Added {
        /// Its name.
        #[serde(serialize_with = "as_text")]
        name: &'a RoomName,
        /// Its file.
        #[serde(serialize_with = "as_path")]
        path: &'a Path,
    },
    /// What a board is provisioned with is in a file.
    Page {
        /// The file.
        #[serde(serialize_with = "as_path")]
        path: &'a Path,
        /// Its size in bytes.
        size: usize,
        /// Whether it is a seed.
        seed: bool,
    },
    /// A check of the network has seen something.
    Check {
        /// The check.
        check: &'a str,
        /// Whether it can be in the way.
        ok: bool,
        /// One line for a person.
        message: &'a str,
        /// Commands that mend it.
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        commands: &'a [String],
    },
    /// Nothing is in the way.
    Diagnosis {
        /// The word for it.
        code: &'a str,
        /// One line for a person.
        message: &'a str,
    },
    /// Something is not as it should be, and the command goes on.
    Warning {
        /// The word for it.
        code: &'a str,
        /// One line for a person.
        message: &'a str,
    },
    /// The command ends with a code other than 0.
    Error {
        /// The word for it.
        code: &'a str,
        /// One line for a person.
        message: &'a str,
    },
}

/// What a sender serves.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Serving<'a> {
    /// The TCP port it serves on.
    pub(crate) port: u16,
    /// Names the drop.
    #[serde(serialize_with = "as_text")]
    pub(crate) token: Token,
    /// What it holds.
    #[serde(serialize_with = "as_text")]
    pub(crate) kind: Kind,
    /// Its name.
    #[serde(serialize_with = "as_name")]
    pub(crate) name: &'a Name,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// How many files a bundle has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<u32>,
    /// Its TTL.
    #[serde(rename = "ttl_ms", serialize_with = "as_millis")]
    pub(crate) ttl: Duration,
}

/// Where a received drop is.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// A message: these bytes.
    Message(&'a [u8]),
    /// Saved under this path.
    Saved(&'a Path),
    /// So many files, saved below these paths.
    Bundle(&'a [PathBuf], u32),
    /// Written to standard output already.
    Written,
}

impl<'a> Event<'a> {
    /// That this drop can be fetched from this address.
    pub(crate) fn offer(offer: &'a Offer, from: SocketAddr) -> Self {
        Self::Offer {
            token: offer.token,
            from: Endpoint(from),
            kind: offer.kind,
            name: &offer.name,
            size: offer.size,
            ttl: offer.ttl_left,
        }
    }

    /// That this drop is here.
    pub(crate) fn received(offer: &'a Offer, content: Content<'a>) -> Self {
        let Offer { token, kind, name, size, .. } = offer;
        Self::Received { token: *token, kind: *kind, name, size: *size, content }
    }

    /// One line of JSON. It is wiped when dropped, because it may hold a message.
    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // No byte of a text takes more than six in JSON, so that the buffer does not grow and leave
        // a part of a message in memory that was given back.
        let content = match self {
            Event::Received { content: Content::Message(bytes), .. } => bytes.len() * 6,
            Event::Warning { message, .. } | Event::Error { message, .. } => message.len() * 6,
            _ => 0,
        };
        let mut line = Zeroizing::new(Vec::with_capacity(8 * 1024 + content));
        // Writing numbers and strings into memory does not fail.
        let written = serde_json::to_writer(&mut *line, self);
        debug_assert!(written.is_ok(), "{written:?}");
        line.push(b'\n');
        line
    }
}

fn as_text<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn as_text_if_any<S: Serializer>(value: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

fn as_path<S: Serializer>(value: &&Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string_lossy())
}

fn as_file<S: Serializer>(value: &Option<&Path>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.map(Path::to_string_lossy).unwrap_or_default())
}

fn as_tenths<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((value * 10.0).round() / 10.0)
}

fn as_texts<S: Serializer>(values: &&[impl Display], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(ToString::to_string))
}

fn as_lapse<S: Serializer>(value: &Lapse, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(value.word())
}

fn as_name<S: Serializer>(value: &&Name, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(value.as_str())
}

fn as_millis<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}

fn as_content<S: Serializer>(value: &Content<'_>, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    match value {
        Content::Message(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => map.serialize_entry("text", text)?,
            Err(_) => {
                let mut text = Zeroizing::new(String::with_capacity(BASE64.encode_len(bytes.len())));
                BASE64.encode_append(bytes, &mut text);
                map.serialize_entry("base64", text.as_str())?;
            }
        },
        Content::Saved(path) => map.serialize_entry("path", &path.to_string_lossy())?,
        Content::Bundle(paths, files) => {
            let texts: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
            if let [only] = &texts[..] {
                map.serialize_entry("path", only)?;
            }
            map.serialize_entry("paths", &texts)?;
            map.serialize_entry("files", files)?;
        }
        Content::Written => {}
    }
    map.end()
}
