//! The rules of the firewall: whether they let in what deaddrop needs, and the commands that open it.
//!
//! The rules of Linux come as nftables lists them (`nft list ruleset`), those of ufw, firewalld and iptables-nft among
//! them. [`ruleset`] reads that list and [`packet`] sends a packet through it. What is not understood counts as open.
//! Those of Windows are not read: what lists them does so in the language of the system.

mod commands;
mod packet;
mod ruleset;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deaddrop_core::limits::TCP_PORT_FIRST;

use super::finding::Finding;
use crate::lan::interfaces::Interface;
use crate::platform;
use commands::Manager;
use packet::{Fate, Packet, Protocol};
use ruleset::Ruleset;

/// How long the tool may take that lists the rules.
const WITHIN: Duration = Duration::from_secs(3);
/// Where Debian has tools that a user's PATH leaves out.
const PLACES: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];
/// A port as the system chooses it.
const EPHEMERAL: u16 = 40_000;

/// What has to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Traffic {
    /// Beacons to everybody: without them a sender is not asked, and a listener hears no announcement.
    Beacons,
    /// The answers of senders to this machine alone.
    Answers,
    /// Connections to a sender.
    Connections,
}

/// Something that the rules keep out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What.
    pub traffic: Traffic,
    /// The interface that it would come in by.
    pub interface: String,
    /// The port: of UDP for beacons and answers, of TCP for connections.
    pub port: u16,
    /// The table and chain that drop it, in the words of nftables.
    pub by: String,
    /// Commands that open it, to be run as root.
    pub commands: Vec<String>,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { traffic, interface, port, by, .. } = self;
        match traffic {
            Traffic::Beacons => write!(f, "beacons to UDP port {port}")?,
            Traffic::Answers => write!(f, "answers from UDP port {port}")?,
            Traffic::Connections => write!(f, "connections to TCP port {port}")?,
        }
        write!(f, " are kept out of {interface} by {by}")
    }
}

/// Looks at the rules, where they can be read. Blocks.
pub(super) fn look(udp_port: u16, used: &[Interface]) -> Vec<Finding> {
    let unread = |why: String| vec![Finding::RulesUnread { why, commands: Vec::new() }];
    if !platform::HAS_NFTABLES {
        let why = "they are not those of nftables; if nobody is heard, or nobody can fetch from here, run as administrator";
        return vec![Finding::RulesUnread { why: why.into(), commands: commands::of_windows(udp_port) }];
    }
    match rules() {
        Ok(text) => {
            let (closed, not_understood) = judge(&text, udp_port, used);
            match closed.is_empty() {
                true => vec![Finding::RulesOpen { not_understood }],
                false => closed.into_iter().map(Finding::RulesClosed).collect(),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => unread("there is no nft on this machine".into()),
        Err(error) => unread(format!("{error}; root can read them")),
    }
}

/// What these rules keep out, and how many of them decide and are not understood.
fn judge(text: &str, udp_port: u16, used: &[Interface]) -> (Vec<Closed>, usize) {
    let mut unknown = BTreeSet::new();
    let ruleset = Ruleset::parse(text);
    let manager = Manager::of(&ruleset);
    let mut closed: Vec<Closed> = Vec::new();
    for interface in used {
        for traffic in [Traffic::Beacons, Traffic::Answers, Traffic::Connections] {
            let Fate::Dropped { by } = packet(traffic, udp_port, interface).fate(&ruleset, &mut unknown)
            else {
                continue;
            };
            // The other family of the same interface needs no line of its own.
            if closed.iter().any(|known| known.traffic == traffic && known.interface == interface.name) {
                continue;
            }
            let port = if traffic == Traffic::Connections { TCP_PORT_FIRST } else { udp_port };
            let commands = manager.commands(traffic, udp_port, &by);
            let interface = interface.name.clone();
            closed.push(Closed { traffic, interface, port, by: by.to_string(), commands });
        }
    }
    (closed, unknown.len())
}

/// Such a packet, from a neighbour.
fn packet(traffic: Traffic, udp_port: u16, interface: &Interface) -> Packet<'_> {
    let (protocol, from, to) = match traffic {
        Traffic::Beacons => (Protocol::Udp, EPHEMERAL, udp_port),
        Traffic::Answers => (Protocol::Udp, udp_port, EPHEMERAL),
        Traffic::Connections => (Protocol::Tcp, EPHEMERAL, TCP_PORT_FIRST),
    };
    let to_type = match (traffic, interface.address) {
        (Traffic::Beacons, IpAddr::V4(_)) => "broadcast",
        (Traffic::Beacons, IpAddr::V6(_)) => "multicast",
        _ => "local",
    };
    Packet { interface, protocol, from, to, to_type }
}

/// The rules, as nftables lists them.
fn rules() -> io::Result<String> {
    for place in PLACES {
        match run(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            listed => return listed,
        }
    }
    Err(ErrorKind::NotFound.into())
}

fn run(tool: &str) -> io::Result<String> {
    let mut command = Command::new(tool);
    command.args(["-n", "list", "ruleset"]);
    // Reads the rules and changes nothing. Its words are looked for in English.
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("nft has no output"));
    };
    let reading = std::thread::Builder::new().spawn(move || io::read_to_string(&mut out))?;
    let erring = std::thread::Builder::new().spawn(move || io::read_to_string(&mut err))?;
    let end = Instant::now() + WITHIN;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() >= end => {
                child.kill()?;
                break child.wait()?;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let panicked = |_| io::Error::other("nft was not read");
    let text = reading.join().map_err(panicked)??;
    let errors = erring.join().map_err(panicked)??;
    if status.success() {
        return Ok(text);
    }
    let why = errors.lines().next().unwrap_or("it failed").trim().to_owned();
    Err(io::Error::other(format!("nft says: {why}")))
}

#[cfg(test)]
mod tests;
