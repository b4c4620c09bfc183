//! What is most likely in the way, from all that was seen.

use std::fmt;
use std::net::IpAddr;

use deaddrop_core::token::Instance;

use super::finding::{Echo, Finding, Program, Programs, Use};
use super::firewall::{Closed, Traffic};
use crate::address::Endpoint;
use crate::fetch::contact::Contact;
use crate::lan::unused::Unused;

/// What is most likely in the way. Its text states the fact; what to do about it is the program's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// No interface but loopback is used.
    NoInterface,
    /// The same, and interfaces are left out because others were named.
    NoneNamed,
    /// Another program holds the UDP port of beacons.
    PortTaken {
        /// The port.
        port: u16,
        /// The programs, as far as the system tells.
        by: Vec<Program>,
    },
    /// No TCP port can be had for a sender. The text says why.
    NoTcpPort(String),
    /// This machine does not let beacons out.
    BeaconsBarred {
        /// The interface.
        interface: String,
        /// The address that they come from.
        address: IpAddr,
        /// The UDP port that they go to.
        port: u16,
    },
    /// This machine does not let beacons in.
    BeaconsKeptOut {
        /// The interface.
        interface: String,
        /// The address of this machine there.
        address: IpAddr,
        /// The UDP port that they come to.
        port: u16,
        /// Commands that open it, if they are known.
        commands: Vec<String>,
    },
    /// The rules of this machine's firewall keep something out.
    Closed(Closed),
    /// This machine does not reach itself over TCP.
    NoOwnConnection {
        /// Where.
        to: Endpoint,
        /// What the system says.
        error: String,
    },
    /// Something is in the way of a sender that was heard, or that was named.
    Sender {
        /// Where it is.
        at: Endpoint,
        /// Whether it was named, and not heard.
        named: bool,
        /// What happened there.
        contact: Contact,
    },
    /// Nothing is in the way here, and nobody else was heard.
    Nobody {
        /// How many machines look for senders.
        listeners: usize,
    },
    /// Nothing is in the way: so many senders answer.
    Found {
        /// How many.
        senders: usize,
    },
}

impl Verdict {
    /// Decides from all that was seen: what keeps everything out comes before what keeps one sender out.
    pub fn of(findings: &[Finding]) -> Self {
        let find = |test: &dyn Fn(&Finding) -> Option<Self>| findings.iter().find_map(test);
        None.or_else(|| no_interface(findings))
            .or_else(|| find(&port))
            .or_else(|| find(&barred))
            .or_else(|| find(&|finding| kept_out(finding, findings)))
            .or_else(|| find(&closed))
            .or_else(|| find(&own_connection))
            .or_else(|| sender(findings))
            .unwrap_or_else(|| nothing(findings))
    }

    /// Whether nothing is in the way.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Found { .. } | Self::Nobody { .. })
    }
}

fn no_interface(findings: &[Finding]) -> Option<Verdict> {
    let reaches =
        |finding: &Finding| matches!(finding, Finding::Interface { used: Use::Used | Use::PointToPoint, .. });
    let left_out = |finding: &Finding| {
        matches!(finding, Finding::Interface { used: Use::Unused(Unused::NotChosen), .. })
    };
    let verdict = if findings.iter().any(left_out) { Verdict::NoneNamed } else { Verdict::NoInterface };
    (!findings.iter().any(reaches)).then_some(verdict)
}

fn port(finding: &Finding) -> Option<Verdict> {
    match finding {
        Finding::UdpPort { port, open: false, by } => {
            Some(Verdict::PortTaken { port: *port, by: by.clone() })
        }
        Finding::TcpPort(Err(error)) => Some(Verdict::NoTcpPort(error.clone())),
        _ => None,
    }
}

fn barred(finding: &Finding) -> Option<Verdict> {
    match finding {
        Finding::Echo { interface, address, port, echo: Echo::Barred } => {
            let (interface, address, port) = (interface.clone(), *address, *port);
            Some(Verdict::BeaconsBarred { interface, address, port })
        }
        _ => None,
    }
}

