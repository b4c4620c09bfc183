//! Hosts and the cable between them, made of network namespaces.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Hosts that share one network, `10.77.0.1` and up. Gone when dropped.
pub struct Lan {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The switch that they hang on; none for a single host.
    switch: Option<Host>,
}

/// A host: a process that does nothing but hold a network namespace open.
pub struct Host {
    holder: Child,
    /// Its address on the LAN; loopback for a host without one.
    pub ip: String,
}

impl Lan {
    /// One host with nothing but its loopback.
    pub fn alone() -> Self {
        let host = Host::first("127.0.0.1".into());
        host.ip_command("link set lo up");
        Self { hosts: vec![host], switch: None }
    }

    /// `n` hosts on a switch.
    pub fn of(n: usize) -> Self {
        let switch = Host::first("switch".into());
        switch.ip_command("link add name br0 type bridge");
        switch.ip_command("link set br0 up");
        let mut lan = Self { hosts: Vec::new(), switch: None };
        for i in 1..=n {
            let host = switch.beside(format!("10.77.0.{i}"));
            host.ip_command("link set lo up");
            switch.ip_command(&format!(
                "link add name port{i} type veth peer name eth0 netns {}",
                host.holder.id()
            ));
            switch.ip_command(&format!("link set port{i} master br0 up"));
            host.ip_command(&format!("address add 10.77.0.{i}/24 broadcast 10.77.0.255 dev eth0"));
            host.ip_command("link set eth0 up");
            lan.hosts.push(host);
        }
        lan.switch = Some(switch);
        lan
    }

    /// Pulls the cable of host `i` out of the switch, or plugs it in again.
    pub fn cable(&self, i: usize, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        self.switch.as_ref().expect("a switch").ip_command(&format!("link set port{} {state}", i + 1));
    }

    /// The switch, on which everything that is said can be heard.
    pub fn switch(&self) -> &Host {
        self.switch.as_ref().expect("a switch")
    }
}

impl Host {
    /// A host in a namespace made from ours. Without root it gets a user namespace too.
    fn first(ip: String) -> Self {
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new("unshare");
        command.args(if root { &["--net"][..] } else { &["--map-root-user", "--net"] });
        Self::hold(command, ip)
    }

    /// A host in a namespace of its own that belongs to the same user namespace.
    fn beside(&self, ip: String) -> Self {
        let mut command = self.enter();
        command.args(["unshare", "--net"]);
        Self::hold(command, ip)
    }

    fn hold(mut command: Command, ip: String) -> Self {
        // It says when it is there, and ends when its standard input does: with us, at the latest.
        command.args(["sh", "-c", "echo there; exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare, of util-linux");
        let mut line = String::new();
        let out = holder.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("read from a host");
        assert_eq!(
            line, "there\n",
            "network namespaces cannot be made here: run as root, or allow unprivileged user namespaces"
        );
        Self { holder, ip }
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

    /// A command that runs on this host. nsenter becomes the program, so its process is the program's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.enter();
        command.arg(program);
        command
    }

    /// Runs `ip` with these words.
    pub fn ip_command(&self, words: &str) {
        let output = self.command("ip").args(words.split(' ')).output().expect("ip, of iproute2");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
