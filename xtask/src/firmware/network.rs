//! A network on one machine: a switch, hosts and the ports of boards, made of network namespaces. No packet
//! of it leaves the machine.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use crate::repo::{Failure, captured};

/// The network that all are on.
const NETWORK: [u8; 3] = [10, 79, 0];
/// Bits of its prefix.
pub(crate) const PREFIX: u8 = 24;

/// A switch and all that hangs on it. Gone when dropped.
pub(crate) struct Network {
    switch: Namespace,
    hosts: Vec<Host>,
}

/// A host: a namespace with an interface that is plugged into the switch.
pub(crate) struct Host {
    namespace: Namespace,
    /// Its address.
    pub(crate) ip: Ipv4Addr,
}

/// A place on the switch for a board.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The interface that the emulator plugs its board into.
    pub(crate) interface: String,
    /// The board's address.
    pub(crate) ip: Ipv4Addr,
    /// The board's hardware address.
    pub(crate) mac: String,
}

/// The address of the `n`th host, from 0 on.
fn host_ip(n: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, n + 1)
}

/// The address of the `n`th board, likewise.
fn board_ip(n: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, n + 101)
}

impl Network {
    /// With this many hosts and ports for this many boards.
    pub(crate) fn new(hosts: u8, boards: u8) -> Result<Self, Failure> {
        let switch = Namespace::new(Command::new("unshare"))?;
        switch.ip("link add name br0 type bridge")?;
        switch.ip("link set br0 up")?;
        let mut network = Self { switch, hosts: Vec::new() };
        for n in 0..hosts {
            network.plug_in(host_ip(n))?;
        }
        for n in 0..boards {
            let Port { interface, .. } = network.port(n);
            network.switch.ip(&format!("tuntap add dev {interface} mode tap"))?;
            network.switch.ip(&format!("link set {interface} master br0 up"))?;
        }
        Ok(network)
    }

    fn plug_in(&mut self, ip: Ipv4Addr) -> Result<(), Failure> {
        let namespace = Namespace::new(self.switch.command("unshare"))?;
        let (n, holder) = (self.hosts.len(), namespace.holder.id());
        namespace.ip("link set lo up")?;
        self.switch.ip(&format!("link add name host{n} type veth peer name eth0 netns {holder}"))?;
        self.switch.ip(&format!("link set host{n} master br0 up"))?;
        namespace.ip(&format!("address add {ip}/{PREFIX} broadcast + dev eth0"))?;
        namespace.ip("link set eth0 up")?;
        self.hosts.push(Host { namespace, ip });
        Ok(())
    }

    /// The `n`th host.
    pub(crate) fn host(&self, n: usize) -> Result<&Host, Failure> {
        self.hosts.get(n).ok_or_else(|| Failure(format!("the network has no host {n}")))
    }

    /// Where the `n`th board is plugged in.
    pub(crate) fn port(&self, n: u8) -> Port {
        Port { interface: format!("board{n}"), ip: board_ip(n), mac: format!("02:dd:00:00:00:{n:02x}") }
    }

    /// Pulls a board's cable out of the switch, or plugs it in again.
    pub(crate) fn cable(&self, port: &Port, plugged: bool) -> Result<(), Failure> {
        // The interface itself must stay up: the emulator would take it for its own failure.
        let master = if plugged { "master br0" } else { "nomaster" };
        self.switch.ip(&format!("link set {} {master}", port.interface))
    }

    /// A command that runs at the switch, as emulators do.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.switch.command(program)
    }
}

impl Host {
    /// A command that runs on this host. Its process is the program's own.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Lets it send no more than this many kilobits a second.
    pub(crate) fn slow(&self, kilobits: u32) -> Result<(), Failure> {
        self.run("tc", &format!("qdisc replace dev eth0 root tbf rate {kilobits}kbit burst 4kb latency 2s"))
    }

    /// Lets it send as fast as it can again.
    pub(crate) fn at_full_speed(&self) -> Result<(), Failure> {
        self.run("tc", "qdisc delete dev eth0 root")
    }

    /// Keeps it from hearing what comes from this TCP port, or no longer.
    pub(crate) fn deaf_to(&self, port: u16, deaf: bool) -> Result<(), Failure> {
        if !deaf {
            return self.run("nft", "delete table ip deaf");
        }
        self.run("nft", "add table ip deaf")?;
        self.run("nft", "add chain ip deaf in { type filter hook input priority 0 ; }")?;
        self.run("nft", &format!("add rule ip deaf in tcp sport {port} drop"))
    }

    /// Loses one in so many of the datagrams that come to it, counted and not drawn; none with nothing.
    pub(crate) fn lose_one_in(&self, number: Option<u32>) -> Result<(), Failure> {
        let Some(number) = number else { return self.run("nft", "delete table ip lossy") };
        self.run("nft", "add table ip lossy")?;
        self.run("nft", "add chain ip lossy in { type filter hook input priority 0 ; }")?;
        self.run("nft", &format!("add rule ip lossy in numgen inc mod {number} == 0 drop"))
    }

    fn run(&self, program: &str, words: &str) -> Result<(), Failure> {
        captured(self.command(program).args(words.split(' '))).map(drop)
    }
}

/// A process that does nothing but hold a network namespace open.
struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Made by this `unshare`.
    fn new(mut unshare: Command) -> Result<Self, Failure> {
        // It says when it is there, and ends when its standard input does: with us, at the latest.
        unshare.args(["--net", "sh", "-c", "echo there; exec cat >/dev/null"]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = unshare.spawn().map_err(Failure::at("unshare"))?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Failure::at("a namespace"))?;
        }
        let namespace = Self { holder };
        if line == "there\n" {
            Ok(namespace)
        } else {
            Err(Failure::new("network namespaces cannot be made here: run this as root"))
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--", program]);
        command
    }

    fn ip(&self, words: &str) -> Result<(), Failure> {
        captured(self.command("ip").args(words.split(' '))).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Neither can fail in a way that anything could be done about.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_boards_never_share_an_address() {
        let hosts = (0..100).map(host_ip);
        let boards: Vec<_> = (0..100).map(board_ip).collect();
        assert!(hosts.into_iter().all(|ip| !boards.contains(&ip)));
        assert_eq!(host_ip(0).to_string(), "10.79.0.1");
        assert_eq!(board_ip(1).to_string(), "10.79.0.102");
    }
}