fn kept_out(finding: &Finding, all: &[Finding]) -> Option<Verdict> {
    let Finding::Echo { interface, address, port, echo: Echo::Lost } = finding else { return None };
    let commands = all.iter().find_map(|finding| match finding {
        Finding::RulesClosed(closed)
            if closed.traffic == Traffic::Beacons && closed.interface == *interface =>
        {
            Some(closed.commands.clone())
        }
        Finding::RulesUnread { commands, .. } if !commands.is_empty() => Some(commands.clone()),
        _ => None,
    });
    let (interface, address, port) = (interface.clone(), *address, *port);
    Some(Verdict::BeaconsKeptOut { interface, address, port, commands: commands.unwrap_or_default() })
}

fn closed(finding: &Finding) -> Option<Verdict> {
    match finding {
        Finding::RulesClosed(closed) => Some(Verdict::Closed(closed.clone())),
        _ => None,
    }
}

fn own_connection(finding: &Finding) -> Option<Verdict> {
    match finding {
        Finding::OwnConnection { to, error: Some(error) } => {
            Some(Verdict::NoOwnConnection { to: *to, error: error.clone() })
        }
        _ => None,
    }
}

/// A sender that was named and is not had; otherwise, if none that was heard is had, the one that says most.
fn sender(findings: &[Finding]) -> Option<Verdict> {
    let senders = || {
        findings.iter().filter_map(|finding| match finding {
            Finding::Sender { at, named, contact, .. } => Some((*at, *named, contact)),
            _ => None,
        })
    };
    let of = |(at, named, contact): (Endpoint, bool, &Contact)| {
        let contact = contact.clone();
        Verdict::Sender { at, named, contact }
    };
    if let Some(missing) = senders().find(|(_, named, contact)| *named && !contact.is_good()) {
        return Some(of(missing));
    }
    if senders().any(|(_, _, contact)| contact.is_good()) {
        return None;
    }
    senders().min_by_key(|(_, _, contact)| weight(contact)).map(of)
}

/// How far a contact came, the farthest first: what came far is a member that something keeps away.
fn weight(contact: &Contact) -> u8 {
    match contact {
        Contact::Member { .. } | Contact::Greeted => 0,
        Contact::LargePacketsLost => 1,
        Contact::Stalled => 2,
        Contact::Barred => 3,
        Contact::Unanswered => 4,
        Contact::Refused => 5,
        Contact::Unreachable => 6,
        Contact::Busy => 7,
        Contact::NoGreeting(_) => 8,
        Contact::OtherRoom => 9,
        Contact::Failed(_) => 10,
    }
}

fn nothing(findings: &[Finding]) -> Verdict {
    let count = |test: &dyn Fn(&Finding) -> bool| findings.iter().filter(|finding| test(finding)).count();
    let senders = answering(findings);
    let listeners = count(&|finding| matches!(finding, Finding::Listener(_)));
    if senders == 0 { Verdict::Nobody { listeners } } else { Verdict::Found { senders } }
}

