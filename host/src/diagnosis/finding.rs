//! What one check has seen.

use std::fmt;
use std::net::IpAddr;

use deaddrop_core::token::Instance;

use super::firewall::Closed;
use crate::address::{Address, Endpoint};
use crate::fetch::contact::Contact;
use crate::lan::unused::Unused;

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The network interfaces, and why each is used or not.
    Interface,
    /// The UDP port of beacons.
    UdpPort,
    /// The TCP ports of senders.
    TcpPort,
    /// This machine's own beacons, as they come in again.
    Echo,
    /// A connection of this machine to itself.
    OwnConnection,
    /// The rules of the firewall.
    Firewall,
    /// Other machines that were heard.
    Listener,
    /// Senders that were heard or named.
    Sender,
    /// The clock.
    Clock,
}

impl Check {
    /// The word for it in events and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::UdpPort => "udp-port",
            Self::TcpPort => "tcp-port",
            Self::Echo => "echo",
            Self::OwnConnection => "own-connection",
            Self::Firewall => "firewall",
            Self::Listener => "listener",
            Self::Sender => "sender",
            Self::Clock => "clock",
        }
    }
}

/// Whether an interface is used, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Use {
    /// Beacons are sent and received.
    Used,
    /// It leads to this machine only.
    Loopback,
    /// One machine is at the far end, and there is no address for everybody: only named senders are reached over it.
    PointToPoint,
    /// The rule leaves it out.
    Unused(Unused),
    /// The system refuses the sockets.
    Refused,
}

/// A program that has a port open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub id: u32,
}

/// What became of this machine's own beacons on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Echo {
    /// They came in again.
    Heard,
    /// They went out and did not come in.
    Lost,
    /// The system does not let them out: so does a firewall.
    Barred,
    /// They cannot be sent there, or not received. The text says why.
    Impossible(String),
}

/// What one check has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A network interface.
    Interface {
        /// The system's name for it.
        name: String,
        /// This machine's addresses on it.
        addresses: Vec<Address>,
        /// Whether it is used.
        used: Use,
    },
    /// The UDP port of beacons.
    UdpPort {
        /// The port.
        port: u16,
        /// Whether it can be had, alone or with others that share it.
        open: bool,
        /// The programs that have it open, as far as the system tells.
        by: Vec<Program>,
    },
    /// The TCP port that a sender would take. Without one, what the system says.
    TcpPort(Result<u16, String>),
    /// Own beacons on one interface.
    Echo {
        /// The system's name for it.
        interface: String,
        /// The address that they come from.
        address: IpAddr,
        /// The UDP port that they go to.
        port: u16,
        /// What became of them.
        echo: Echo,
    },
    /// A connection of this machine to itself. Otherwise what the system says.
    OwnConnection {
        /// Where to.
        to: Endpoint,
        /// What the system says, if it failed.
        error: Option<String>,
    },
    /// The rules of the firewall let all through that is needed, as far as they were understood.
    RulesOpen {
        /// How many of them decide and were not understood.
        not_understood: usize,
    },
    /// The rules of the firewall keep something out.
    RulesClosed(Closed),
    /// The rules of the firewall were not read.
    RulesUnread {
        /// Why.
        why: String,
        /// Commands that open it in any case, if they are known.
        commands: Vec<String>,
    },
    /// Another machine that looks for senders.
    Listener(Address),
    /// A sender that was heard, or that was named.
    Sender {
        /// Where.
        at: Endpoint,
        /// Whether it was named, and not heard.
        named: bool,
        /// Which it is, if it was heard: one with IPv4 and IPv6 is at two places.
        instance: Option<Instance>,
        /// What happened there.
        contact: Contact,
    },
    /// Nobody else was heard or named.
    Nobody,
    /// The clock, which is never in the way.
    Clock,
}

impl Finding {
    /// The check that has seen it.
    pub fn check(&self) -> Check {
        match self {
            Self::Interface { .. } => Check::Interface,
            Self::UdpPort { .. } => Check::UdpPort,
            Self::TcpPort(_) => Check::TcpPort,
            Self::Echo { .. } => Check::Echo,
            Self::OwnConnection { .. } => Check::OwnConnection,
            Self::RulesOpen { .. } | Self::RulesClosed(_) | Self::RulesUnread { .. } => Check::Firewall,
            Self::Listener(_) => Check::Listener,
            Self::Sender { .. } | Self::Nobody => Check::Sender,
            Self::Clock => Check::Clock,
        }
    }

