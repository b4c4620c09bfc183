//! The commands that open a firewall, in the words of the program that keeps its rules.

use deaddrop_core::limits::{TCP_PORT_FIRST, TCP_PORT_LAST};

use super::Traffic;
use super::packet::Place;
use super::ruleset::Ruleset;

/// The ports that Linux gives to programs that ask for none: the default of `net.ipv4.ip_local_port_range`.
const EPHEMERAL_FIRST: u16 = 32_768;
const EPHEMERAL_LAST: u16 = 60_999;

/// The commands that open the firewall of Windows, for a command prompt of an administrator. It lets answers in by itself.
pub(super) fn of_windows(udp_port: u16) -> Vec<String> {
    let rule = |of: &str, ports: String| {
        let name = format!("netsh advfirewall firewall add rule name=\"deaddrop {of}\"");
        format!("{name} dir=in action=allow protocol={of} localport={ports}")
    };
    vec![rule("UDP", udp_port.to_string()), rule("TCP", format!("{TCP_PORT_FIRST}-{TCP_PORT_LAST}"))]
}

/// What keeps the rules of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Ufw,
    Firewalld,
    /// iptables, by way of nftables.
    Iptables,
    Nftables,
}

impl Manager {
    /// Known by the names of its tables and chains.
    pub(super) fn of(ruleset: &Ruleset) -> Self {
        let chain = |beginning: &str| {
            ruleset.tables.iter().any(|table| table.chains.keys().any(|name| name.starts_with(beginning)))
        };
        if chain("ufw") {
            Self::Ufw
        } else if ruleset.tables.iter().any(|table| table.name == "firewalld") {
            Self::Firewalld
        } else if ruleset.tables.iter().any(|table| {
            matches!(&*table.family, "ip" | "ip6")
                && table.name == "filter"
                && table.chains.contains_key("INPUT")
        }) {
            Self::Iptables
        } else {
            Self::Nftables
        }
    }

    /// The commands that let this in.
    pub(super) fn commands(self, traffic: Traffic, udp_port: u16, by: &Place) -> Vec<String> {
        let Place { family, table, chain } = by;
        let iptables = if family == "ip6" { "ip6tables" } else { "iptables" };
        let (low, high) = (TCP_PORT_FIRST, TCP_PORT_LAST);
        vec![match (self, traffic) {
            (Self::Ufw, Traffic::Beacons) => format!("ufw allow {udp_port}/udp"),
            (Self::Ufw, Traffic::Answers) => {
                format!(
                    "ufw allow proto udp from any port {udp_port} to any port {EPHEMERAL_FIRST}:{EPHEMERAL_LAST}"
                )
            }
            (Self::Ufw, Traffic::Connections) => format!("ufw allow {low}:{high}/tcp"),
            (Self::Firewalld, Traffic::Beacons) => format!("firewall-cmd --add-port={udp_port}/udp"),
            (Self::Firewalld, Traffic::Answers) => format!("firewall-cmd --add-source-port={udp_port}/udp"),
            (Self::Firewalld, Traffic::Connections) => format!("firewall-cmd --add-port={low}-{high}/tcp"),
            (Self::Iptables, Traffic::Beacons) => {
                format!("{iptables} -I INPUT -p udp --dport {udp_port} -j ACCEPT")
            }
            (Self::Iptables, Traffic::Answers) => {
                format!(
                    "{iptables} -I INPUT -p udp --sport {udp_port} --dport {EPHEMERAL_FIRST}:{EPHEMERAL_LAST} -j ACCEPT"
                )
            }
            (Self::Iptables, Traffic::Connections) => {
                format!("{iptables} -I INPUT -p tcp --dport {low}:{high} -j ACCEPT")
            }
            (Self::Nftables, Traffic::Beacons) => {
                format!("nft insert rule {family} {table} {chain} udp dport {udp_port} accept")
            }
            (Self::Nftables, Traffic::Answers) => {
                format!(
                    "nft insert rule {family} {table} {chain} udp sport {udp_port} udp dport \
                     {EPHEMERAL_FIRST}-{EPHEMERAL_LAST} accept"
                )
            }
            (Self::Nftables, Traffic::Connections) => {
                format!("nft insert rule {family} {table} {chain} tcp dport {low}-{high} accept")
            }
        }]
    }
}
