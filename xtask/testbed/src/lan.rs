//! A LAN on one machine: hosts in network namespaces, a switch between them, and taps for emulated boards.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::command::captured;
use crate::failure::unwrap;
use crate::scratch::Scratch;

/// The network that all are on: its first three octets.
const NETWORK: [u8; 3] = [10, 77, 0];
/// Bits of its prefix.
pub const PREFIX: u8 = 24;

/// Hosts that share one network, `10.77.0.1` and up. Gone when dropped.
pub struct Lan {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The switch between them; none for a single host.
    switch: Option<Host>,
}

/// A host: a process that only holds a network namespace open.
pub struct Host {
    holder: Child,
    /// Its address on the LAN; loopback for a host without one.
    pub ip: String,
    /// What its programs keep between runs, so that those of other tests and of this machine's user stay apart.
    state: Scratch,
}

/// A port of the switch for an emulated board.
#[derive(Clone, Debug)]
pub struct Tap {
    /// The tap interface, which the emulator opens.
    pub interface: String,
    /// The board's address.
    pub ip: Ipv4Addr,
    /// The board's hardware address.
    pub mac: String,
}

/// The address of the `n`th host, from 0 on.
fn host_ip(n: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, n + 1)
}

/// The address of the `n`th board, from 0 on.
fn board_ip(n: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, n + 101)
}

impl Lan {
    /// One host that has only its loopback. Panics if namespaces cannot be made.
    pub fn alone() -> Self {
        let host = unwrap(Host::first("127.0.0.1".into()));
        host.ip_command("link set lo up");
        Self { hosts: vec![host], switch: None }
    }

    /// `n` hosts on a switch. Panics if namespaces cannot be made.
    pub fn of(n: usize) -> Self {
        unwrap(Self::with_boards(u8::try_from(n).expect("at most 100 hosts"), 0))
    }

    /// This many hosts, and taps for this many boards.
    pub fn with_boards(hosts: u8, boards: u8) -> Result<Self, Failure> {
        let switch = Host::first("switch".into())?;
        switch.ip("link add name br0 type bridge")?;
        switch.ip("link set br0 up")?;
        let hosts = (0..hosts).map(|n| plug_in(&switch, n)).collect::<Result<_, _>>()?;
        let lan = Self { hosts, switch: None };
        for n in 0..boards {
            let Tap { interface, .. } = lan.tap(n);
            switch.ip(&format!("tuntap add dev {interface} mode tap"))?;
            switch.ip(&format!("link set {interface} master br0 up"))?;
        }
        Ok(Self { switch: Some(switch), ..lan })
    }

    /// The `n`th host.
    pub fn host(&self, n: usize) -> Result<&Host, Failure> {
        self.hosts.get(n).ok_or_else(|| Failure(format!("the network has no host {n}")))
    }

    /// The port of the `n`th board.
    pub fn tap(&self, n: u8) -> Tap {
        Tap { interface: format!("board{n}"), ip: board_ip(n), mac: format!("02:dd:00:00:00:{n:02x}") }
    }

    /// Takes IPv4 from the hosts, and gives the `n`th one these IPv6 addresses with `n` + 1 behind them, such as
    /// `fe80::1` for `fe80::`. A host is then known by the first of them.
    pub fn with_ipv6_alone(mut self, networks: &[&str]) -> Self {
        for (host, n) in self.hosts.iter_mut().zip(1..) {
            host.ip_command("address flush dev eth0");
            host.add_ipv6("eth0", networks, n);
            let zone = if networks[0].starts_with("fe80") { "%eth0" } else { "" };
            host.ip = format!("{}{n}{zone}", networks[0]);
        }
        self
    }

    /// Gives the hosts such addresses beside their IPv4.
    pub fn with_ipv6(self, networks: &[&str]) -> Self {
        for (host, n) in self.hosts.iter().zip(1..) {
            host.add_ipv6("eth0", networks, n);
        }
        self
    }