/// How many senders answer. One that is at several places is one, and so is one that was heard and named.
fn answering(findings: &[Finding]) -> usize {
    let mut counted: Vec<(Endpoint, Option<Instance>)> = Vec::new();
    let good = findings.iter().filter(|finding| !finding.is_fault());
    let mut senders: Vec<_> = good
        .filter_map(|finding| match finding {
            Finding::Sender { at, instance, .. } => Some((*at, *instance)),
            _ => None,
        })
        .collect();
    // Those that were heard come first.
    senders.sort_by_key(|(_, instance)| instance.is_none());
    let mut count = 0;
    for (at, instance) in senders {
        let same = |known: &(Endpoint, Option<Instance>)| {
            known.0 == at || (instance.is_some() && known.1 == instance)
        };
        count += usize::from(!counted.iter().any(same));
        counted.push((at, instance));
    }
    count
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = |address: &IpAddr| if address.is_ipv4() { "broadcast" } else { "multicast" };
        match self {
            Self::NoInterface => f.write_str("no network interface but loopback is up and has an address"),
            Self::NoneNamed => {
                f.write_str("no interface that was named, but loopback, is up and has an address")
            }
            Self::PortTaken { port, by } => {
                write!(f, "UDP port {port} is taken by {}, which does not share it", Programs(by))
            }
            Self::NoTcpPort(error) => f.write_str(error),
            Self::BeaconsBarred { interface, address, port } => write!(
                f,
                "the firewall of this machine does not let {} to UDP port {port} out of {interface}",
                what(address)
            ),
            Self::BeaconsKeptOut { interface, address, port, .. } => write!(
                f,
                "the firewall of this machine does not let {} to UDP port {port} in by {interface}",
                what(address)
            ),
            Self::Closed(closed) => write!(f, "the firewall of this machine is closed: {closed}"),
            Self::NoOwnConnection { to, error } => {
                write!(
                    f,
                    "the firewall of this machine does not even let it connect to itself at {to} ({error})"
                )
            }
            Self::Sender {
                at,
                named: false,
                contact: contact @ (Contact::Unanswered | Contact::Refused),
            } => {
                write!(f, "{at} announces itself, but {contact}")
            }
            Self::Sender { at, named: false, contact: Contact::Unreachable } => {
                write!(
                    f,
                    "{at} announces itself, but this network lets nobody connect to it (client isolation)"
                )
            }
            Self::Sender { at, named: true, contact: Contact::Unreachable } => {
                write!(f, "{at} does not answer on this network, not even to say that it has that address")
            }
            Self::Sender { at, contact, .. } => write!(f, "{at} {contact}"),
            Self::Nobody { listeners: 0 } => {
                f.write_str("nothing is in the way on this machine, and nobody else was heard")
            }
            Self::Nobody { .. } => f.write_str("nothing is in the way, and no sender was heard"),
            Self::Found { senders: 1 } => f.write_str("nothing is in the way: a sender answers"),
            Self::Found { senders } => write!(f, "nothing is in the way: {senders} senders answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(used: Use) -> Finding {
        Finding::Interface { name: "eth0".into(), addresses: Vec::new(), used }
    }

    fn port(open: bool) -> Finding {
        Finding::UdpPort { port: 48_555, open, by: Vec::new() }
    }

    fn echo(address: &str, echo: Echo) -> Finding {
        Finding::Echo { interface: "eth0".into(), address: address.parse().unwrap(), port: 48_555, echo }
    }

    fn at(last: u8, named: bool, contact: Contact) -> Finding {
        let instance = (!named).then(|| Instance::from_bytes([last; 8]));
        Finding::Sender { at: Endpoint(([10, 0, 0, last], 48_556).into()), named, instance, contact }
    }

    /// The `last`th sender at its other address.
    fn at_ipv6(last: u8, named: bool) -> Finding {
        let at = Endpoint(format!("[2001:db8::{last}]:48556").parse().unwrap());
        let instance = (!named).then(|| Instance::from_bytes([last; 8]));
        Finding::Sender { at, named, instance, contact: MEMBER }
    }

    fn rules(traffic: Traffic) -> Finding {
        let (interface, by, commands) = ("eth0".into(), "table t, chain c".into(), vec!["open".into()]);
        Finding::RulesClosed(Closed { traffic, interface, port: 48_556, by, commands })
    }

    /// A machine on which nothing is wrong, and what else was seen.
    fn healthy(more: &[Finding]) -> Vec<Finding> {
        let mut findings = vec![
            interface(Use::Loopback),
            interface(Use::Used),
            interface(Use::Unused(Unused::Down)),
            port(true),
            Finding::TcpPort(Ok(48_556)),
            echo("10.0.0.1", Echo::Heard),
            echo("fe80::1", Echo::Impossible("no such".into())),
            Finding::RulesUnread { why: "not root".into(), commands: Vec::new() },
            Finding::OwnConnection { to: Endpoint(([10, 0, 0, 1], 48_556).into()), error: None },
            Finding::Clock,
        ];
        findings.extend_from_slice(more);
        findings
    }

    const MEMBER: Contact = Contact::Member { offers: 1 };

    #[test]
    fn each_scenario_has_its_verdict() {
        let without_interface =
            vec![interface(Use::Loopback), interface(Use::Unused(Unused::Down)), port(true)];
        let table = [
            (healthy(&[]), "nothing is in the way on this machine, and nobody else was heard"),
            (
                healthy(&[Finding::Listener(std::net::Ipv4Addr::new(10, 0, 0, 2).into())]),
                "nothing is in the way, and no sender was heard",
            ),
            (healthy(&[at(2, false, MEMBER)]), "nothing is in the way: a sender answers"),
            (
                healthy(&[at(2, false, MEMBER), at(3, false, Contact::Greeted)]),
                "nothing is in the way: 2 senders answer",
            ),
            // One sender with IPv4 and IPv6, and one that was heard and named.
            (
                healthy(&[at(2, false, MEMBER), at_ipv6(2, false), at(2, true, MEMBER), at_ipv6(2, true)]),
                "nothing is in the way: a sender answers",
            ),
            (
                healthy(&[at(2, false, MEMBER), at_ipv6(2, false), at_ipv6(3, false), at(3, false, MEMBER)]),
                "nothing is in the way: 2 senders answer",
            ),
            // Another room beside ours, and a machine that went away, are nothing in the way.
            (
                healthy(&[
                    at(2, false, Contact::OtherRoom),
                    at(3, false, MEMBER),
                    at(4, false, Contact::Refused),
                ]),
                "nothing is in the way: a sender answers",
            ),
            (
                vec![interface(Use::Loopback), interface(Use::Unused(Unused::NotChosen)), port(true)],
                "no interface that was named, but loopback, is up and has an address",
            ),
            (without_interface, "no network interface but loopback is up and has an address"),
            (
                healthy(&[port(false), at(2, false, MEMBER)]),
                "UDP port 48555 is taken by another program, which does not share it",
            ),
            (
                healthy(&[echo("10.0.0.1", Echo::Barred), echo("fe80::1", Echo::Lost)]),
                "the firewall of this machine does not let broadcast to UDP port 48555 out of eth0",
            ),
            (
                healthy(&[echo("fe80::1", Echo::Lost), at(2, false, Contact::Unanswered)]),
                "the firewall of this machine does not let multicast to UDP port 48555 in by eth0",
            ),
            (
                healthy(&[rules(Traffic::Connections), at(2, false, MEMBER)]),
                "the firewall of this machine is closed: connections to TCP port 48556 are kept out of eth0 by table t, \
                 chain c",
            ),
            (
                healthy(&[at(2, false, Contact::Unanswered)]),
                "10.0.0.2:48556 announces itself, but does not answer on TCP",
            ),
            (
                healthy(&[at(2, false, Contact::Refused)]),
                "10.0.0.2:48556 announces itself, but refuses the connection",
            ),
            (
                healthy(&[at(2, false, Contact::Unreachable)]),
                "10.0.0.2:48556 announces itself, but this network lets nobody connect to it (client isolation)",
            ),
            (
                healthy(&[at(2, true, Contact::Unreachable), at(3, false, MEMBER)]),
                "10.0.0.2:48556 does not answer on this network, not even to say that it has that address",
            ),
            (healthy(&[at(2, false, Contact::OtherRoom)]), "10.0.0.2:48556 is in another room"),
            (
                healthy(&[at(2, false, Contact::OtherRoom), at(3, false, Contact::LargePacketsLost)]),
                "10.0.0.3:48556 answers, and large packets do not reach it",
            ),
        ];
        for (findings, expected) in table {
            assert_eq!(Verdict::of(&findings).to_string(), expected, "{findings:?}");
        }
    }

    #[test]
    fn commands_of_the_rules_go_with_what_was_not_heard() {
        let verdict = Verdict::of(&healthy(&[echo("10.0.0.1", Echo::Lost), rules(Traffic::Beacons)]));
        assert!(matches!(verdict, Verdict::BeaconsKeptOut { commands, .. } if commands == ["open"]));
        // Where rules are not read, what opens them in any case.
        let unread = Finding::RulesUnread { why: "no list".into(), commands: vec!["open".into()] };
        let verdict = Verdict::of(&[interface(Use::Used), echo("10.0.0.1", Echo::Lost), unread]);
        assert!(matches!(verdict, Verdict::BeaconsKeptOut { commands, .. } if commands == ["open"]));
    }

    #[test]
    fn nothing_seen_is_no_interface_and_only_two_verdicts_are_good() {
        assert_eq!(Verdict::of(&[]), Verdict::NoInterface);
        assert!(Verdict::Nobody { listeners: 0 }.is_good() && Verdict::Found { senders: 1 }.is_good());
        assert!(!Verdict::NoInterface.is_good() && !Verdict::of(&healthy(&[port(false)])).is_good());
    }
}