    /// Whether it is something that can be in the way.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::UdpPort { open, .. } => !open,
            Self::TcpPort(port) => port.is_err(),
            Self::Echo { echo, .. } => matches!(echo, Echo::Lost | Echo::Barred),
            Self::OwnConnection { error, .. } => error.is_some(),
            Self::RulesClosed(_) => true,
            Self::Sender { contact, .. } => !contact.is_good(),
            Self::Interface { .. }
            | Self::RulesOpen { .. }
            | Self::RulesUnread { .. }
            | Self::Listener(_)
            | Self::Nobody
            | Self::Clock => false,
        }
    }

    /// Commands that mend it, or would if it is in the way.
    pub fn commands(&self) -> &[String] {
        match self {
            Self::RulesClosed(closed) => &closed.commands,
            Self::RulesUnread { commands, .. } => commands,
            _ => &[],
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface { name, addresses, used } => {
                write!(f, "{name}")?;
                if !addresses.is_empty() {
                    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    write!(f, " ({})", shown.join(", "))?;
                }
                f.write_str(match used {
                    Use::Unused(why) => return write!(f, " is not used: {why}"),
                    Use::Used => " is used",
                    Use::Loopback => " is used, and leads to this machine only",
                    Use::PointToPoint => {
                        " is point to point: nobody is found over it, and only a sender that is named is reached"
                    }
                    Use::Refused => " is not used: the system refuses to open it",
                })
            }
            Self::UdpPort { port, open: true, by } if by.is_empty() => write!(f, "UDP port {port} is free"),
            Self::UdpPort { port, open: true, by } => {
                write!(f, "UDP port {port} is shared with {}", Programs(by))
            }
            Self::UdpPort { port, open: false, by } => {
                write!(f, "UDP port {port} is taken by {}, which does not share it", Programs(by))
            }
            Self::TcpPort(Ok(port)) => write!(f, "TCP port {port} can be served on"),
            Self::TcpPort(Err(error)) => f.write_str(error),
            Self::Echo { interface, address, port, echo } => {
                let (what, how) = match address {
                    IpAddr::V4(_) => ("broadcast", "IPv4"),
                    IpAddr::V6(_) => ("multicast", "IPv6"),
                };
                write!(f, "own {what} to UDP port {port} on {interface} ({how}) ")?;
                match echo {
                    Echo::Heard => f.write_str("is heard"),
                    Echo::Lost => f.write_str("goes out and does not come in"),
                    Echo::Barred => f.write_str("is not let out"),
                    Echo::Impossible(error) => write!(f, "is not possible: {error}"),
                }
            }
            Self::OwnConnection { to, error: None } => write!(f, "this machine reaches itself at {to}"),
            Self::OwnConnection { to, error: Some(error) } => {
                write!(f, "this machine does not reach itself at {to}: {error}")
            }
            Self::RulesOpen { not_understood } => {
                f.write_str("the rules of the firewall let beacons, answers and connections in")?;
                match not_understood {
                    0 => Ok(()),
                    1 => f.write_str(", as far as they are understood: 1 of them is not"),
                    n => write!(f, ", as far as they are understood: {n} of them are not"),
                }
            }
            Self::RulesClosed(closed) => closed.fmt(f),
            Self::RulesUnread { why, .. } => write!(f, "the rules of the firewall are not read: {why}"),
            Self::Listener(address) => write!(f, "{address} looks for senders"),
            Self::Sender { at, contact, .. } => write!(f, "{at} {contact}"),
            Self::Nobody => f.write_str("no sender was heard"),
            Self::Clock => f.write_str("the clocks of two machines may differ: none is compared"),
        }
    }
}

/// Programs in a sentence.
pub(super) struct Programs<'a>(pub(super) &'a [Program]);

impl fmt::Display for Programs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("another program");
        }
        let shown: Vec<String> =
            self.0.iter().map(|Program { name, id }| format!("{name} (process {id})")).collect();
        f.write_str(&shown.join(", "))
    }
}