    /// A cable between two hosts, beside the switch: the interface `eth1` of both. Panics if it cannot be laid.
    pub fn join(&self, one: usize, other: usize) {
        let [one, other] = [one, other].map(|n| &self.hosts[n]);
        let (a, b) = (one.holder.id(), other.holder.id());
        self.switch().ip_command(&format!("link add name eth1 netns {a} type veth peer name eth1 netns {b}"));
        for host in [one, other] {
            host.ip_command("link set eth1 addrgenmode none");
            host.ip_command("link set eth1 up");
        }
    }

    /// Plugs host `i` into the switch once more, by an interface of this name with this address. Panics if that fails.
    pub fn plug_in_again(&self, i: usize, interface: &str, ip: &str) {
        let (host, switch) = (&self.hosts[i], self.switch());
        let port = format!("{interface}-{}", i + 1);
        switch.ip_command(&format!(
            "link add name {port} type veth peer name {interface} netns {}",
            host.holder.id()
        ));
        switch.ip_command(&format!("link set {port} master br0 up"));
        host.ip_command(&format!("link set {interface} addrgenmode none"));
        host.ip_command(&format!("address add {ip}/{PREFIX} broadcast + dev {interface}"));
        host.ip_command(&format!("link set {interface} up"));
    }

    /// Pulls the cable of host `i` out of the switch, or plugs it in again.
    pub fn cable(&self, i: usize, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        self.switch().ip_command(&format!("link set port{} {state}", i + 1));
    }

    /// Keeps the `i`th host apart from the others that are kept apart, as an access point does for its guests: the switch
    /// passes nothing between their ports.
    pub fn isolate(&self, i: usize) {
        self.switch().ip_command(&format!("link set port{} type bridge_slave isolated on", i + 1));
    }

    /// Has the way to the `i`th host drop packets that are larger than this, without a word. The parts of what the system
    /// cuts only at the end of its way (TSO) pass.
    pub fn narrow(&self, i: usize, bytes: u32) {
        self.switch().ip_command(&format!("link set port{} mtu {bytes}", i + 1));
    }

    /// Pulls a board's cable out of the switch, or plugs it in again.
    pub fn board_cable(&self, tap: &Tap, plugged: bool) -> Result<(), Failure> {
        // The interface itself stays up: QEMU treats a tap that goes down as an error of its own.
        let master = if plugged { "master br0" } else { "nomaster" };
        self.switch().ip(&format!("link set {} {master}", tap.interface))
    }

    /// The switch, at which every packet can be captured. Panics for a host that is alone.
    pub fn switch(&self) -> &Host {
        self.switch.as_ref().expect("a switch")
    }
}

/// Makes the `n`th host, with an interface that is plugged into the switch.
fn plug_in(switch: &Host, n: u8) -> Result<Host, Failure> {
    let ip = host_ip(n);
    let host = switch.beside(ip.to_string())?;
    let (port, holder) = (n + 1, host.holder.id());
    host.ip("link set lo up")?;
    switch.ip(&format!("link add name port{port} type veth peer name eth0 netns {holder}"))?;
    switch.ip(&format!("link set port{port} master br0 up"))?;
    // IPv4 alone, so that each test knows by which address its hosts meet.
    host.ip("link set eth0 addrgenmode none")?;
    host.ip(&format!("address add {ip}/{PREFIX} broadcast + dev eth0"))?;
    host.ip("link set eth0 up")?;
    Ok(host)
}

impl Host {
    /// A host in a namespace made from ours. Without root it gets a user namespace too.
    fn first(ip: String) -> Result<Self, Failure> {
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new("unshare");
        command.args(if root { &["--net"][..] } else { &["--map-root-user", "--net"] });
        Self::hold(command, ip)
    }

    /// A host in a namespace of its own that belongs to the same user namespace.
    fn beside(&self, ip: String) -> Result<Self, Failure> {
        let mut command = self.enter();
        command.args(["unshare", "--net"]);
        Self::hold(command, ip)
    }

