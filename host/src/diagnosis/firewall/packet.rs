//! Sends a packet through rules of nftables, without sending it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::ruleset::{Chain, Ruleset, Table};
use crate::lan::interfaces::Interface;

/// Chains that call each other at most so deep.
const DEPTH: usize = 16;

/// The protocol of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    fn number(self) -> &'static str {
        match self {
            Self::Tcp => "6",
            Self::Udp => "17",
        }
    }
}

/// The first packet of a neighbour, on its way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) interface: &'a Interface,
    pub(super) protocol: Protocol,
    /// Its ports.
    pub(super) from: u16,
    pub(super) to: u16,
    /// What it is sent to: local, broadcast or multicast.
    pub(super) to_type: &'static str,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It comes in, or the rules are not understood.
    Open,
    /// It does not.
    Dropped {
        /// The base chain that has dropped it.
        by: Place,
    },
}

/// A chain that packets to this machine begin in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) family: String,
    pub(super) table: String,
    pub(super) chain: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} {}, chain {}", self.family, self.table, self.chain)
    }
}

/// What a rule or a chain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Accept,
    Drop,
    Return,
    /// Nothing: the next rule decides.
    Nothing,
    /// It depends on what is not understood.
    Unknown,
}

/// Whether a packet is one that a rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Unknown,
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Packet<'_> {
    /// What becomes of it: each base chain has to let it in. Rules that decide and are not understood are noted.
    pub(super) fn fate(&self, ruleset: &Ruleset, unknown: &mut BTreeSet<String>) -> Fate {
        for table in ruleset.tables.iter().filter(|table| self.is_seen_by(table)) {
            for (name, chain) in table.chains.iter().filter(|(_, chain)| chain.is_input) {
                let said = match self.walk(table, chain, 0, unknown) {
                    Said::Nothing | Said::Return if chain.drops => Said::Drop,
                    said => said,
                };
                if said == Said::Drop {
                    let (family, table, chain) = (table.family.clone(), table.name.clone(), name.clone());
                    return Fate::Dropped { by: Place { family, table, chain } };
                }
            }
        }
        Fate::Open
    }

    fn is_seen_by(&self, table: &Table) -> bool {
        match &*table.family {
            "inet" => true,
            "ip" => self.interface.address.is_ipv4(),
            "ip6" => self.interface.address.is_ipv6(),
            _ => false,
        }
    }

    fn walk(&self, table: &Table, chain: &Chain, depth: usize, unknown: &mut BTreeSet<String>) -> Said {
        for rule in &chain.rules {
            match self.judge(table, rule, depth, unknown) {
                Said::Nothing => {}
                said => return said,
            }
        }
        Said::Nothing
    }

    /// What a rule says: its verdict, if all of its conditions hold.
    fn judge(&self, table: &Table, rule: &[String], depth: usize, unknown: &mut BTreeSet<String>) -> Said {
        let words: Vec<&str> = rule.iter().map(String::as_str).collect();
        let mut rest = &words[..];
        let mut certain = true;
        let said = loop {
            let (matched, used) = match *rest {
                [] => return Said::Nothing,
                ["accept", ..] => break Said::Accept,
                ["drop" | "reject", ..] => break Said::Drop,
                ["return", ..] => break Said::Return,
                ["jump", name, ..] => match self.called(table, name, depth, unknown) {
                    Said::Return => break Said::Nothing,
                    said => break said,
                },
                ["goto", name, ..] => match self.called(table, name, depth, unknown) {
                    Said::Nothing => break Said::Return,
                    said => break said,
                },
                // Statements that say nothing of where the packet goes.
                ["counter", "packets", _, "bytes", _, ..] => (Match::Yes, 5),
                ["counter", ..] => (Match::Yes, 1),
                ["comment" | "prefix" | "level" | "flags" | "group", _, ..] => (Match::Yes, 2),
                ["log", ..] => (Match::Yes, 1),
                _ => self.condition(rest),
            };
            match matched {
                Match::No => return Said::Nothing,
                Match::Unknown => certain = false,
                Match::Yes => {}
            }
            rest = rest.get(used..).unwrap_or_default();
        };
        match said {
            Said::Nothing => said,
            said if certain => said,
            _ => {
                unknown.insert(rule.join(" "));
                Said::Unknown
            }
        }
    }

    fn called(&self, table: &Table, name: &str, depth: usize, unknown: &mut BTreeSet<String>) -> Said {
        match table.chains.get(name) {
            Some(chain) if depth < DEPTH => self.walk(table, chain, depth + 1, unknown),
            _ => {
                unknown.insert(name.to_owned());
                Said::Unknown
            }
        }
    }

    /// Whether the condition holds that these words begin with, and how many words it has.
    fn condition(&self, words: &[&str]) -> (Match, usize) {
        let negated = |at: usize| words.get(at).is_some_and(|word| *word == "!=");
        // The value behind this many words, the words of the whole condition, and whether "!=" stands before the value.
        let value = |behind: usize| {
            let not = negated(behind);
            let at = behind + usize::from(not);
            (words.get(at).copied().unwrap_or_default(), at + 1, not)
        };
        let on = |behind: usize, test: &dyn Fn(&str) -> Match| {
            let (value, used, not) = value(behind);
            let matched = match (one_of(value, test), not) {
                (Match::Yes, true) => Match::No,
                (Match::No, true) => Match::Yes,
                (matched, _) => matched,
            };
            (matched, used)
        };
        let is = |text: &'static str| move |value: &str| Match::from(value == text);
        let family = if self.interface.address.is_ipv4() { "ipv4" } else { "ipv6" };
        let of_protocol =
            |value: &str| Match::from(value == self.protocol.word() || value == self.protocol.number());
        match *words {
            ["iif" | "iifname", ..] => on(1, &|value| self.is_named(value)),
            ["meta", "iif" | "iifname", ..] => on(2, &|value| self.is_named(value)),
            ["oif" | "oifname", ..] => (Match::No, value(1).1),
            ["ct", "state", "vmap", states, ..] => self.by_state(states),
            ["ct", "state", ..] => on(2, &|value| {
                // Flags separated by commas, or as numbers: 8 is new.
                let new = value.split(',').any(|flag| matches!(flag.trim(), "new" | "0x8" | "8"));
                let known = value.split(',').all(|flag| {
                    let flag = flag.trim();
                    matches!(flag, "new" | "established" | "related" | "invalid" | "untracked")
                        || flag.parse::<u32>().is_ok()
                        || flag.starts_with("0x")
                });
                if new || known { Match::from(new) } else { Match::Unknown }
            }),
            // The first packet of a neighbour has been neither translated nor marked.
            ["ct", "status", ..] => on(2, &|_| Match::No),
            ["tcp" | "udp", "dport" | "sport", ..] if words[0] != self.protocol.word() => (Match::No, 3),
            ["tcp" | "udp" | "th", "dport", ..] => on(2, &|value| holds(value, self.to)),
            ["tcp" | "udp" | "th", "sport", ..] => on(2, &|value| holds(value, self.from)),
            ["meta", "l4proto", ..] | ["ip", "protocol", ..] | ["ip6", "nexthdr", ..] => on(2, &of_protocol),
            ["meta", "nfproto", ..] => on(2, &is(family)),
            ["meta", "pkttype", ..] => {
                on(2, &is(if self.to_type == "local" { "host" } else { self.to_type }))
            }
            ["fib", "daddr", "type", ..] => on(3, &is(self.to_type)),
            ["ip", "saddr" | "daddr", ..] if family == "ipv6" => (Match::No, 3),
            ["ip6", "saddr" | "daddr", ..] if family == "ipv4" => (Match::No, 3),
            ["ip" | "ip6", "saddr", ..] => on(2, &|value| self.comes_from(value)),
            ["icmp" | "icmpv6" | "igmp", ..] => (Match::No, 3),
            ["meta" | "ct" | "ip" | "ip6" | "tcp" | "udp", _, _, ..] => (Match::Unknown, value(2).1),
            ["limit", ..] => (Match::Unknown, 1),
            _ => (Match::Unknown, 1),
        }
    }

    /// Whether the interface has this name, or one that begins like it before an asterisk.
    fn is_named(&self, value: &str) -> Match {
        let name = self.interface.name.split(':').next().unwrap_or_default();
        match value.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == value || value.parse() == Ok(self.interface.index),
        }
        .into()
    }

    /// Whether a neighbour can have such an address: all of them, none of them, or some.
    fn comes_from(&self, value: &str) -> Match {
        let Some((network, prefix)) = value.split_once('/') else { return Match::Unknown };
        let (Ok(network), Ok(prefix)) = (network.parse::<IpAddr>(), prefix.parse::<u32>()) else {
            return Match::Unknown;
        };
        let differs = |own: IpAddr| match (own, network) {
            (IpAddr::V4(own), IpAddr::V4(of)) => {
                (own.to_bits() ^ of.to_bits()).checked_shr(32_u32.saturating_sub(prefix)).unwrap_or(0) != 0
            }
            (IpAddr::V6(own), IpAddr::V6(of)) => {
                (own.to_bits() ^ of.to_bits()).checked_shr(128_u32.saturating_sub(prefix)).unwrap_or(0) != 0
            }
            _ => true,
        };
        // An address of the same network as ours, if the rule's network is not smaller than that.
        let own = self.interface.addresses.iter().find(|(own, _)| !differs(*own));
        match own {
            Some((_, own)) if u32::from(*own) >= prefix => Match::Yes,
            Some(_) => Match::Unknown,
            None => Match::No,
        }
    }

    /// A map from states to verdicts: whatever the first packet of a neighbour gets there.
    fn by_state(&self, states: &str) -> (Match, usize) {
        let inside = states.trim_matches(['{', '}']);
        let new = inside.split(',').any(|entry| {
            let state = entry.split(':').next().unwrap_or_default().trim();
            matches!(state, "new" | "0x8" | "8")
        });
        (if new { Match::Unknown } else { Match::No }, 4)
    }
}

/// Whether a value matches, or any of a set in braces. A set with a name is not looked into.
fn one_of(value: &str, test: &dyn Fn(&str) -> Match) -> Match {
    if value.starts_with('@') || value.is_empty() {
        return Match::Unknown;
    }
    let Some(inside) = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return test(value);
    };
    let results: Vec<Match> = inside.split(',').map(|one| test(one.trim())).collect();
    if results.contains(&Match::Yes) {
        Match::Yes
    } else if results.contains(&Match::Unknown) {
        Match::Unknown
    } else {
        Match::No
    }
}

/// Whether a port, or a range of them, holds this one.
fn holds(value: &str, port: u16) -> Match {
    let (low, high) = value.split_once('-').unwrap_or((value, value));
    match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
        (Ok(low), Ok(high)) => Match::from((low..=high).contains(&port)),
        _ => Match::Unknown,
    }
}