    fn hold(mut command: Command, ip: String) -> Result<Self, Failure> {
        // It prints a line when the namespace is there, and ends when its standard input does: with us, at the
        // latest.
        command.args(["sh", "-c", "echo there; exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().map_err(Failure::at("unshare, of util-linux"))?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Failure::at("a network namespace"))?;
        }
        let host = Self { holder, ip, state: Scratch::new()? };
        if line == "there\n" {
            return Ok(host);
        }
        Err(Failure::new(
            "network namespaces cannot be made here: run this as root, or allow unprivileged user namespaces",
        ))
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--");
        command
    }

    /// A command that runs on this host. nsenter and env exec the program, so the process id is the program's.
    ///
    /// It starts with the default action of every signal, also where the tests run in the background of a shell or
    /// under nohup, which ignore SIGINT or SIGHUP. It finds no configuration: the user may have a default room.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.enter();
        command.args(["env", "--default-signal", program]);
        command.env("XDG_STATE_HOME", self.state.path()).env("XDG_CONFIG_HOME", "/dev/null");
        command
    }

    /// The folder in which its programs keep what they need between runs: `XDG_STATE_HOME`.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Gives an interface the `n`th address of these IPv6 networks, at once: duplicates are not looked for.
    pub fn add_ipv6(&self, interface: &str, networks: &[&str], n: u8) {
        for network in networks {
            self.ip_command(&format!("address add {network}{n}/64 dev {interface} nodad"));
        }
    }

    /// Runs `ip` with these words. Panics if it fails.
    pub fn ip_command(&self, words: &str) {
        unwrap(self.ip(words));
    }

    fn ip(&self, words: &str) -> Result<(), Failure> {
        captured(self.command("ip").args(words.split(' '))).map(drop)
    }

    /// Limits what it sends to this many kilobits a second.
    pub fn limit_rate(&self, kilobits: u32) -> Result<(), Failure> {
        let words = format!("qdisc replace dev eth0 root tbf rate {kilobits}kbit burst 4kb latency 2s");
        captured(self.command("tc").args(words.split(' '))).map(drop)
    }

    /// Removes that limit.
    pub fn unlimit_rate(&self) -> Result<(), Failure> {
        captured(self.command("tc").args("qdisc delete dev eth0 root".split(' '))).map(drop)
    }

    /// Drops a part of the packets that reach it: those that match `filter`, in the words of nftables.
    pub fn filter(&self, filter: &str) -> Result<(), Failure> {
        self.nft(&format!(
            "add table inet filter\n\
             add chain inet filter in {{ type filter hook input priority 0; }}\n\
             add rule inet filter in iifname eth0 {filter} counter drop\n"
        ))
    }

    /// Removes all filters.
    pub fn unfilter(&self) -> Result<(), Failure> {
        self.nft("delete table inet filter\n")
    }

    /// How many packets the filters have dropped.
    pub fn filtered(&self) -> Result<u64, Failure> {
        let rules = captured(self.command("nft").args(["list", "ruleset"]))?;
        let counts = rules.split("packets ").skip(1).map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        counts.sum::<Option<u64>>().ok_or_else(|| Failure(format!("no count of packets in:\n{rules}")))
    }

    /// Loads rules in the language of nftables. Panics if they are refused.
    pub fn load_rules(&self, rules: &str) {
        unwrap(self.nft(rules));
    }

    fn nft(&self, rules: &str) -> Result<(), Failure> {
        let mut nft = self.command("nft");
        nft.args(["-f", "-"]).stdin(Stdio::piped());
        let mut nft = nft.spawn().map_err(Failure::at("nft, of nftables"))?;
        if let Some(mut input) = nft.stdin.take() {
            input.write_all(rules.as_bytes()).map_err(Failure::at("nft"))?;
        }
        let status = nft.wait().map_err(Failure::at("nft"))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("nft: {status}, for:\n{rules}"))) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // If this fails the process has ended already.
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
        assert_eq!(host_ip(0).to_string(), "10.77.0.1");
        assert_eq!(board_ip(1).to_string(), "10.77.0.102");
    }
}
